//! `floe shell`: a shell in an image.

use clap::Args;

use crate::cli::args::Global;
use crate::cli::args::console::ConsoleArgs;
use crate::cli::console::{self, Desk};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::image::visit::Visit;
use crate::reference::{EnvironmentName, TestId};
use crate::workflow::{self, Console};

/// Open a shell in a mission's image
///
/// The image is built only where there is none; one that is stale is used as it is, and that is said. The container goes when the
/// shell ends. The exit code is the shell's own; what keeps it from starting ends with a code of floe's own and a message.
#[derive(Debug, Args)]
pub struct ShellArgs {
    /// The mission; `setup-env` names one otherwise
    mission: Option<String>,
    /// The environment that is active
    #[arg(short, long = "env", value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// Go to the place of a test: a copy of its directory, with its environment active
    #[arg(long, value_name = "TEST", conflicts_with = "image")]
    at: Option<TestId>,
    #[command(flatten)]
    console: ConsoleArgs,
}

/// Opens a shell.
pub async fn execute(global: &Global, args: ShellArgs) -> Result<(), Failure> {
    let session = args.console.session(global)?;
    let console = Console {
        subject: args.console.subject(&session, args.mission.as_deref())?,
        visit: Visit {
            environment: args.environment,
            test: args.at,
            ..Visit::default()
        },
        setup: args.console.setup(&session)?,
    };
    enter(&session, &console).await
}

/// Lets whoever calls into the container, and ends as the command does.
pub(super) async fn enter(session: &Session, console: &Console) -> Result<(), Failure> {
    let terminal = console::is_terminal();
    let mut desk = Desk::default();
    let open = || desk.open(terminal);
    let ended = workflow::console(&session.workplace, console, terminal, &session.interrupts, open).await;
    // What a reader does not take keeps a call that was ended from no end.
    desk.close(ended.as_ref().is_ok_and(|gone| gone.whole)).await;
    console::ended(ended?.code)
}
