//! Which packages the specs of a mission ask for now and did not before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{WorkflowError, Workplace};
use crate::git;
use crate::plan;
use crate::reference::{EnvironmentName, MissionName};
use crate::repository::{self, Repository};
use crate::spec::env::named::{self, NamedPackage, NamedPackages};
use crate::spec::env::{self, SpecError};
use crate::state::FileError;

/// The specs of a mission at some time.
#[derive(Debug, Clone, PartialEq)]
pub enum SpecsAt {
    /// As the files are.
    Now,
    /// As a commit has them, by any name of it.
    Commit(String),
    /// Before there were any.
    Never,
}

/// What was added to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The environment.
    pub environment: EnvironmentName,
    /// The packages, in the order of their names.
    pub packages: Vec<NamedPackage>,
}

/// The packages that the specs of a mission ask for at `now` and did not `before`, for each of its environments to which any
/// was added. Names are compared as pip compares them, conda's as well: a package that moved from one list to another was not
/// added. What was added to the lists that all environments share was added to each, and to the base environment.
pub fn added(
    repository: &Repository,
    mission: &MissionName,
    before: &SpecsAt,
    now: &SpecsAt,
) -> Result<Vec<Added>, WorkflowError> {
    let before = packages(repository, mission, before)?;
    let environments = packages(repository, mission, now)?.into_iter();
    let new = environments.map(|(environment, packages)| {
        let known = before.get(&environment);
        let is_new = |name: &String| known.is_none_or(|known| !known.contains_key(name));
        let packages = packages.into_iter().filter(|(name, _)| is_new(name));
        Added {
            packages: packages.map(|(_, package)| package).collect(),
            environment,
        }
    });
    Ok(new.filter(|added| !added.packages.is_empty()).collect())
}

/// The commit that changes of a mission's specs are told from where none is named, and whether there was one: `HEAD` where
/// specs were edited since; else what came before the last commit that touched them.
pub fn before_last_change(workplace: &Workplace, mission: &MissionName) -> Result<SpecsAt, WorkflowError> {
    let root = workplace.repository.root();
    let unknown = |error: git::GitError| WorkflowError::Since {
        reason: error.to_string(),
    };
    let environments = repository::environments(mission);
    let environments = environments.display();
    let common = repository::COMMON_ENV;
    let specs = [
        format!(":(glob){environments}/*/*"),
        format!(":(glob){common}/*"),
        format!(":(exclude,glob){environments}/*/tests/**"),
        format!(":(exclude,glob){environments}/*/kernel.name"),
        ":(exclude,glob)**/*-frozen.*".to_owned(),
    ];
    if git::is_edited(root, &specs).map_err(unknown)? {
        return Ok(SpecsAt::Commit("HEAD".to_owned()));
    }
    Ok(match git::before_last_touch(root, &specs).map_err(unknown)? {
        Some(commit) => SpecsAt::Commit(commit),
        None => SpecsAt::Never,
    })
}

fn packages(
    repository: &Repository,
    mission: &MissionName,
    at: &SpecsAt,
) -> Result<BTreeMap<EnvironmentName, NamedPackages>, WorkflowError> {
    match at {
        SpecsAt::Never => Ok(BTreeMap::new()),
        SpecsAt::Now => Ok(of_files(repository, mission)?),
        SpecsAt::Commit(commit) => {
            let scratch = tempfile::tempdir().map_err(FileError::of(&std::env::temp_dir()))?;
            let paths = [repository::environments(mission), PathBuf::from(repository::COMMON_ENV)];
            git::files_of_commit(repository.root(), commit, &paths, scratch.path()).map_err(|error| {
                WorkflowError::Since {
                    reason: error.to_string(),
                }
            })?;
            Ok(of_files(&Repository::at(scratch.path()), mission)?)
        }
    }
}

fn of_files(
    repository: &Repository,
    mission: &MissionName,
) -> Result<BTreeMap<EnvironmentName, NamedPackages>, SpecError> {
    let shared = plan::shared_specs(repository)?;
    let base = EnvironmentName::base();
    let mut found = BTreeMap::from([(base.clone(), named::of_specs(&shared)?)]);
    let directory = repository.environments(mission);
    for name in repository.environment_names(mission) {
        match environment(&directory.join(name.as_str()), &shared) {
            Ok(packages) => {
                found.insert(name, packages);
            }
            Err(SpecError::Empty { .. } | SpecError::Read { .. }) if name == base => {}
            // Tests alone, of an environment that a Dockerfile makes its own way.
            Err(SpecError::Empty { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn environment(directory: &Path, shared: &[PathBuf]) -> Result<NamedPackages, SpecError> {
    named::named(&env::load(directory)?, shared)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    struct Case(tempfile::TempDir);

    impl Case {
        fn new() -> Self {
            let case = Self(tempfile::tempdir().unwrap());
            case.write("common/common-env/all.pip", "ipykernel\n");
            case.write("missions/m/environments/e/e.pip", "numpy\n");
            case.write("missions/m/environments/f/f.conda", "numpy\n");
            case.git(&["init", "-q"]);
            case.commit();
            case
        }

        fn write(&self, path: &str, text: &str) {
            let file = self.0.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }

        fn git(&self, words: &[&str]) {
            let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
            let mut command = Command::new("git");
            let status = command.arg("-C").arg(self.0.path()).args(identity).args(words).status();
            assert!(status.unwrap().success());
        }

        fn commit(&self) {
            self.git(&["add", "."]);
            self.git(&["commit", "-qm", "x"]);
        }

        fn added(&self, before: &SpecsAt) -> Vec<String> {
            let added = added(
                &Repository::at(self.0.path()),
                &"m".parse().unwrap(),
                before,
                &SpecsAt::Now,
            )
            .unwrap();
            let shown = added.iter().flat_map(|added| {
                let packages = added.packages.iter();
                packages.map(|package| format!("{} {}", added.environment, package.name))
            });
            shown.collect()
        }
    }

    #[test]
    fn what_is_named_now_and_was_not_before_is_added_and_what_moved_or_has_another_version_is_not() {
        let case = Case::new();
        let head = SpecsAt::Commit("HEAD".to_owned());
        assert_eq!(case.added(&head), [""; 0]);
        case.write("missions/m/environments/e/e.pip", "numpy>=2\nSci_Py\n");
        fs::remove_file(case.0.path().join("missions/m/environments/f/f.conda")).unwrap();
        case.write("missions/m/environments/f/f.pip", "NumPy\n");
        assert_eq!(case.added(&head), ["e Sci_Py"]);
        case.write("common/common-env/all.pip", "ipykernel\ntqdm\n");
        assert_eq!(case.added(&head), ["base tqdm", "e Sci_Py", "e tqdm", "f tqdm"]);
    }

    #[test]
    fn an_environment_that_was_not_there_is_added_as_a_whole() {
        let case = Case::new();
        case.write("missions/m/environments/new/new.pip", "six\n");
        case.commit();
        let before = SpecsAt::Commit("HEAD^".to_owned());
        assert_eq!(case.added(&before), ["new ipykernel", "new six"]);
        assert_eq!(case.added(&SpecsAt::Never).len(), 7);
    }
}
