//! Layers, read where the engine keeps them.
//!
//! To save an image, Docker's classic store reads all of its layers, however few are wanted, and sends the first when it has written
//! them all to a directory of its own. So floe's own program reads those that are wanted, in a container that sees the
//! engine's directories of layers and can do nothing but read.

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum,
    MountType,
};
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::outlet::Outlet;
use super::{Docker, creation, export};
use crate::engine::{
    Attached, Consoles as _, Container, ContainerRequest, Containers as _, EngineError, Export, Stored, User, Written,
};
use crate::fault::Trouble;
use crate::image::store::{DIRECTORIES, DRIVER, ROOT};
use crate::image::{AGENT, applet};

/// Pieces that wait to be read.
const WAITING: usize = 16;

/// More than this is no reason, in bytes.
const LONGEST: usize = 4096;

/// Root, who alone may look into the engine's directories.
pub(super) const ROOT_USER: User = User {
    id: 0,
    group: 0,
    beside: 0,
};

/// Reads layers of an image, as an archive; `None` where nothing is known of how the engine keeps them.
pub(super) async fn stored(docker: &Docker, wanted: Stored<'_>) -> Result<Option<Export>, EngineError> {
    if !export::is_at_hand(docker) {
        return Ok(None);
    }
    let info = export::keeping(docker).await?;
    let directory = info.docker_root_dir.filter(|_| info.driver.as_deref() == Some(DRIVER));
    let Some(directory) = directory else {
        return Ok(None);
    };
    let (container, outlet) = created(docker, &wanted, &directory).await?;
    let attached = async {
        let attached = docker.attach(&container, false).await?;
        docker.begin(&container).await?;
        Ok(attached)
    };
    match attached.await {
        Ok(attached) => Ok(Some(passed_on(docker.clone(), container, attached, outlet))),
        Err(error) => {
            // The reason why it does not start counts, not what comes of the tidying.
            let _ = docker.remove(&container).await;
            Err(error)
        }
    }
}

/// Creates the container, with a way out where the engine sees it.
async fn created(
    docker: &Docker,
    wanted: &Stored<'_>,
    directory: &str,
) -> Result<(Container, Option<Outlet>), EngineError> {
    let mut outlet = Outlet::open().ok();
    loop {
        let (request, body) = asked_for(wanted, directory, outlet.as_ref());
        match docker.created_as(&request, body).await {
            Ok(container) => return Ok((container, outlet)),
            Err(_) if outlet.is_some() => outlet = None,
            Err(error) => return Err(error),
        }
    }
}

/// The container that reads layers.
fn asked_for(wanted: &Stored<'_>, directory: &str, outlet: Option<&Outlet>) -> (ContainerRequest, ContainerCreateBody) {
    let layers = wanted.layers.iter().map(ToString::to_string);
    let request = ContainerRequest {
        image: wanted.image.to_string(),
        entrypoint: Some([AGENT, "applet", applet::LAYERS].map(str::to_owned).to_vec()),
        command: std::iter::once(wanted.image.to_string()).chain(layers).collect(),
        program: Some(wanted.program.clone()),
        user: Some(ROOT_USER),
        ..ContainerRequest::default()
    };
    let directories = DIRECTORIES.map(|name| self::directory(format!("{directory}/{name}"), format!("{ROOT}/{name}")));
    let mounts = directories.into_iter().chain(outlet.map(Outlet::mount));
    let body = sealed(&request, mounts);
    (request, body)
}

/// What gives a directory of the engine's own to a container.
pub(super) fn directory(source: String, target: String) -> Mount {
    Mount {
        source: Some(source),
        target: Some(target),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        // What containers that run have mounted there stays theirs; and Docker lets a container see its own directory only if what
        // is unmounted there is unmounted here.
        bind_options: Some(MountBindOptions {
            non_recursive: Some(true),
            propagation: Some(MountBindOptionsPropagationEnum::RSLAVE),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    }
}

/// A container that sees what is mounted, whoever may, changes nothing, reaches nobody, and goes when it has ended.
pub(super) fn sealed(request: &ContainerRequest, mounts: impl IntoIterator<Item = Mount>) -> ContainerCreateBody {
    let mut body = creation::body(request, None);
    let own = body.host_config.take().unwrap_or_default();
    body.host_config = Some(HostConfig {
        mounts: Some(own.mounts.into_iter().flatten().chain(mounts).collect()),
        // A log would be a copy of all layers.
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        }),
        network_mode: Some("none".to_owned()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(vec!["DAC_OVERRIDE".to_owned()]),
        readonly_rootfs: Some(true),
        auto_remove: Some(true),
        ..own
    });
    body
}

/// Passes on what the container writes, until it ends or nobody listens. What it says of an error ends the archive.
fn passed_on(docker: Docker, container: Container, mut attached: Attached, outlet: Option<Outlet>) -> Export {
    let (sender, pieces) = mpsc::channel(WAITING);
    // It ends with the task below: nobody comes where the container may not use the outlet.
    let mut pouring = JoinSet::new();
    if let Some(outlet) = outlet {
        pouring.spawn(outlet.pour(sender.clone()));
    }
    tokio::spawn(async move {
        let mut said = Vec::new();
        while let Some(written) = attached.output.recv().await {
            let piece = match written {
                Ok(Written::Output(bytes)) => Ok(bytes),
                Ok(Written::Error(bytes)) => {
                    said.extend(bytes.iter().take(LONGEST - said.len()));
                    continue;
                }
                Err(error) => Err(error),
            };
            if sender.send(piece).await.is_err() {
                // It goes by itself where this fails, when it has read all.
                let _ = docker.kill(&container).await;
                return;
            }
        }
        // It does not end before all is read that it has poured, unless it failed.
        drop(pouring);
        let said = String::from_utf8_lossy(&said);
        if let Some(reason) = said.lines().find_map(|line| line.strip_prefix("error: ")) {
            let _ = sender.send(Err(failed(reason))).await;
        }
    });
    stream::unfold(pieces, |mut pieces| async { Some((pieces.recv().await?, pieces)) }).boxed()
}

fn failed(reason: &str) -> EngineError {
    EngineError::Request {
        action: "read layers where the engine keeps them".to_owned(),
        reason: reason.to_owned(),
        trouble: Trouble::Foreign,
    }
}
