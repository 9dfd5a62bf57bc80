//! What is nearly called as something that floe reads, and is read by nobody.

use std::fs;
use std::path::{Path, PathBuf};

use super::{COMMON, ENVIRONMENTS, HOME_CONTENTS, Repository, SCRIPTS, SETUP_ENV, mission};
use crate::reference::MissionName;

/// What floe reads at a repository's root, beside the directories by which it knows one.
const OF_ROOT: [&str; 1] = [SETUP_ENV];

/// What it reads in a mission's own directory.
const OF_MISSION: [&str; 4] = [
    "Dockerfile.custom",
    "Dockerfile.custom.tera",
    ENVIRONMENTS,
    HOME_CONTENTS,
];

/// What it reads beside the directories of environments.
const OF_ENVIRONMENTS: [&str; 1] = ["test"];

/// What it reads in the directory of an environment, beside spec files.
const OF_ENVIRONMENT: [&str; 3] = ["tests", "kernel.name", "no-common"];

/// What it reads in an environment's `tests/`, beside notebooks.
const OF_TESTS: [&str; 4] = ["imports", "notebooks", "test", "settings.yml"];

/// What it reads in what missions share.
const OF_COMMON: [&str; 4] = ["Dockerfile", "Dockerfile.trailer", "common-env", SCRIPTS];

/// What people add to the name of a list or a script.
const EXTENSIONS: [&str; 7] = ["txt", "list", "in", "sh", "bash", "yaml", "yml"];

/// How many letters may differ in a long name that is meant, and in a short one.
const NEAR: (usize, usize) = (2, 1);

/// Names of fewer letters are short.
const LONG: usize = 6;

impl Repository {
    /// A sentence for each file and directory of a mission, and of what missions share, whose name nearly is one that is
    /// read.
    #[must_use]
    pub fn misnamed(&self, name: &MissionName) -> Vec<String> {
        let mission = mission(name);
        let environments = mission.join(ENVIRONMENTS);
        let mut found = self.near(Path::new(""), &OF_ROOT);
        found.extend(self.near(Path::new(COMMON), &OF_COMMON));
        found.extend(self.near(&mission, &OF_MISSION));
        let scripts = self.near(&environments, &OF_ENVIRONMENTS).into_iter();
        found.extend(scripts.filter(|(path, _)| !self.path(path).is_dir()));
        for environment in self.entries(&environments) {
            found.extend(self.near(&environment, &OF_ENVIRONMENT));
            found.extend(self.near(&environment.join("tests"), &OF_TESTS));
        }
        let said = found.into_iter().map(|(path, meant)| {
            format!(
                "{} is read by nobody: is it meant to be called {meant}?",
                path.display()
            )
        });
        let directories = self
            .entries(&environments)
            .into_iter()
            .map(|path| path.join("tests/test"));
        let directories = directories.filter(|path| self.path(path).is_dir());
        said.chain(directories.map(|path| {
            format!(
                "{} is a directory: a script of this name would be a test",
                path.display()
            )
        }))
        .collect()
    }

    /// What lies in a directory and is nearly called as one of the `known`, which is not there.
    fn near(&self, directory: &Path, known: &[&'static str]) -> Vec<(PathBuf, &'static str)> {
        let is_there = |name: &str| self.path(directory.join(name)).exists();
        let missing = known.iter().filter(|name| !is_there(name)).copied().collect::<Vec<_>>();
        let entries = self.entries(directory).into_iter();
        let entries = entries.filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let meant = missing
                .iter()
                .find(|meant| !known.contains(&name) && is_near(name, meant))?;
            Some((path.clone(), *meant))
        });
        entries.collect()
    }

    /// What lies in a directory of the repository, in the order of names.
    fn entries(&self, directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path(directory)).into_iter().flatten().flatten();
        let mut paths = entries
            .map(|entry| directory.join(entry.file_name()))
            .collect::<Vec<_>>();
        paths.sort();
        paths
    }
}

/// Whether somebody who writes `name` may mean the other.
fn is_near(name: &str, meant: &str) -> bool {
    let (name, meant) = (name.to_lowercase(), meant.to_lowercase());
    let most = if meant.len() < LONG { NEAR.1 } else { NEAR.0 };
    let near = |name: &str, meant: &str| strsim::levenshtein(name, meant) <= most;
    let with_extension = name
        .rsplit_once('.')
        .filter(|(_, extension)| EXTENSIONS.contains(extension));
    let stem = meant.rsplit_once('.').map_or(meant.as_str(), |(stem, _)| stem);
    near(&name, &meant) || with_extension.is_some_and(|(name, _)| near(name, stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a mission with these files; what ends in `/` is a directory.
    fn said(files: &[&str]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if file.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::write(path, "").unwrap();
            }
        }
        Repository::at(root.path()).misnamed(&"m".parse().unwrap())
    }

    #[test]
    fn what_is_nearly_called_as_something_is_told_with_what_it_may_mean() {
        for (file, meant) in [
            ("setup_env", "setup-env"),
            ("setup-env.sh", "setup-env"),
            ("common/Dockerfile.trailor", "Dockerfile.trailer"),
            ("common/common_env/science.pip", "common-env"),
            ("missions/m/dockerfile.custom", "Dockerfile.custom"),
            ("missions/m/Dockerfile.cutsom", "Dockerfile.custom"),
            ("missions/m/environment/cal/cal.pip", "environments"),
            ("missions/m/default_home_contents/x", "default-home-contents"),
            ("missions/m/environments/test.sh", "test"),
            ("missions/m/environments/cal/test/imports", "tests"),
            ("missions/m/environments/cal/kernel-name", "kernel.name"),
            ("missions/m/environments/cal/tests/import", "imports"),
            ("missions/m/environments/cal/tests/Imports.txt", "imports"),
            ("missions/m/environments/cal/tests/notebook.list", "notebooks"),
            ("missions/m/environments/cal/tests/settings.yaml", "settings.yml"),
        ] {
            let said = said(&[file]);
            assert!(
                said.len() == 1 && said[0].ends_with(&format!("called {meant}?")),
                "{file}: {said:?}"
            );
        }
        let said = said(&["missions/m/environments/cal/tests/test/"]);
        assert!(said[0].contains("is a directory"), "{said:?}");
    }

    #[test]
    fn what_is_read_and_what_is_anybodys_is_not_told() {
        let files = [
            "setup-env.template",
            "common/Dockerfile",
            "common/docs/x",
            "missions/m/Dockerfile",
            "missions/m/environments/test",
            "missions/m/environments/tests/tests.pip",
            "missions/m/environments/cal/tests/test",
            "missions/m/environments/cal/tests/test.sh",
            "missions/m/environments/cal/tests/data.txt",
            "missions/m/environments/cal/tests/imports",
            "missions/m/environments/cal/tests/import",
        ];
        assert_eq!(said(&files), [""; 0]);
    }
}
