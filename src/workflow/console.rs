//! Letting somebody into a container of an image: a person at a terminal, or a pipe.

mod copy;
mod error;
mod lab;
mod passwd;
mod relay;
mod subject;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

pub use self::copy::copy;
pub use self::error::ConsoleError;
pub use self::lab::{LabOptions, lab};
pub use self::relay::{Gone, Seat, Sent};
pub use self::subject::Subject;
use super::observe::sweep;
use super::{Interrupts, WorkflowError, Workplace};
use crate::context::{Context, Overlay};
use crate::engine::{Container, ContainerRequest, Engine, Image, Input, SharedProgram, User};
use crate::image::applet::CONSOLE;
use crate::image::variable::VISIT;
use crate::image::visit::Visit;
use crate::image::{self, AGENT, COMMON_ENV, ENVIRONMENTS, PROGRAMS};
use crate::mount::Mount;
use crate::process::Owner;
use crate::reference::MissionName;
use crate::repository::{self, SCRIPTS};
use crate::run::history;
use crate::state::FileError;
use crate::trial::Mark;

/// Where containers have the sources of the scripts that a mission's images share, where these are looked at live.
const LIVE_SCRIPTS: &str = "/opt/floe/common-scripts";

/// What somebody is let in for.
#[derive(Debug, Clone)]
pub struct Console {
    /// The image.
    pub subject: Subject,
    /// The command, its environment or the test in whose place it runs; the entrypoint is that of the image.
    pub visit: Visit,
    /// How the container is set up.
    pub setup: Setup,
}

/// How a container is set up for people.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Whether the command starts without the image's entrypoint.
    pub bare: bool,
    /// A directory of the host that is the home directory.
    pub home: Option<PathBuf>,
    /// What else it sees of the host.
    pub mounts: Vec<Mount>,
    /// Whether it sees the sources of scripts, lists and environments in place of what the image holds.
    pub live: bool,
    /// The working directory, if not the image's.
    pub directory: Option<String>,
    /// Whether root runs in it.
    pub root: bool,
    /// Environment variables beside the image's own.
    pub variables: BTreeMap<String, String>,
    /// A port that this machine reaches at 127.0.0.1.
    pub port: Option<u16>,
}

/// Lets somebody in until the command ends.
///
/// `open` gives the streams of whoever is let in, once the container is there to be begun; `terminal` says whether they
/// are a terminal. The container is removed however this ends.
pub async fn console(
    workplace: &Workplace,
    console: &Console,
    terminal: bool,
    interrupts: &Interrupts,
    open: impl FnOnce() -> Result<Seat, FileError> + Send,
) -> Result<Gone, WorkflowError> {
    let image = console.subject.image(workplace, interrupts).await?;
    // From here on a container may be there, which an interrupt must not leave behind.
    interrupts.leave_to_work();
    let input = if terminal { Input::Terminal } else { Input::Pipe };
    let container = prepare(workplace, console, image, input, interrupts).await?;
    let engine = workplace.engine().await?;
    let ended = async {
        unless_interrupted(interrupts)?;
        relay::relay(engine, &container, terminal, open).await
    };
    let ended = ended.await;
    engine.remove(&container).await?;
    ended
}

/// Creates the container, with all that it needs.
pub(super) async fn prepare(
    workplace: &Workplace,
    console: &Console,
    image: Image,
    input: Input,
    interrupts: &Interrupts,
) -> Result<Container, WorkflowError> {
    let engine = workplace.engine().await?;
    let owner = Owner::current();
    sweep(workplace, engine, &owner).await?;
    let request = request(workplace, console, &image, input, &owner)?;
    unless_interrupted(interrupts)?;
    let container = engine.create(&request).await?;
    let given = async {
        if let Some(user) = request.user {
            passwd::add(engine, &container, &image, user, &home(&image)).await?;
        }
        if console.setup.live {
            give_scripts(workplace, engine, &container).await?;
        }
        Ok(())
    };
    match given.await {
        Ok(()) => Ok(container),
        Err(error) => {
            // The reason counts, not what comes of the tidying.
            let _ = engine.remove(&container).await;
            Err(error)
        }
    }
}

pub(super) fn unless_interrupted(interrupts: &Interrupts) -> Result<(), WorkflowError> {
    interrupts
        .so_far()
        .map_or(Ok(()), |how| Err(ConsoleError::Interrupted(how).into()))
}

fn request(
    workplace: &Workplace,
    console: &Console,
    image: &Image,
    input: Input,
    owner: &Owner,
) -> Result<ContainerRequest, WorkflowError> {
    let setup = &console.setup;
    let mounts = mounts(workplace, console, image)?;
    let mut visit = console.visit.clone();
    if !setup.bare {
        visit.entrypoint.clone_from(&image.entrypoint);
    }
    let visit = serde_json::to_string(&visit).map_err(|error| FileError::of(Path::new(VISIT))(error.into()))?;
    let user = user(image, setup);
    let mut environment = setup.variables.clone();
    environment.insert(VISIT.to_owned(), visit);
    if user.is_some() {
        environment.insert("HOME".to_owned(), home(image));
    }
    let name = console.subject.name();
    let run = history::new_run(&"console".parse::<MissionName>()?);
    let mark = Mark {
        run: &run,
        mission: &name,
        owner,
    };
    Ok(ContainerRequest {
        image: image.id.to_string(),
        entrypoint: Some([AGENT, "applet"].map(str::to_owned).to_vec()),
        command: vec![CONSOLE.to_owned()],
        program: Some(SharedProgram::of(&workplace.agent)?),
        environment,
        labels: mark.labels(),
        mounts,
        user,
        directory: setup.directory.clone(),
        port: setup.port,
        input,
        ..ContainerRequest::default()
    })
}

/// What of the host the container sees.
fn mounts(workplace: &Workplace, console: &Console, image: &Image) -> Result<Vec<Mount>, WorkflowError> {
    let setup = &console.setup;
    let mut mounts = Vec::new();
    if let Some(directory) = &setup.home {
        // As people's own home directories on a hub, it begins empty.
        if !directory.exists() {
            std::fs::create_dir_all(directory).map_err(FileError::of(directory))?;
        }
        mounts.push(Mount::writable(directory, home(image)));
    }
    if let (true, Subject::Mission(mission)) = (setup.live, &console.subject) {
        let path = |path: &Path| workplace.repository.path(path);
        let sources = [
            (path(&Path::new(repository::COMMON).join(SCRIPTS)), LIVE_SCRIPTS),
            (path(Path::new(repository::COMMON_ENV)), COMMON_ENV),
            (workplace.repository.environments(mission), ENVIRONMENTS),
        ];
        let there = sources.into_iter().filter(|(source, _)| source.is_dir());
        mounts.extend(there.map(|(source, target)| Mount::writable(source, target)));
    }
    for mount in &setup.mounts {
        if mount.target.starts_with(image::GUEST) {
            return Err(ConsoleError::Hides { mount: mount.clone() }.into());
        }
        if !mount.source.exists() {
            return Err(ConsoleError::NoSource { mount: mount.clone() }.into());
        }
        mounts.push(mount.clone());
    }
    Ok(mounts)
}

/// Who runs in the container, if not the image's user: what is written to the host's directories belongs to whoever calls.
fn user(image: &Image, setup: &Setup) -> Option<User> {
    let beside = number(image, "NB_GID").unwrap_or(100);
    if setup.root {
        return Some(User {
            id: 0,
            group: 0,
            beside,
        });
    }
    let caller = User {
        id: rustix::process::geteuid().as_raw(),
        group: rustix::process::getegid().as_raw(),
        beside,
    };
    let writes = setup.home.is_some() || setup.live || setup.mounts.iter().any(|mount| !mount.read_only);
    (writes && own_user(image) != Some(caller.id)).then_some(caller)
}

/// Whether root runs in the container.
fn is_root(image: &Image, setup: &Setup) -> bool {
    user(image, setup).map_or_else(|| own_user(image) == Some(0), |user| user.id == 0)
}

/// The number of the image's user, where the image says it.
fn own_user(image: &Image) -> Option<u32> {
    let name = image.user.split(':').next().unwrap_or_default();
    match name {
        "" | "root" => Some(0),
        name => name.parse().ok().or_else(|| number(image, "NB_UID")),
    }
}

fn number(image: &Image, variable: &str) -> Option<u32> {
    image.variables.get(variable)?.parse().ok()
}

/// The home directory of the image's user.
fn home(image: &Image) -> String {
    let named = || Some(format!("/home/{}", image.variables.get("NB_USER")?));
    let root = || own_user(image).filter(|id| *id == 0).map(|_| "/root".to_owned());
    let known = image.variables.get("HOME").cloned().or_else(named).or_else(root);
    known.unwrap_or_else(|| "/home/jovyan".to_owned())
}

/// Puts a link to each of the scripts' sources in the place of what the image holds. They are links because a file that
/// is itself mounted stays as it was when an editor writes another one in its place.
async fn give_scripts(workplace: &Workplace, engine: &dyn Engine, container: &Container) -> Result<(), WorkflowError> {
    let sources = workplace.repository.path(repository::COMMON).join(SCRIPTS);
    let empty = tempfile::tempdir().map_err(FileError::of(&std::env::temp_dir()))?;
    let mut links = Context::new(empty.path());
    for entry in std::fs::read_dir(&sources).into_iter().flatten().flatten() {
        let name = entry.file_name();
        links = links.with(&name, Overlay::Symlink(Path::new(LIVE_SCRIPTS).join(&name)));
    }
    Ok(engine.give(container, PROGRAMS, &links).await?)
}

/// The channel by which what is typed reaches a container.
pub(super) type Typed = mpsc::Receiver<Vec<u8>>;
