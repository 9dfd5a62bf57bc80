//! A connection with a step of a build, past the builder: a container hands it in where the step listens, in a directory of the
//! engine's own.

use std::path::{Component, Path, PathBuf};

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

use super::outlet::Outlet;
use super::stored::{ROOT_USER, directory, sealed};
use super::{Docker, export};
use crate::engine::{Consoles as _, Container, ContainerRequest, Containers as _, EngineError};
use crate::image::store::{DOOR, DRIVER, MERGED};
use crate::image::{self, applet};
use crate::reference::Digest;

/// What the directory of a layer's own files is called. They may be all that there is of the builder's cache.
const FILES: &str = "diff";

/// A connection with who listens in the directory `door`, brought there by a container of `image`; `None` where there is none.
pub(super) async fn passage(docker: &Docker, image: &Digest, door: &Path) -> Result<Option<UnixStream>, EngineError> {
    if !export::is_at_hand(docker) {
        return Ok(None);
    }
    let root = export::keeping(docker).await?.docker_root_dir;
    let (Some(place), Ok(outlet)) = (root.and_then(|root| place(Path::new(&root), door)), Outlet::open()) else {
        return Ok(None);
    };
    let request = ContainerRequest {
        image: image.to_string(),
        entrypoint: Some(
            [&image::program("floe"), "applet", applet::LEAD]
                .map(str::to_owned)
                .to_vec(),
        ),
        user: Some(ROOT_USER),
        ..ContainerRequest::default()
    };
    let directories = [directory(place.display().to_string(), DOOR.to_owned()), outlet.mount()];
    let container = docker.created_as(&request, sealed(&request, directories)).await?;
    let led = led(docker, &container, outlet).await;
    if led.is_err() {
        // The reason why it does not start counts, not what comes of the tidying.
        let _ = docker.remove(&container).await;
    }
    led
}

/// The connection that the container has handed in, unless it ends before that.
async fn led(docker: &Docker, container: &Container, outlet: Outlet) -> Result<Option<UnixStream>, EngineError> {
    let mut attached = docker.attach(container, false).await?;
    docker.begin(container).await?;
    let admitted = async {
        let mut stream = outlet.admitted().await.ok()?;
        // It says so when the connection is on its way.
        stream.read_u8().await.ok()?;
        Some(stream)
    };
    let ended = async { while attached.output.recv().await.is_some() {} };
    tokio::select! {
        biased;
        stream = admitted => Ok(stream),
        () = ended => Ok(None),
    }
}

/// The directory `door`, wherever that calls the engine's own directory, below its `root`, as far as that is a layer.
fn place(root: &Path, door: &Path) -> Option<PathBuf> {
    let names = door.components().map(|component| match component {
        Component::Normal(name) => name.to_str(),
        Component::RootDir => Some(""),
        _ => None,
    });
    let names = names.collect::<Option<Vec<_>>>()?;
    let at = names
        .windows(3)
        .rposition(|names| matches!(names, [DRIVER, _, FILES | MERGED]))?;
    Some(names[at..].iter().fold(root.to_owned(), |path, name| path.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_is_found_below_the_root_of_the_engine_wherever_its_file_system_is_mounted() {
        let root = Path::new("/srv/docker");
        let expected = Path::new("/srv/docker/overlay2/abc/diff/packages/1/draft-x");
        for door in [
            "/srv/docker/overlay2/abc/diff/packages/1/draft-x",
            "/overlay2/abc/diff/packages/1/draft-x",
            "/var/lib/docker/overlay2/abc/diff/packages/1/draft-x",
        ] {
            assert_eq!(place(root, Path::new(door)).as_deref(), Some(expected), "{door}");
        }
        for door in [
            "/containerd/snapshots/12/fs/packages",
            "/overlay2/abc/link/x",
            "/overlay2/abc/diff/../../x",
            "/",
        ] {
            assert_eq!(place(root, Path::new(door)), None, "{door}");
        }
        let mounted = place(root, Path::new("/var/lib/docker/overlay2/abc/merged/cache"));
        assert_eq!(
            mounted.as_deref(),
            Some(Path::new("/srv/docker/overlay2/abc/merged/cache"))
        );
    }
}
