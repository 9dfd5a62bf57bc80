//! The image's entrypoint: what a person's server is started behind, tests run behind too.
//!
//! The agent is the first process of a container and starts tests itself, so it lets the entrypoint run once, with the
//! agent's program as its command, to learn which variables and which working directory it leaves to what it starts.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::place::Place;
use super::relay::Relay;
use crate::cli::failure::{ExitCode, Failure};
use crate::event::{Event, Sink};
use crate::image::applet::SURROUNDINGS;
use crate::workflow::Interrupts;

/// How long an entrypoint may take.
const LIMIT: Duration = Duration::from_mins(5);

/// How often it is looked for what the entrypoint has left.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How long an entrypoint may take to end after what it started.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Tells tini, the entrypoint of many images, that it adopts orphans though it is not the first process.
pub const TINI_SUBREAPER: &str = "TINI_SUBREAPER";

/// What the program behind the entrypoint tells the agent.
#[derive(Serialize, Deserialize)]
struct Told {
    place: Place,
    user: u32,
}

/// Tells the agent what surrounds this process: the program behind the entrypoint.
pub fn tell(place: Place, file: &Path) -> Result<(), Failure> {
    let told = Told {
        place,
        user: rustix::process::geteuid().as_raw(),
    };
    let text = serde_json::to_vec(&told).map_err(io::Error::from);
    text.and_then(|text| fs::write(file, text))
        .map_err(|error| Failure::new(ExitCode::Internal, format!("{}: {error}", file.display())))
}

/// Lets the entrypoint run, and returns what surrounds a process that it starts; what surrounds the agent if there is none.
///
/// What the entrypoint starts beside that goes on.
pub async fn pass(
    entrypoint: &[String],
    here: &Place,
    interrupts: &Interrupts,
    events: &dyn Sink,
    relay: &Relay,
) -> Result<Place, Failure> {
    let Some((program, arguments)) = entrypoint.split_first() else {
        return Ok(here.clone());
    };
    let internal = |error: io::Error| Failure::new(ExitCode::Internal, format!("the image's entrypoint: {error}"));
    // An entrypoint may go on as another user.
    let directory = tempfile::Builder::new()
        .prefix("floe-entrypoint-")
        .permissions(Permissions::from_mode(0o711))
        .tempdir()
        .map_err(internal)?;
    let file = directory.path().join("surroundings.json");
    fs::write(&file, "").map_err(internal)?;
    fs::set_permissions(&file, Permissions::from_mode(0o666)).map_err(internal)?;
    let (reader, writer) = io::pipe().map_err(internal)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(std::env::current_exe().map_err(internal)?)
        .args(["applet", SURROUNDINGS])
        .arg(&file)
        .env_clear()
        .envs(here.of_tests())
        // It is not the first process here, of which tini would warn.
        .env(TINI_SUBREAPER, "1")
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(internal)?)
        .stderr(writer);
    let mut child = command.spawn().map_err(|error| {
        let message = format!("the image's entrypoint cannot be started: {program}: {error}");
        Failure::new(ExitCode::Invalid, message)
    })?;
    drop(command);
    relayed(
        pipe::Receiver::from_owned_fd(reader.into()).map_err(internal)?,
        relay.clone(),
    );
    let told = tokio::select! {
        told = heard(&mut child, &file) => told.map_err(internal)?,
        () = sleep(LIMIT) => Err(format!("it started nothing within {} s", LIMIT.as_secs())),
        how = interrupts.first() => return Err(Failure::new(how.into(), "interrupted")),
    };
    let told = told.map_err(|how| {
        let message = format!("the tests cannot be started behind the image's entrypoint: {how}");
        Failure::new(ExitCode::Invalid, message).hint("does the image's entrypoint run its arguments?")
    })?;
    let own = rustix::process::geteuid().as_raw();
    if told.user != own {
        events.emit(Event::Warning {
            text: format!(
                "the image's entrypoint goes on as user {}; tests run as the image's user {own}",
                told.user
            ),
        });
    }
    let known = here.value(TINI_SUBREAPER).is_some();
    Ok(if known {
        told.place
    } else {
        told.place.without(TINI_SUBREAPER)
    })
}

/// What the program behind the entrypoint told, once it has; else how the entrypoint ended.
async fn heard(child: &mut Child, file: &Path) -> io::Result<Result<Told, String>> {
    loop {
        let ended = timeout(LOOK_INTERVAL, child.wait()).await;
        if let Some(told) = read(file)? {
            // One that goes on is left alone.
            let _ = timeout(END_TIMEOUT, child.wait()).await;
            return Ok(Ok(told));
        }
        if let Ok(ended) = ended {
            return Ok(Err(of(ended?)));
        }
    }
}

fn of(ended: ExitStatus) -> String {
    format!("it ended with {ended}")
}

fn read(file: &Path) -> io::Result<Option<Told>> {
    if fs::metadata(file)?.size() == 0 {
        return Ok(None);
    }
    // Until it is whole, it is no JSON.
    Ok(serde_json::from_slice(&fs::read(file)?).ok())
}

/// Passes on what is printed, until nobody can print any more.
fn relayed(mut printed: pipe::Receiver, relay: Relay) {
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = printed.read(&mut buffer).await {
            relay.pass(&buffer[..length]);
        }
    });
}
