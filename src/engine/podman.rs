//! A Podman of floe's own, where no engine listens but the program is there: a service that speaks the API of a daemon and
//! ends with floe, however floe ends.
//!
//! The shell that carries it waits for the end of a pipe whose other end floe holds. It leads a process group of its own,
//! since Ctrl-C is meant for floe, which may still have containers to end.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep};

use super::{Absence, EngineError};

/// How long the service may take until its socket is there.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of what the service says that are read.
const WORDS_LIMIT: u64 = 4096;

const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Starts the service of the program `$0` in the directory `$1`, and ends it, and the directory, with the standard input.
const CARRIER: &str = r#"
exec 3<&0
"$0" system service --time 0 "unix://$1/podman.sock" 3<&- 2> "$1/words" &
service=$!
{ read -r _ <&3; kill "$service"; } 2> /dev/null &
wait "$service"
tail -n 1 "$1/words" >&2
rm -rf "$1"
"#;

/// A service that runs. It ends when this is dropped, and when floe ends.
#[derive(Debug)]
pub(super) struct Service {
    socket: PathBuf,
    _input: Option<ChildStdin>,
    _carrier: Child,
}

impl Service {
    /// Starts the service of `program` at a socket below `runtime`, or below the directory of temporary files.
    pub async fn start(program: &Path, runtime: Option<&Path>) -> Result<Self, EngineError> {
        let parent = runtime
            .filter(|runtime| runtime.is_dir())
            .map_or_else(std::env::temp_dir, Path::to_owned);
        let directory = tempfile::Builder::new().prefix("floe-podman-").tempdir_in(&parent);
        let directory = directory
            .map_err(|source| EngineError::File { path: parent, source })?
            .keep();
        let absent = |reason: String| EngineError::Unreachable {
            address: format!("{} system service", program.display()),
            reason,
            cause: Absence::Service,
        };
        let carrier = Command::new("sh")
            .args(["-c", CARRIER])
            .args([program, &directory])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let mut carrier = carrier.map_err(|error| absent(error.to_string()))?;
        let input = carrier.stdin.take();
        let socket = directory.join("podman.sock");
        let began = Instant::now();
        while !socket.exists() {
            if carrier.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err(absent(words(&mut carrier).await));
            }
            if began.elapsed() > START_TIMEOUT {
                return Err(absent(format!(
                    "it does not listen within {} s",
                    START_TIMEOUT.as_secs()
                )));
            }
            sleep(LOOK_INTERVAL).await;
        }
        Ok(Self {
            socket,
            _input: input,
            _carrier: carrier,
        })
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// What the service said last.
async fn words(carrier: &mut Child) -> String {
    let mut text = Vec::new();
    if let Some(words) = &mut carrier.stderr {
        let _ = words.take(WORDS_LIMIT).read_to_end(&mut text).await;
    }
    let text = String::from_utf8_lossy(&text);
    match text.trim() {
        "" => "it ended without a word".to_owned(),
        words => words.to_owned(),
    }
}
