//! `floe exec`: a command in an image.

use clap::Args;

use super::shell::enter;
use crate::cli::args::Global;
use crate::cli::args::console::ConsoleArgs;
use crate::cli::failure::Failure;
use crate::image::visit::Visit;
use crate::reference::EnvironmentName;
use crate::workflow::Console;

/// Run a command in a mission's image
///
/// Its input, output and signals are those of this call, a terminal as well as a pipe, and so is its exit code: 127 where
/// the image has no such program, 126 where it cannot be run. What keeps it from starting at all ends with a code of
/// floe's own and a message that begins with `error:`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The mission; `setup-env` names one otherwise
    mission: Option<String>,
    /// The environment that is active
    #[arg(short, long = "env", value_name = "ENV")]
    environment: Option<EnvironmentName>,
    #[command(flatten)]
    console: ConsoleArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command.
pub async fn execute(global: &Global, args: ExecArgs) -> Result<(), Failure> {
    let session = args.console.session(global)?;
    let console = Console {
        subject: args.console.subject(&session, args.mission.as_deref())?,
        visit: Visit {
            command: args.command,
            environment: args.environment,
            ..Visit::default()
        },
        setup: args.console.setup(&session)?,
    };
    enter(&session, &console).await
}
