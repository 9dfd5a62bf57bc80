//! What a repository looks like: where missions, environments and what they share lie below its root.
//!
//! The functions give paths relative to the root, as messages show them; [`Repository`] finds the root and what is there.

pub mod carried;
mod inspection;
mod misnamed;

use std::path::{Path, PathBuf};

use crate::reference::{EnvironmentName, MissionName};

pub use self::inspection::DefinitionError;

/// The directory of all missions.
pub const MISSIONS: &str = "missions";

/// The directory of all deployments.
pub const DEPLOYMENTS: &str = "deployments";

/// What all missions share: the context of the common image.
pub const COMMON: &str = "common";

/// The context of the base image that is made from Debian's packages.
pub const BASE: &str = "common/base";

/// The end of every mission's Dockerfile.
pub const TRAILER: &str = "common/Dockerfile.trailer";

/// The lists that all environments share, with the frozen spec of the base environment.
pub const COMMON_ENV: &str = "common/common-env";

/// The settings of a site or person.
pub const SETUP_ENV: &str = "setup-env";

/// What the Jobs are like that run tests on a cluster.
pub const KUBERNETES: &str = "kubernetes.yml";

/// The directory of environments in a mission's own directory.
pub const ENVIRONMENTS: &str = "environments";

/// The directory of the agent's programs in the context of the common image.
pub const SCRIPTS: &str = "common-scripts";

/// A mission's own directory of what a new user's home directory starts with.
pub const HOME_CONTENTS: &str = "default-home-contents";

/// The directory of a mission.
#[must_use]
pub fn mission(name: &MissionName) -> PathBuf {
    Path::new(MISSIONS).join(name.as_str())
}

/// The directory of a mission's environments.
#[must_use]
pub fn environments(mission: &MissionName) -> PathBuf {
    self::mission(mission).join(ENVIRONMENTS)
}

/// The frozen spec of the base environment.
#[must_use]
pub fn base_frozen() -> PathBuf {
    Path::new(COMMON_ENV).join("base-frozen.yml")
}

/// The mission that a path in a repository belongs to, if it is one of a mission's.
#[must_use]
pub fn mission_of(path: &Path) -> Option<MissionName> {
    let names = path.iter().filter_map(|name| name.to_str()).collect::<Vec<_>>();
    // The repository itself may lie below a directory of that name.
    let at = names.iter().rposition(|name| *name == MISSIONS)?;
    names.get(at + 1)?.parse().ok()
}

/// A repository on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    root: PathBuf,
    /// The directory that holds `common/`, where that is not the root.
    common: Option<PathBuf>,
}

impl Repository {
    /// Looks at everything below a directory of definitions, `missions/<mission>` or `common`, before any of it is read.
    pub fn inspect(&self, directory: impl AsRef<Path>) -> Result<(), DefinitionError> {
        inspection::inspect(&self.root, directory.as_ref())
    }

    /// The repository that `directory` lies in: the nearest directory upwards with `missions/`.
    #[must_use]
    pub fn around(directory: &Path) -> Option<Self> {
        let holds = |root: &&Path| root.join(MISSIONS).is_dir();
        directory.ancestors().find(holds).map(Self::at)
    }

    /// The repository of deployments that `directory` lies in: the nearest directory upwards with `deployments/`. It may
    /// hold missions, too.
    #[must_use]
    pub fn of_deployments_around(directory: &Path) -> Option<Self> {
        let holds = |root: &&Path| root.join(DEPLOYMENTS).is_dir();
        directory.ancestors().find(holds).map(Self::at)
    }

    /// The repository at `root`, whatever is there.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            common: None,
        }
    }

    /// Whether it holds deployments.
    #[must_use]
    pub fn has_deployments(&self) -> bool {
        self.path(DEPLOYMENTS).is_dir()
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The place of what `path` names below the root; what is below `common/` may be floe's own.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.above(&path).join(path)
    }

    /// The directory that `path`, which is relative to the root, is found below.
    #[must_use]
    pub fn above(&self, path: impl AsRef<Path>) -> &Path {
        let common = self.common.as_deref().filter(|_| path.as_ref().starts_with(COMMON));
        common.unwrap_or(&self.root)
    }

    /// The path of `path` below the root; `path` itself, if it lies elsewhere.
    #[must_use]
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        let of_common = self.common.as_ref().and_then(|common| path.strip_prefix(common).ok());
        let of_common = of_common.filter(|path| path.starts_with(COMMON));
        of_common.unwrap_or_else(|| path.strip_prefix(&self.root).unwrap_or(path))
    }

    /// The missions, in the order of their names.
    #[must_use]
    pub fn missions(&self) -> Vec<MissionName> {
        let mut names = directories::<MissionName>(&self.path(MISSIONS));
        names.sort();
        names
    }

    /// The directory of a mission's environments.
    #[must_use]
    pub fn environments(&self, mission: &MissionName) -> PathBuf {
        self.path(environments(mission))
    }

    /// The environments that the image of a mission holds, as far as its files tell: the base environment, and one for
    /// each directory below `environments/`.
    #[must_use]
    pub fn environment_names(&self, mission: &MissionName) -> Vec<EnvironmentName> {
        let mut names = directories::<EnvironmentName>(&self.environments(mission));
        names.push(EnvironmentName::base());
        names.sort();
        names.dedup();
        names
    }
}

/// The directories below `directory` whose names are well formed.
fn directories<Name: std::str::FromStr>(directory: &Path) -> Vec<Name> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_repository_is_found_from_any_directory_below_it() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("missions/m/environments");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(Repository::around(dir.path().parent().unwrap()), None);
        assert_eq!(Repository::around(&deep), Some(Repository::at(dir.path())));
    }

    #[test]
    fn a_mission_has_the_base_environment_and_one_for_each_directory() {
        let dir = tempfile::tempdir().unwrap();
        for environment in ["cal", "base", "Old"] {
            fs::create_dir_all(dir.path().join("missions/m/environments").join(environment)).unwrap();
        }
        fs::write(dir.path().join("missions/m/environments/test"), "").unwrap();
        fs::create_dir_all(dir.path().join("missions/Not One")).unwrap();
        let repository = Repository::at(dir.path());
        let missions = repository.missions();
        assert_eq!(missions, ["m".parse().unwrap()]);
        let names = repository.environment_names(&missions[0]);
        assert_eq!(names, ["Old", "base", "cal"].map(|name| name.parse().unwrap()));
    }
}
