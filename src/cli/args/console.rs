//! Arguments of the commands that let people into containers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::{ExitCode, Failure};
use crate::cli::session::Session;
use crate::mount::Mount;
use crate::reference::{ImageReference, MissionName};
use crate::workflow::{Setup, Subject};

/// Whose container it is, and what it sees of this machine.
#[derive(Debug, Clone, Args)]
pub struct ConsoleArgs {
    /// Any image in place of a mission's; it is pulled where it is not there
    #[arg(long, value_name = "REFERENCE")]
    pub image: Option<ImageReference>,
    /// See the sources of scripts, lists and environments live: `common-scripts`, `common-env` and the mission's
    /// `environments` over the installed ones
    #[arg(long, conflicts_with = "image")]
    pub dev: bool,
    /// A directory of this machine as the home directory; made where it is not there [setting: `HOME_MOUNT`]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// What else to see of this machine, beside the setting `DATA_MOUNTS`; may be repeated
    #[arg(long = "mount", value_name = "HOST:CONTAINER[:ro]")]
    mounts: Vec<Mount>,
    /// The working directory in the container
    #[arg(short = 'w', long, value_name = "DIR")]
    workdir: Option<String>,
    /// Be root in the container
    #[arg(long)]
    root: bool,
    /// Start without the image's entrypoint
    #[arg(long)]
    no_entrypoint: bool,
}

impl ConsoleArgs {
    /// Opens the session: in a repository, unless the image is somebody else's.
    pub fn session(&self, global: &crate::cli::args::Global) -> Result<Session, Failure> {
        if self.image.is_some() {
            Session::open_anywhere(global, &[])
        } else {
            Session::open(global, &[])
        }
    }

    /// Whose container it is.
    pub fn subject(&self, session: &Session, mission: Option<&str>) -> Result<Subject, Failure> {
        match (&self.image, mission) {
            (Some(_), Some(mission)) => {
                let message = format!("both the mission {mission} and --image are named");
                Err(Failure::new(ExitCode::Usage, message).hint("name one of them; a command stands behind --"))
            }
            (Some(image), None) => Ok(Subject::Image(image.clone())),
            (None, mission) => Ok(Subject::Mission(named(session, mission)?)),
        }
    }

    /// How the container is set up. Paths of the command line are those of the current directory, those of the settings
    /// those of the repository.
    pub fn setup(&self, session: &Session) -> Result<Setup, Failure> {
        let here = std::env::current_dir().map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
        let (settings, root) = (&session.workplace.settings, session.workplace.repository.root());
        let home = self.home.as_ref().filter(|home| !home.as_os_str().is_empty());
        let home = match (&self.home, home) {
            (Some(_), home) => home.map(|home| here.join(home)),
            (None, _) => settings.home_mount.as_ref().map(|home| root.join(home)),
        };
        let of_settings = settings.data_mounts.iter().map(|mount| mount.clone().below(root));
        let own = self.mounts.iter().map(|mount| mount.clone().below(&here));
        Ok(Setup {
            bare: self.no_entrypoint,
            home,
            mounts: of_settings.chain(own).collect(),
            live: self.dev,
            directory: self.workdir.clone(),
            root: self.root,
            variables: terminal(),
            port: None,
        })
    }
}

fn named(session: &Session, mission: Option<&str>) -> Result<MissionName, Failure> {
    Ok(session.workplace.mission(mission)?)
}

/// What programs must know of the terminal.
fn terminal() -> BTreeMap<String, String> {
    let known = |name: &'static str| Some((name.to_owned(), std::env::var(name).ok()?));
    ["TERM", "COLORTERM"].into_iter().filter_map(known).collect()
}
