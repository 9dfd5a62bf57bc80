//! Volumes of programs that containers share: filled once, by way of a container that is never started, and read-only ever
//! after.
//!
//! To copy 45 MB into each container took 0.3 s; this takes as many milliseconds. A call that is killed while it fills a
//! volume leaves a part of the program in it, so a container is asked what it would see before it is started.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions, VolumeCreateRequest};
use bollard::query_parameters::{ContainerArchiveInfoOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptions};

use super::error::status;
use super::{Docker, creation};
use crate::context::{Context, Overlay};
use crate::engine::{Container, Containers as _, EngineError, SharedProgram};
use crate::image::label::AGENT;

/// How a container has the program. What its image holds at that place is not copied into the volume.
pub(super) fn mount(program: &SharedProgram, read_only: bool) -> Mount {
    Mount {
        source: Some(program.name.clone()),
        target: Some(directory(program)),
        typ: Some(MountType::VOLUME),
        read_only: Some(read_only),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

fn directory(program: &SharedProgram) -> String {
    let directory = program.path.parent().unwrap_or(Path::new("/"));
    directory.display().to_string()
}

impl Docker {
    /// Fills the volume of the program, by way of a container of `image`. Volumes of others that no container needs are
    /// removed.
    pub(super) async fn fill(&self, program: &SharedProgram, image: &str) -> Result<(), EngineError> {
        let action = || format!("fill the volume {}", program.name);
        self.remove_others(program).await?;
        let request = VolumeCreateRequest {
            name: Some(program.name.clone()),
            labels: Some(HashMap::from([(AGENT.to_owned(), "1".to_owned())])),
            ..VolumeCreateRequest::default()
        };
        let created = self.api.create_volume(request).await;
        created.map_err(|error| self.failed(action(), error))?;
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            // An image without a command of its own needs one to be created.
            cmd: Some(vec!["true".to_owned()]),
            labels: Some(creation::labels(&BTreeMap::new())),
            host_config: Some(HostConfig {
                mounts: Some(vec![mount(program, false)]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let created = self.api.create_container(None, body).await;
        let container = Container {
            id: created.map_err(|error| self.failed(action(), error))?.id,
        };
        let put = self.put_program(&container, program).await;
        self.remove(&container).await?;
        put
    }

    async fn put_program(&self, container: &Container, program: &SharedProgram) -> Result<(), EngineError> {
        let empty = tempfile::tempdir().map_err(|source| EngineError::File {
            path: std::env::temp_dir(),
            source,
        })?;
        let overlay = Overlay::File {
            source: program.source.clone(),
            mode: 0o755,
        };
        let files = Context::new(empty.path()).with(program.path.file_name().unwrap_or_default(), overlay);
        let put = creation::put_at(&self.api, &container.id, &directory(program), "", &files).await?;
        put.map_err(|error| self.failed(format!("fill the volume {}", program.name), error))
    }

    /// Whether the container would see the whole program.
    pub(super) async fn sees(&self, container: &Container, program: &SharedProgram) -> Result<bool, EngineError> {
        let size = std::fs::metadata(&program.source).map_err(|source| EngineError::File {
            path: program.source.clone(),
            source,
        })?;
        let path = program.path.display().to_string();
        let options = ContainerArchiveInfoOptionsBuilder::default().path(&path).build();
        match self.api.get_container_archive_info(&container.id, Some(options)).await {
            Ok(found) => Ok(u64::try_from(found.size).is_ok_and(|found| found == size.len())),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(self.failed(format!("look at the volume {}", program.name), error)),
        }
    }

    async fn remove_others(&self, program: &SharedProgram) -> Result<(), EngineError> {
        let filters = HashMap::from([("label", vec![AGENT])]);
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let found = self.api.list_volumes(Some(options)).await;
        let found = found.map_err(|error| self.failed("list volumes".to_owned(), error))?;
        for other in found.volumes.unwrap_or_default() {
            if other.name != program.name {
                // One that a container has cannot be removed, and need not be.
                let _ = self.api.remove_volume(&other.name, None::<RemoveVolumeOptions>).await;
            }
        }
        Ok(())
    }
}
