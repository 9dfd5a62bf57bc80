//! `floe cp`: files out of an image.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::Global;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::reference::ImageReference;
use crate::workflow::{self, Subject};

/// Copy a file or directory out of a mission's image
///
/// What is copied belongs to whoever calls, links are kept as links, and what is there in a directory stays beside it.
#[derive(Debug, Args)]
pub struct CpArgs {
    /// The path in the image, absolute, behind the mission's name where `setup-env` names another or none
    #[arg(value_name = "[MISSION:]PATH")]
    from: String,
    /// Where to: a directory, or a new name
    #[arg(default_value = ".")]
    to: PathBuf,
    /// Any image in place of a mission's; it is pulled where it is not there
    #[arg(long, value_name = "REFERENCE")]
    image: Option<ImageReference>,
}

/// Copies.
pub async fn execute(global: &Global, args: CpArgs) -> Result<(), Failure> {
    let (mission, path) = match args.from.split_once(':') {
        Some((mission, path)) if args.image.is_none() && !mission.contains('/') => (Some(mission), path),
        _ => (None, args.from.as_str()),
    };
    if !path.starts_with('/') {
        let message = format!("{path:?} is no absolute path");
        return Err(Failure::new(ExitCode::Usage, message).hint("e.g. `floe cp tiny:/opt/environments .`"));
    }
    let (session, subject) = if let Some(image) = args.image {
        (Session::open_anywhere(global, &[])?, Subject::Image(image))
    } else {
        let session = Session::open(global, &[])?;
        let mission = session.workplace.mission(mission)?;
        (session, Subject::Mission(mission))
    };
    let copied = workflow::copy(&session.workplace, &subject, path, &args.to, &session.interrupts).await?;
    output::result(&format!("{}\n", copied.display()))
}
