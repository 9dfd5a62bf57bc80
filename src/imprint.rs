//! What an image says of itself: `/opt/floe/image.json`, and all of its packages in a file beside it.
//!
//! Both are in the last layer, which is small: what a build knows of its commit changes no other. The host tells what it knows by
//! a build argument, and floe's own program in the image adds what is installed.

use serde::{Deserialize, Serialize};

use crate::packages::{Environment, Manager};
use crate::reference::{Digest, EnvironmentName, MissionName};

/// The name of the file that says what the image is.
pub const IMAGE: &str = "image.json";

/// The name of the file that says what it holds: [`Environment`]s, as JSON.
pub const PACKAGES: &str = "packages.json";

/// What the host knows of an image that it is about to build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The mission.
    pub mission: MissionName,
    /// The last commit that touched its inputs; `None` where they are not as a commit left them.
    pub commit: Option<String>,
    /// The digest of its inputs.
    pub input_digest: Digest,
    /// Whether it was built from frozen specs.
    pub frozen: bool,
    /// The version of floe.
    pub floe: String,
}

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imprint {
    /// What was known of it before it was built; `None` where another program than floe built it.
    #[serde(flatten)]
    pub build: Option<Build>,
    /// Its environments, in the order of names.
    pub environments: Vec<Summary>,
}

/// An environment of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its name.
    pub name: EnvironmentName,
    /// Its python, if it has one.
    pub python: Option<String>,
    /// How many packages are conda's.
    pub conda: usize,
    /// How many packages are pip's.
    pub pip: usize,
    /// How many bytes its files take.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
}

impl Imprint {
    /// What an image with these environments says of itself.
    #[must_use]
    pub fn of(build: Option<Build>, environments: &[Environment]) -> Self {
        let summary = |environment: &Environment| {
            let of = |manager| {
                environment
                    .packages
                    .iter()
                    .filter(move |package| package.manager == manager)
            };
            Summary {
                name: environment.name.clone(),
                python: environment.python().map(str::to_owned),
                conda: of(Manager::Conda).count(),
                pip: of(Manager::Pip).count(),
                size: environment.size,
            }
        };
        Self {
            build,
            environments: environments.iter().map(summary).collect(),
        }
    }
}
