//! What an image says of itself, read out of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::InventoryError;
use crate::engine::{ContainerRequest, Containers, Engine, EngineError, Image, Wanted};
use crate::image;
use crate::imprint::{self, Imprint};
use crate::packages::Environment;
use crate::process::Owner;
use crate::state::FileError;
use crate::trial::Mark;

/// More than this is not read, in bytes; an environment of 800 packages has a quarter of a megabyte.
const LIMIT: u64 = 64 << 20;

/// What the image says that it is and holds. The error within is why it says nothing.
pub async fn told(
    image: &Image,
    engine: &dyn Engine,
) -> Result<Result<(Imprint, Vec<Environment>), String>, InventoryError> {
    let scratch = tempfile::tempdir().map_err(FileError::of(&std::env::temp_dir()))?;
    let request = ContainerRequest {
        image: image.id.to_string(),
        entrypoint: Some(Vec::new()),
        command: vec!["true".to_owned()],
        labels: Mark {
            run: "inventory",
            mission: "image",
            owner: &Owner::current(),
        }
        .labels(),
        ..ContainerRequest::default()
    };
    // It never begins: of one that ends at that moment Podman may say that it holds nothing.
    let container = engine.create(&request).await?;
    let wanted = Wanted {
        files: Some(
            [imprint::IMAGE, imprint::PACKAGES]
                .map(PathBuf::from)
                .into_iter()
                .collect::<BTreeSet<_>>(),
        ),
        limit: LIMIT,
    };
    let copied = Containers::copy_out(engine, &container, image::GUEST, scratch.path().to_owned(), &wanted).await;
    engine.remove(&container).await?;
    copied.map_err(|error: EngineError| InventoryError::from(error))?;
    let read = || {
        let what = parsed(&scratch.path().join(imprint::IMAGE), imprint::IMAGE)?;
        let holds = parsed(&scratch.path().join(imprint::PACKAGES), imprint::PACKAGES)?;
        Ok((what, holds))
    };
    Ok(read())
}

fn parsed<T: DeserializeOwned>(file: &std::path::Path, name: &str) -> Result<T, String> {
    let shown = format!("{}/{name}", image::GUEST);
    let bytes = fs::read(file).map_err(|_| format!("it has no {shown}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{shown}: {error}"))
}
