//! What lies in the directory of an environment and is read by nobody: files whose names nearly say what they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{EnvironmentFiles, Lists, SpecKind};
use crate::spec::frozen::Frozen;

/// A sentence for each file that somebody may take for a part of the environment and that is none.
///
/// `own` are the lists of its spec files.
#[must_use]
pub fn unread(files: &EnvironmentFiles, own: &Lists) -> Vec<String> {
    let read = own.files.iter().collect::<BTreeSet<_>>();
    let mut said = Vec::new();
    for path in entries(&files.directory) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let known = read.contains(&path)
            || ["kernel.name", "no-common"].contains(&&*name)
            || files
                .frozen
                .as_ref()
                .is_some_and(|frozen| *frozen == path || Frozen::lock_path(frozen) == path);
        if !path.is_file() || known || name.starts_with('.') || is_for_people(&path) {
            continue;
        }
        let shown = path.display();
        said.push(if Frozen::is_frozen(&path) {
            format!(
                "{shown} is read by nobody: the frozen spec of this environment is called {}-frozen.yml",
                files.name
            )
        } else if SpecKind::of(&path).is_none() {
            format!("{shown} is read by nobody: a spec file is called *.yml, *.conda or *.pip, or is named by one with -r or -c")
        } else {
            continue;
        });
    }
    said
}

fn entries(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path()).collect::<Vec<_>>();
    paths.sort();
    paths
}

/// Whether the file is written for people alone.
fn is_for_people(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_uppercase();
    let extension = path.extension().unwrap_or_default();
    ["README", "LICENSE", "NOTES", "CHANGELOG"].contains(&&*stem) || extension == "md" || extension == "rst"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_named_and_what_is_read_or_for_people_is_not() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("new");
        for (name, text) in [
            ("new.yml", "name: old\ndependencies: [python=3.11]\n"),
            ("new.pip", "-r more.txt\n"),
            ("more.txt", "six\n"),
            ("old-frozen.yml", "name: old\n"),
            ("requirements.txt", "numpy\n"),
            ("env.explicit", "@EXPLICIT\n"),
            ("README.md", "x"),
            ("kernel.name", "New"),
        ] {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let files = super::super::load(&directory).unwrap();
        assert!(files.updates.iter().all(|path| !Frozen::is_frozen(path)), "{files:?}");
        let lists = Lists::read(&files.floating().cloned().collect::<Vec<_>>()).unwrap();
        let said = unread(&files, &lists);
        let names = said.iter().map(|text| {
            let path = text.split(' ').next().unwrap();
            Path::new(path).strip_prefix(&directory).unwrap().to_str().unwrap()
        });
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["env.explicit", "old-frozen.yml", "requirements.txt"]
        );
    }
}
