//! The directory of an environment: which spec files it holds, and the recipe that they amount to.

pub mod conda;
mod digest;
mod included;
pub mod named;
pub mod pip;
mod unread;
pub mod yml;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::image;
use crate::image::applet::{ENV_CLONE, ENV_CREATE, ENV_UPDATE, INSTALL_COMMON};
use crate::reference::EnvironmentName;
use crate::spec::frozen::Frozen;

pub use super::error::SpecError;
pub use conda::CondaSpec;
pub use digest::{digest, digest_of, digest_of_lists};
pub use included::{Lists, with_included};
pub use unread::unread;
pub use yml::EnvironmentSpec;

/// What a spec file lists, by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecKind {
    /// An `environment.yml` as conda reads it.
    Yml,
    /// One conda package on each line.
    Conda,
    /// A requirements file.
    Pip,
}

impl SpecKind {
    /// The kind of `path`: what follows the last dot of its name decides. `None` for any other file.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "yml" | "yaml" => Some(Self::Yml),
            "conda" => Some(Self::Conda),
            "pip" => Some(Self::Pip),
            _ => None,
        }
    }
}

/// The file in an environment's directory by which it goes without what all environments share.
pub const NO_COMMON: &str = "no-common";

/// The spec files of one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentFiles {
    /// The environment: the name of its directory.
    pub name: EnvironmentName,
    /// The directory.
    pub directory: PathBuf,
    /// `<env>.yml`, from which the environment is created instead of being cloned from the base environment.
    pub create: Option<PathBuf>,
    /// The other spec files: `*.yml`, then `*.conda`, then `*.pip`, each in the order of names.
    pub updates: Vec<PathBuf>,
    /// `<env>-frozen.yml`.
    pub frozen: Option<PathBuf>,
    /// Whether the environment goes without the packages that all environments share (a file `no-common`).
    pub no_common: bool,
    /// What Jupyter shows: the text of `kernel.name`, else the name.
    pub display_name: String,
}

impl EnvironmentFiles {
    /// The spec files that a floating build reads, in the order of its recipe.
    pub fn floating(&self) -> impl Iterator<Item = &PathBuf> {
        self.create.iter().chain(&self.updates)
    }
}

/// Reads which spec files the environment's directory `dir` holds.
pub fn load(dir: &Path) -> Result<EnvironmentFiles, SpecError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let name = name.parse::<EnvironmentName>().map_err(|source| SpecError::Name {
        path: dir.to_owned(),
        source,
    })?;
    let mut files = EnvironmentFiles {
        create: None,
        updates: Vec::new(),
        frozen: None,
        no_common: dir.join(NO_COMMON).exists(),
        display_name: display_name(dir, &name)?,
        directory: dir.to_owned(),
        name,
    };
    for path in spec_files(dir)? {
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let only = match SpecKind::of(&path) {
            Some(SpecKind::Yml) if stem == files.name.as_str() => &mut files.create,
            Some(SpecKind::Yml) if stem.strip_suffix("-frozen") == Some(files.name.as_str()) => &mut files.frozen,
            // One of another name is of another environment, or of an earlier name of this one.
            Some(SpecKind::Yml) if Frozen::is_frozen(&path) => continue,
            _ => {
                files.updates.push(path);
                continue;
            }
        };
        if let Some(first) = only.replace(path.clone()) {
            return Err(SpecError::Ambiguous { first, second: path });
        }
    }
    if files.create.is_none() && files.updates.is_empty() && files.frozen.is_none() {
        return Err(SpecError::Empty {
            path: dir.to_owned(),
            name: files.name,
        });
    }
    Ok(files)
}

/// The spec files in `dir`: `*.yml`, then `*.conda`, then `*.pip`, each in the order of names; hidden files are left out.
pub fn spec_files(dir: &Path) -> Result<Vec<PathBuf>, SpecError> {
    let failed = |source| SpecError::Read {
        path: dir.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if let Some(kind) = SpecKind::of(&path).filter(|_| !hidden && path.is_file()) {
            found.push((kind, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// What Jupyter shows for the environment whose directory is `dir`: the first line of `kernel.name`, else its name.
pub fn display_name(dir: &Path, name: &EnvironmentName) -> Result<String, SpecError> {
    let path = dir.join("kernel.name");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(SpecError::Read { path, source }),
    };
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    Ok(line.unwrap_or(name.as_str()).to_owned())
}

/// One step of a recipe: a program of `/opt/common-scripts` and its arguments.
///
/// Displayed, it is a line for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The program's name.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Step {
    fn new(program: &'static str, arguments: impl IntoIterator<Item = String>) -> Self {
        Self {
            program,
            arguments: arguments.into_iter().collect(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program)?;
        for argument in &self.arguments {
            write!(f, " {}", quoted(argument))?;
        }
        Ok(())
    }
}

/// The steps that make an environment inside an image, where its files are in `/opt/environments`.
///
/// In frozen mode the frozen spec alone counts, so it must be there. The base environment exists already: it is only
/// ever updated.
pub fn recipe(files: &EnvironmentFiles, frozen: bool) -> Result<Vec<Step>, SpecError> {
    let name = files.name.to_string();
    let in_image = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        format!("{}/{name}/{file}", image::ENVIRONMENTS)
    };
    let base = files.name.is_base();
    if frozen {
        let missing = || SpecError::NotFrozen {
            path: files.directory.join(format!("{name}-frozen.yml")),
        };
        let file = in_image(files.frozen.as_ref().ok_or_else(missing)?);
        let program = if base { ENV_UPDATE } else { ENV_CREATE };
        return Ok(vec![Step::new(program, [name, file])]);
    }
    let mut steps = Vec::new();
    match &files.create {
        Some(yml) if base => steps.push(Step::new(ENV_UPDATE, [name.clone(), in_image(yml)])),
        Some(yml) => steps.push(Step::new(ENV_CREATE, [name.clone(), in_image(yml)])),
        None if base => {}
        None => steps.push(Step::new(
            ENV_CLONE,
            [EnvironmentName::base().to_string(), name.clone()],
        )),
    }
    if !files.no_common && !base {
        steps.push(Step::new(INSTALL_COMMON, [name.clone()]));
    }
    if !files.updates.is_empty() {
        let updates = files.updates.iter().map(in_image);
        steps.push(Step::new(ENV_UPDATE, std::iter::once(name.clone()).chain(updates)));
    }
    Ok(steps)
}

/// The spec files of an environment that is solved, in the order of its recipe. A copy of the base environment has what is
/// `shared` already.
#[must_use]
pub fn in_order(files: &EnvironmentFiles, shared: &[PathBuf]) -> Vec<PathBuf> {
    let shared = shared.iter().filter(|_| !files.no_common && files.create.is_some());
    let files = files.create.iter().chain(shared).chain(&files.updates);
    files.cloned().collect()
}

/// The word as a shell reads it back.
fn quoted(word: &str) -> String {
    // What cannot be quoted holds a NUL, which is in no file's name.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Explained as _;

    fn environment(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("my.env");
        fs::create_dir(&dir).unwrap();
        for file in files {
            fs::write(dir.join(file), "").unwrap();
        }
        (root, dir)
    }

    fn steps(files: &[&str], frozen: bool) -> Vec<String> {
        let (_root, dir) = environment(files);
        let steps = recipe(&load(&dir).unwrap(), frozen).unwrap();
        steps.iter().map(Step::to_string).collect()
    }

    #[test]
    fn what_follows_the_last_dot_is_the_extension() {
        let (_root, dir) = environment(&[
            "list.v2.pip",
            "b.conda",
            "a.pip",
            "z.yml",
            "notes.txt",
            ".hidden.pip",
            "pip",
        ]);
        let files = load(&dir).unwrap();
        let names = files.updates.iter().map(|p| p.file_name().unwrap().to_str().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["z.yml", "b.conda", "a.pip", "list.v2.pip"]);
        assert_eq!((files.create, files.frozen), (None, None));
    }

    #[test]
    fn the_environments_own_yml_creates_it() {
        assert_eq!(
            steps(&["my.env.yml", "my.env-frozen.yml", "extra.pip"], false),
            [
                "env-create my.env /opt/environments/my.env/my.env.yml",
                "install-common my.env",
                "env-update my.env /opt/environments/my.env/extra.pip"
            ]
        );
    }

    #[test]
    fn without_a_yml_of_its_own_it_is_a_clone_of_base() {
        assert_eq!(
            steps(&["a b.pip", "no-common"], false),
            [
                "env-clone base my.env",
                "env-update my.env '/opt/environments/my.env/a b.pip'"
            ]
        );
    }

    #[test]
    fn a_frozen_build_reads_the_frozen_spec_alone() {
        assert_eq!(
            steps(&["my.env.yml", "a.pip", "my.env-frozen.yml"], true),
            ["env-create my.env /opt/environments/my.env/my.env-frozen.yml"]
        );
        let (_root, dir) = environment(&["a.pip"]);
        let error = recipe(&load(&dir).unwrap(), true).unwrap_err();
        let missing = dir.join("my.env-frozen.yml");
        assert!(
            error
                .to_string()
                .starts_with(&format!("{} is missing", missing.display())),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("--use-frozen 0"));
    }

    #[test]
    fn the_base_environment_is_updated_and_never_created() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("base");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("extra.pip"), "").unwrap();
        let steps = recipe(&load(&dir).unwrap(), false).unwrap();
        let lines = steps.iter().map(Step::to_string).collect::<Vec<_>>();
        assert_eq!(lines, ["env-update base /opt/environments/base/extra.pip"]);
    }

    #[test]
    fn an_environment_without_any_spec_is_refused_with_a_hint() {
        let (_root, dir) = environment(&["kernel.name"]);
        let error = load(&dir).unwrap_err();
        assert!(matches!(error, SpecError::Empty { .. }), "{error}");
        assert!(error.hint().unwrap().contains("my.env.pip"));
    }

    #[test]
    fn two_files_that_create_the_environment_are_refused() {
        let (_root, dir) = environment(&["my.env.yml", "my.env.yaml"]);
        assert!(matches!(load(&dir), Err(SpecError::Ambiguous { .. })));
    }

    #[test]
    fn the_display_name_is_the_text_of_kernel_name() {
        let (_root, dir) = environment(&["a.pip"]);
        assert_eq!(load(&dir).unwrap().display_name, "my.env");
        fs::write(dir.join("kernel.name"), "\r\n  My Environment \r\n").unwrap();
        assert_eq!(load(&dir).unwrap().display_name, "My Environment");
    }
}
