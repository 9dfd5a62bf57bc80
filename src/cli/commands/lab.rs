//! `floe lab`: JupyterLab of an image, in a browser of this machine.

use clap::Args;

use crate::cli::args::Global;
use crate::cli::args::console::ConsoleArgs;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::image::visit::Visit;
use crate::workflow::{self, Console, LabOptions};

/// Start JupyterLab in a mission's image, for a browser on this machine
///
/// The URL is printed once the server answers; Ctrl-C ends it, and the container goes. Only this machine reaches it.
#[derive(Debug, Args)]
pub struct LabArgs {
    /// The mission; `setup-env` names one otherwise
    mission: Option<String>,
    /// The port, if not the first free one from 8888 on
    #[arg(short, long)]
    port: Option<u16>,
    #[command(flatten)]
    console: ConsoleArgs,
}

/// Starts JupyterLab.
pub async fn execute(global: &Global, args: LabArgs) -> Result<(), Failure> {
    let session = args.console.session(global)?;
    let subject = args.console.subject(&session, args.mission.as_deref())?;
    let name = subject.name();
    let console = Console {
        subject,
        visit: Visit::default(),
        setup: args.console.setup(&session)?,
    };
    let options = LabOptions {
        port: args.port,
        token: uuid::Uuid::new_v4().simple().to_string(),
    };
    let ready = |url: &str| {
        output::say(&format!("JupyterLab of {name} answers; Ctrl-C ends it"));
        // What reads the URL may have gone; the server goes on.
        let _ = output::result(&format!("{url}\n"));
    };
    workflow::lab(&session.workplace, &console, &options, &session.interrupts, ready).await?;
    output::say("JupyterLab has ended; its container is removed");
    Ok(())
}
