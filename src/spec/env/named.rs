//! The packages that the specs of an environment ask for by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::pip::{self, PipLine};
use super::{CondaSpec, EnvironmentFiles, EnvironmentSpec, SpecError, SpecKind, conda};
use crate::spec::frozen::{Frozen, normalized};

/// A package that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPackage {
    /// Its name, as it is written first.
    pub name: String,
    /// Whether it may rightly be missing, since each line that names it has a condition: `; sys_platform == "win32"`.
    pub conditional: bool,
}

/// The packages that are asked for, by the spelling in which names are compared, that of conda and pip alike.
pub type NamedPackages = BTreeMap<String, NamedPackage>;

/// What an environment's floating specs ask for, with `shared`, what all environments share, unless it goes without them; of
/// one that has no floating specs, what its frozen spec holds. Constraints ask for nothing.
pub fn named(files: &EnvironmentFiles, shared: &[PathBuf]) -> Result<NamedPackages, SpecError> {
    let floating = files.floating().cloned().collect::<Vec<_>>();
    if let (true, Some(frozen)) = (floating.is_empty(), &files.frozen) {
        return Ok(of_frozen(&Frozen::load(frozen)?));
    }
    let alone = files.no_common && files.create.is_some();
    let shared = if alone { &[][..] } else { shared };
    of_specs(floating.iter().chain(shared))
}

/// What these specs and the lists that they name ask for.
pub fn of_specs<'a>(specs: impl IntoIterator<Item = &'a PathBuf>) -> Result<NamedPackages, SpecError> {
    let mut found = NamedPackages::new();
    let mut seen = BTreeSet::new();
    for spec in specs {
        take(spec, &mut found, &mut seen)?;
    }
    Ok(found)
}

/// What a frozen spec holds.
#[must_use]
fn of_frozen(frozen: &Frozen) -> NamedPackages {
    let conda = frozen.conda.iter().map(|package| &package.name);
    let names = conda.chain(frozen.pip.iter().map(|package| &package.name));
    let mut found = NamedPackages::new();
    for name in names {
        add(&mut found, name, false);
    }
    found
}

fn take(spec: &Path, found: &mut NamedPackages, seen: &mut BTreeSet<PathBuf>) -> Result<(), SpecError> {
    if !seen.insert(spec.to_owned()) {
        return Ok(());
    }
    for package in conda_packages(spec)? {
        // The interpreter is what all imports run in.
        if package.name() != "python" {
            add(found, &package.name(), false);
        }
    }
    let directory = spec.parent().unwrap_or(Path::new(""));
    for line in pip::lines(spec)? {
        if let Some(("--requirement", list)) = line.option() {
            if !list.contains("://") {
                take(&directory.join(list), found, seen)?;
            }
        } else if let Some((name, conditional)) = requirement(&line) {
            add(found, &name, conditional);
        }
    }
    Ok(())
}

fn add(found: &mut NamedPackages, name: &str, conditional: bool) {
    let package = NamedPackage {
        name: name.to_owned(),
        conditional,
    };
    let known = found.entry(normalized(name)).or_insert(package);
    known.conditional &= conditional;
}

/// The conda packages of one spec file; none of any other.
pub fn conda_packages(spec: &Path) -> Result<Vec<CondaSpec>, SpecError> {
    let kind = SpecKind::of(spec);
    if !matches!(kind, Some(SpecKind::Yml | SpecKind::Conda)) {
        return Ok(Vec::new());
    }
    let bytes = fs::read(spec).map_err(|source| SpecError::Read {
        path: spec.to_owned(),
        source,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match kind {
        Some(SpecKind::Yml) => EnvironmentSpec::parse(&text, spec)?.conda,
        _ => conda::list(&text, spec),
    })
}

/// The package that a line asks for, and whether under a condition. `None` for options, and where nothing but the archive
/// knows its name.
#[must_use]
pub fn requirement(line: &PipLine) -> Option<(String, bool)> {
    let text = match line.option() {
        Some(("--editable", source)) => source,
        Some(_) => return None,
        None => line.text.as_str(),
    };
    let (source, conditional) = match text.split_once(" ;").or_else(|| text.split_once(';')) {
        Some((source, _)) => (source.trim(), true),
        None => (text, false),
    };
    let end = source.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    let (name, rest) = source.split_at(end.unwrap_or(source.len()));
    let rest = rest.trim_start();
    let is_name = !name.is_empty() && !name.starts_with('.') && !is_archive(name);
    if is_name && (rest.is_empty() || rest.starts_with(['[', '=', '<', '>', '!', '~', '@', '(', '-'])) {
        return Some((name.to_owned(), conditional));
    }
    let (address, fragment) = source.split_once('#').unwrap_or((source, ""));
    let egg = fragment.split('&').find_map(|part| part.strip_prefix("egg="));
    let name = match egg {
        Some(egg) => egg.split('[').next()?.to_owned(),
        None => archive_name(address.rsplit('/').next()?)?,
    };
    Some((name, conditional))
}

const ARCHIVES: [&str; 4] = [".tar.gz", ".zip", ".tar.bz2", ".tgz"];

fn is_archive(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "whl")
        || ARCHIVES.iter().any(|end| name.ends_with(end))
}

/// The name in that of an archive: `x_y-1.0-py3-none-any.whl`, `x-y-1.0.tar.gz`.
fn archive_name(file: &str) -> Option<String> {
    if let Some(wheel) = file.strip_suffix(".whl") {
        return wheel.split('-').next().map(str::to_owned);
    }
    let stem = ARCHIVES.iter().find_map(|end| file.strip_suffix(end))?;
    stem.rsplit_once('-').map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_by_all_lists_but_constraints() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("e");
        fs::create_dir(&directory).unwrap();
        let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
        write(
            "e.yml",
            "dependencies:\n- python=3.12\n- conda-forge::Foo_Bar >=1\n- pip:\n  - inYml==1\n  - -r more.txt\n",
        );
        write("b.conda", "libgdal # for maps\n");
        write(
            "c.pip",
            "-c limits.txt\n--index-url https://example.org\nfoo.bar\nwin ; sys_platform == 'win32'\nx[extra]>=2\n\
             y @ https://example.org/other-1.zip\ngit+https://example.org/z.git#egg=z\n./made_here-1.0-py3-none-any.whl\n\
             https://example.org/s-t-1.2.tar.gz\ngit+https://example.org/unknown.git\n-e git+https://example.org/q#egg=q\n",
        );
        write("more.txt", "more\n");
        write("limits.txt", "limited<2\n");
        let shared = root.path().join("shared.pip");
        fs::write(&shared, "shared\n").unwrap();
        let found = named(&super::super::load(&directory).unwrap(), &[shared]).unwrap();
        let names = found.keys().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(
            names,
            [
                "foo-bar",
                "inyml",
                "libgdal",
                "made-here",
                "more",
                "q",
                "s-t",
                "shared",
                "win",
                "x",
                "y",
                "z"
            ]
        );
        let conditional = found.values().filter(|package| package.conditional);
        assert_eq!(
            conditional.map(|package| package.name.as_str()).collect::<Vec<_>>(),
            ["win"]
        );
    }

    #[test]
    fn without_floating_specs_the_frozen_one_names_them() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("e");
        fs::create_dir(&directory).unwrap();
        let text = "name: e\ndependencies:\n- python=3.12.1\n- pip:\n  - numpy==2\n";
        fs::write(directory.join("e-frozen.yml"), text).unwrap();
        let found = named(&super::super::load(&directory).unwrap(), &[]).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["numpy"]);
    }
}
