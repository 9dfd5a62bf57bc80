//! The Debian base: a root filesystem that `mmdebstrap` makes from Debian's packages, imported as an image.
//!
//! Debian's archive keeps one version of a package, so packages of apt are frozen by `APT_MIRROR` alone, where it names
//! a snapshot of the archive.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use crate::engine::{EngineError, Images};
use crate::event::{Event, Sink};
use crate::fault::{Explained, Kind};
use crate::image::label::INPUT_DIGEST;
use crate::plan::Rootfs;
use crate::reference::{Digest, ImageTag};
use crate::scratch::Scratch;

/// The program that makes the Debian base.
pub const PROGRAM: &str = "mmdebstrap";

/// How it says that this user may make none.
const NO_MODE: &str = "unable to pick chroot mode automatically";

/// How long it may take to remove what it has made, before it is killed.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(20);

/// A base that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    /// The program that makes it is not installed.
    #[error("{PROGRAM} is not installed, which makes the base of BASE_IMAGE=debian")]
    Missing,
    /// The program may not make one: it needs root, or user namespaces with numbers of its own for the users in them.
    #[error("{PROGRAM}, which makes the base of BASE_IMAGE=debian, may not do so as this user")]
    NotAllowed,
    /// The program failed.
    #[error("{PROGRAM} failed to make the Debian base:\n{output}")]
    Failed {
        /// The last lines that it printed.
        output: String,
    },
    /// A temporary file cannot be made.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The engine refused the result.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Explained for RootfsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing | Self::NotAllowed | Self::Failed { .. } | Self::File { .. } => Kind::Build,
            Self::Engine(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing => Some("`apt-get install mmdebstrap`, or set BASE_IMAGE to an image".to_owned()),
            Self::NotAllowed => Some(
                "`apt-get install uidmap` and a line for this user in /etc/subuid and /etc/subgid; or have root build the base once"
                    .to_owned(),
            ),
            Self::Failed { .. } | Self::File { .. } => None,
            Self::Engine(error) => error.hint(),
        }
    }
}

/// The tag of the image that `rootfs` decides.
#[must_use]
pub fn tag(rootfs: &Rootfs) -> ImageTag {
    ImageTag::local("debian", rootfs.digest().short())
}

/// Makes and imports the root filesystem, unless the engine has it already (and `rebuild` asks for it).
pub async fn make(
    rootfs: &Rootfs,
    images: &dyn Images,
    rebuild: bool,
    events: &dyn Sink,
) -> Result<Digest, RootfsError> {
    let tag = tag(rootfs);
    if !rebuild && let Some(image) = images.image(&tag.to_string()).await? {
        return Ok(image.id);
    }
    let image = "Debian root filesystem".to_owned();
    events.emit(Event::ImageStarted {
        image: image.clone(),
        reason: if rebuild { "--no-cache" } else { "not built before" }.to_owned(),
    });
    let started = Instant::now();
    let directory = Scratch::create().map_err(|source| RootfsError::File {
        path: std::env::temp_dir(),
        source,
    })?;
    let archive = directory.path().join("rootfs.tar");
    let step = Event::StepStarted {
        image: image.clone(),
        step: PROGRAM.to_owned(),
        name: format!("{PROGRAM} {}", rootfs.suite),
    };
    events.emit(step);
    run(rootfs, directory.path(), &archive).await?;
    events.emit(Event::StepFinished {
        image: image.clone(),
        step: PROGRAM.to_owned(),
        name: format!("{PROGRAM} {}", rootfs.suite),
        seconds: started.elapsed().as_secs_f64(),
        cached: false,
        error: None,
    });
    let labels = BTreeMap::from([(INPUT_DIGEST.to_owned(), rootfs.digest().to_string())]);
    let id = images.import(archive, &tag, &labels).await?;
    events.emit(Event::ImageFinished {
        image,
        id: id.clone(),
        seconds: started.elapsed().as_secs_f64(),
    });
    Ok(id)
}

async fn run(rootfs: &Rootfs, directory: &Path, archive: &Path) -> Result<(), RootfsError> {
    let failed = |source| RootfsError::File {
        path: PROGRAM.into(),
        source,
    };
    let words = directory.join("words");
    let mut command = program(directory).await.map_err(failed)?;
    command
        .arg("--variant=minbase")
        .arg(format!("--include={}", rootfs.packages.join(",")))
        .arg(rootfs.suite)
        .arg(archive)
        .args(&rootfs.mirror)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Nobody reads a pipe any more while it cleans up.
        .stderr(File::create(&words).map_err(failed)?)
        .process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => Making(child),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(RootfsError::Missing),
        Err(source) => return Err(failed(source)),
    };
    if child.0.wait().await.map_err(failed)?.success() {
        return Ok(());
    }
    let said = fs::read(&words).map_err(failed)?;
    let text = String::from_utf8_lossy(&said);
    if text.contains(NO_MODE) {
        return Err(RootfsError::NotAllowed);
    }
    let lines = text.lines().collect::<Vec<_>>();
    Err(RootfsError::Failed {
        output: lines[lines.len().saturating_sub(20)..].join("\n"),
    })
}

/// The call of the program, which makes its root in `directory` and with mounts of its own, where this user may have such.
/// Killed after it has mounted something, it leaves its root: nothing is mounted there any more, and it goes with the
/// directory. Of a user who is not root it has its own namespaces anyway, and its root has to lie where others may look.
async fn program(directory: &Path) -> io::Result<Command> {
    const UNSHARE: [&str; 3] = ["--mount", "--propagation", "private"];
    let mut tried = Command::new("unshare");
    tried.args(UNSHARE).args([PROGRAM, "--version"]);
    tried.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !tried.status().await.is_ok_and(|status| status.success()) {
        return Ok(Command::new(PROGRAM));
    }
    fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    let mut command = Command::new("unshare");
    command.args(UNSHARE).arg(PROGRAM).env("TMPDIR", directory);
    Ok(command)
}

/// The program while it runs. It has files of other users, which it alone may remove where floe is not root: whoever does
/// not wait for its end has it do so first.
struct Making(Child);

impl Drop for Making {
    fn drop(&mut self) {
        // It has none when its end was seen.
        let Some(pid) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) else {
            return;
        };
        // To all of it, as a terminal does: it waits for those whom it has called.
        let _ = kill_process_group(pid, Signal::TERM);
        let asked = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) {
            if asked.elapsed() > CLEANUP_TIMEOUT {
                let _ = kill_process_group(pid, Signal::KILL);
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
