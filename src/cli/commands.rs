//! The commands of the host, one function each.

mod all;
mod build;
mod diff;
mod freeze;
mod push;
mod report;
mod runs;
mod solve;
mod test;

use std::collections::BTreeMap;

use super::args::{Cli, Command, Format, FreezeArgs};
use super::failure::{ExitCode, Failure};
use super::output;
use super::session::{Session, image_of};
use super::signals::Signals;
use crate::builder;

/// Runs the command that was asked for.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Diff(args) => return diff::command(&cli.global, args).await,
        Command::Report(args) => return report::command(&cli.global, args),
        Command::Runs(args) => return runs::command(&cli.global, args),
        _ => {}
    }
    let signals = Signals::listen()
        .map_err(|error| Failure::new(ExitCode::Internal, format!("interrupts cannot be heard: {error}")))?;
    // The one provider of cryptography; a second call of this in one process is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut flags = BTreeMap::new();
    if let Command::Test(args) = &cli.command {
        flags.extend(args.settings());
    }
    if let Command::Freeze(FreezeArgs { solve: true, .. }) = &cli.command {
        flags.insert("USE_FROZEN", "0".to_owned());
    }
    let session = match &cli.command {
        Command::Test(args) if args.foreign.image.is_some() => Session::open_anywhere(cli.global, &flags)?,
        _ => Session::open(cli.global, &flags)?,
    };
    match cli.command {
        Command::Build(args) => build::command(&session, &args, &signals).await,
        Command::Test(args) => test::command(&session, &args, &signals).await,
        Command::Push(selection) => {
            let missions = session.missions(&selection)?;
            push::command(&session, &missions).await
        }
        Command::All(args) => {
            let missions = session.missions(&args.missions)?;
            all::run(&session, &missions, &args, &signals).await
        }
        Command::Freeze(args) => {
            let missions = session.missions(&args.missions)?;
            if args.solve {
                solve::command(&session, &missions)
            } else {
                freeze::command(&session, &missions).await
            }
        }
        Command::Compose { mission } => {
            let mission = session.mission(mission.as_deref())?;
            let plan = session.plan(&[mission])?;
            let text = plan.images.last().map(|image| image.dockerfile.text.as_str());
            output::result(text.unwrap_or_default())
        }
        Command::Image { mission, format } => image(&session, mission.as_deref(), format).await,
        Command::Diff(_) | Command::Report(_) | Command::Runs(_) | Command::Applet { .. } => {
            Err(Failure::new(ExitCode::Internal, "this command takes no session"))
        }
    }
}

async fn image(session: &Session, mission: Option<&str>, format: Format) -> Result<(), Failure> {
    let mission = session.mission(mission)?;
    let plan = session.plan(std::slice::from_ref(&mission))?;
    let engine = session.engine().await?;
    let built = builder::find(&plan, &engine, &session.state).await?;
    let image = image_of(&built, &mission)?;
    output::result(&match format {
        Format::Text => format!("{} {}\n", image.reference, image.id),
        Format::Json => {
            let value = serde_json::json!({
                "mission": mission,
                "reference": image.reference.to_string(),
                "id": image.id,
            });
            format!("{value:#}\n")
        }
    })
}
