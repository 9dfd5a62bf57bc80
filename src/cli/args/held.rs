//! Which environments a command about packages looks at.

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::packages::{Environment, near};
use crate::reference::{EnvironmentName, MissionName};
use crate::workflow::{self, PackagesError, Scope};

/// Which environments are looked at, and when.
#[derive(Debug, Clone, Args)]
pub struct Held {
    /// Look at this mission alone; may be repeated
    #[arg(long, value_name = "MISSION")]
    mission: Vec<MissionName>,
    /// Look at this environment alone; may be repeated
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Vec<EnvironmentName>,
    /// Look at the files of a commit
    #[arg(long, value_name = "COMMIT", conflicts_with = "image")]
    at: Option<String>,
    /// Look at what an image says of itself
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
}

impl Held {
    /// The image that is asked for.
    pub fn image(&self) -> Option<&str> {
        self.image.as_deref()
    }

    /// The commit that is asked for.
    pub fn commit(&self) -> Option<&str> {
        self.at.as_deref().map(|commit| commit.trim_end_matches(':'))
    }

    /// The same for one mission: the one that is named, or that the settings name. An image is one mission's by itself.
    pub fn of_one_mission(&self, session: &Session) -> Result<Self, Failure> {
        let mut held = self.clone();
        if held.image.is_none() && held.mission.len() != 1 {
            held.mission = vec![session.workplace.mission(None)?];
        }
        Ok(held)
    }

    /// The mission that is asked for.
    pub fn mission(&self) -> Option<&MissionName> {
        self.mission.first()
    }

    /// The environments, with what is known of their packages. That there are none is an error.
    pub async fn environments(&self, session: &Session) -> Result<Vec<Environment>, Failure> {
        let workplace = &session.workplace;
        let scope = Scope {
            missions: self.mission.clone(),
            environments: self.env.clone(),
        };
        let find = async |scope: &Scope| match (&self.at, &self.image) {
            (Some(commit), _) => workflow::packages_of_commit(workplace, commit.trim_end_matches(':'), scope),
            (None, Some(image)) => workflow::packages_of_image(workplace, image, scope).await,
            (None, None) => workflow::packages(workplace, scope),
        };
        let found = find(&scope).await?;
        if found.is_empty() {
            let all = find(&Scope::default()).await?;
            let error = PackagesError::NoEnvironment {
                place: self.place(),
                known: all.iter().map(Environment::shown).collect(),
            };
            return Err(error.into());
        }
        Ok(found)
    }

    /// The failure that nothing of this name is in any of the environments.
    pub fn nowhere(&self, environments: &[Environment], name: &str) -> Failure {
        let unknown = environments.iter().filter(|environment| environment.unknown.is_some());
        let error = PackagesError::NoPackage {
            name: name.to_owned(),
            place: self.place(),
            near: near(environments, name),
            unknown: unknown.map(Environment::shown).collect(),
        };
        error.into()
    }

    fn place(&self) -> String {
        match (&self.at, &self.image) {
            (Some(commit), _) => format!("the commit {}", commit.trim_end_matches(':')),
            (None, Some(image)) => image.clone(),
            (None, None) => "this repository".to_owned(),
        }
    }
}
