//! The host's own agent, as the first process of a container that runs tests.
//!
//! Nothing in the container comes before it, can end it, or can look into it: the kernel lets no signal of its own
//! namespace end a first process, and keeps what is not dumpable from processes of the same user. It reads what the host
//! asks and what the mission's files define before anything of the image runs.

use std::path::PathBuf;
use std::time::Duration;

use super::entrypoint;
use super::machine::{Machine, children_and_signals, display, request_of_host, unless_interrupted};
use super::place::Place;
use super::relay::Relay;
use super::script::Script;
use crate::cli::args::run::RunArgs;
use crate::cli::failure::{ExitCode, Failure};
use crate::event::{Event, Summary};
use crate::image::{self, variable};
use crate::process;
use crate::server;
use crate::suite::discover;
use crate::suite::request::{Duty, RequestError};
use crate::suite::untouched::{self, Watched};

/// Does what the host asks for.
pub async fn run() -> Result<(), Failure> {
    process::hide().map_err(|error| Failure::new(ExitCode::Internal, format!("the agent cannot hide: {error}")))?;
    let here = Place::here()?;
    let interrupts = children_and_signals()?;
    let request = request_of_host(&here)?.ok_or(RequestError::Missing)?;
    let events = display(&here);
    let environments = here.setting(variable::ENVIRONMENTS);
    let environments = environments.map_or_else(|| PathBuf::from(image::ENVIRONMENTS), PathBuf::from);
    let defined = match request.duty {
        Duty::Server { .. } => None,
        Duty::Suite | Duty::Script(_) => Some(discover::load(&environments)?),
    };
    let defined = defined.unwrap_or_default();
    let relay = Relay::new(events.clone());
    let events = events.as_ref();
    let watched = (!request.fixed.is_empty()).then(|| {
        let listed = std::fs::read_to_string("/etc/passwd").map(|users| untouched::homes(&users));
        let own = here.setting("HOME").map(PathBuf::from);
        Watched::now(&request.fixed, listed.unwrap_or_default().into_iter().chain(own))
    });
    let place = entrypoint::pass(&request.entrypoint, &here, &interrupts, events, &relay).await?;
    std::env::set_current_dir(&place.directory).map_err(|error| {
        let message = format!("the image's working directory {}: {error}", place.directory.display());
        Failure::new(ExitCode::Invalid, message)
    })?;
    let machine = Machine::of(place.as_told(&here))?;
    let summary = match &request.duty {
        Duty::Suite => {
            let asked = machine.asked(&RunArgs::default(), Some(request))?;
            machine.test_selected(&defined, &asked, &interrupts, events).await?
        }
        Duty::Script(id) => {
            let script = Script {
                id,
                program: &environments.join(image::MISSION_SCRIPT),
                agent: &here,
                place: &place,
                request: &request,
                defined: &defined,
                interrupts: &interrupts,
                events,
            };
            script.run(&relay).await?
        }
        Duty::Server {
            tests,
            start_timeout,
            command,
        } => {
            let command = match command.as_slice() {
                [] => vec![server::COMMAND.to_owned()],
                words => words.to_vec(),
            };
            let subject = server::Subject {
                tests: tests.clone(),
                command,
            };
            let limit = Duration::from_secs(*start_timeout);
            machine.test_server(&subject, limit, &interrupts, events).await?
        }
    };
    unless_interrupted(&interrupts)?;
    let home = place.setting("HOME").map(PathBuf::from);
    if let Some(watched) = watched {
        let paths = watched.behind().to_vec();
        if !paths.is_empty() {
            events.emit(Event::Behind { paths });
        }
        if watched.is_untouched(home.as_deref()) {
            events.emit(Event::Untouched);
        }
    }
    // That nothing ran is for the host to judge.
    match summary {
        Summary { failed: 0, .. } => Ok(()),
        _ => Err(Failure::shown(ExitCode::TestsFailed)),
    }
}
