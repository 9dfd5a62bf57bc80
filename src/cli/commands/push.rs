//! `floe push`: images that passed their tests go to the registry; others are refused.

use clap::Args;

use crate::builder::Built;
use crate::cli::args::{Global, Missions, TagArgs};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::workflow::{self, Pushed};

/// Push images that passed their tests, and refuse others
#[derive(Debug, Args)]
pub struct PushArgs {
    #[command(flatten)]
    missions: Missions,
    #[command(flatten)]
    tags: TagArgs,
}

/// Pushes the images of missions, as they were built.
pub async fn execute(global: &Global, args: &PushArgs) -> Result<(), Failure> {
    let session = Session::open(global, &args.tags.flags())?;
    let missions = args.missions.of(&session.workplace)?;
    let mut printed = Ok(());
    workflow::push(&session.workplace, &missions, &session.interrupts, |image, pushed| {
        let text = say(image, &pushed);
        printed = text.map_or(Ok(()), |text| output::result(&text));
    })
    .await?;
    printed
}

/// Says what became of an image. Returns the result to print: the reference by which it is pulled.
pub(super) fn say(image: &Built, pushed: &Pushed) -> Option<String> {
    match pushed {
        Pushed::Stays(tag) => {
            let name = &image.role;
            output::say(&format!("{name} stays on this machine as {tag}: no REGISTRY is set"));
            None
        }
        Pushed::Arrived(target, published) => {
            let verb = if published.sent { "pushed" } else { "is there already:" };
            let attached = if published.attached > 0 {
                "; its evidence is attached"
            } else {
                ""
            };
            output::say(&format!("{} {verb} {target}{attached}", image.role));
            for tagged in &published.tags {
                let before = tagged
                    .moved
                    .as_ref()
                    .map(|before| format!("; it named {before} before"));
                let before = before.unwrap_or_default();
                output::say(&format!("{}:{} names it, too{before}", target.repository, tagged.tag));
            }
            Some(format!("{}@{}\n", target.repository, published.digest))
        }
    }
}
