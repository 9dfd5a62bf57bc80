//! How an image was made, by what the engine says of it.

use serde_json::{Value, json};

use super::Docker;
use crate::engine::{EngineError, Image, Layer};
use crate::reference::Digest;

/// When an image says that it was made whose layers alone decide what it is: the same layers are the same image.
pub(super) const CREATED: &str = "1980-01-01T00:00:00Z";

/// Marks an entry that made no layer.
const EMPTY: &str = "empty_layer";

/// The layers of an image, with what its history says of them.
pub(super) async fn layers(docker: &Docker, image: &Image) -> Result<Vec<Layer>, EngineError> {
    let told = docker.api.image_history(image.id.as_str()).await;
    let told = told.map_err(|error| docker.failed(format!("ask for the history of {}", image.id), error))?;
    let told = serde_json::to_value(told).unwrap_or_default();
    Ok(told_of(&image.layers, &told))
}

fn told_of(layers: &[Digest], history: &Value) -> Vec<Layer> {
    let told = history.as_array().into_iter().flatten().rev();
    let full = told.filter(|entry| has_a_layer(entry)).collect::<Vec<_>>();
    let is_known = full.len() == layers.len();
    let layers = layers.iter().enumerate().map(|(index, digest)| {
        let entry = full.get(index).filter(|_| is_known);
        Layer {
            digest: digest.clone(),
            made: entry.map(|entry| words_of(entry).to_owned()).unwrap_or_default(),
            size: entry.and_then(|entry| entry["Size"].as_u64()).unwrap_or_default(),
        }
    });
    layers.collect()
}

/// The history of an image in the form of a configuration, the oldest first. The engine does not say which entries have a layer.
/// Those have that hold something, and where these are not all, nothing more is said than that there are layers.
pub(super) fn entries(history: &Value, layers: usize) -> Vec<Value> {
    let told = history.as_array().into_iter().flatten().rev();
    let entries = told.map(|entry| {
        let created = entry["Created"].as_i64().unwrap_or_default();
        let created = jiff::Timestamp::from_second(created).unwrap_or_default();
        let mut written = json!({
            "created": created.to_string(),
            "created_by": words_of(entry),
            "comment": entry["Comment"],
        });
        if !has_a_layer(entry) {
            written[EMPTY] = true.into();
        }
        written
    });
    let entries = entries.collect::<Vec<_>>();
    let full = entries.iter().filter(|entry| entry[EMPTY].is_null()).count();
    if full == layers {
        return entries;
    }
    vec![json!({"created": CREATED}); layers]
}

fn words_of(entry: &Value) -> &str {
    entry["CreatedBy"].as_str().unwrap_or_default()
}

fn has_a_layer(entry: &Value) -> bool {
    entry["Size"].as_u64() != Some(0) || makes_a_layer(words_of(entry))
}

/// Whether an instruction makes a layer, and be it one that holds nothing.
fn makes_a_layer(words: &str) -> bool {
    let words = words.trim_start_matches("/bin/sh -c ");
    let beginnings = ["RUN ", "COPY ", "ADD ", "WORKDIR "];
    !words.starts_with("#(nop)") && beginnings.iter().any(|beginning| words.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_names_as_many_layers_as_there_are() {
        let history = json!([
            {"Created": 3, "CreatedBy": "CMD [\"x\"]", "Size": 0, "Comment": ""},
            {"Created": 2, "CreatedBy": "RUN true", "Size": 0, "Comment": "buildkit"},
            {"Created": 1, "CreatedBy": "/bin/sh -c #(nop) ADD file in /", "Size": 7, "Comment": ""},
        ]);
        let told = entries(&history, 2);
        let empty = told
            .iter()
            .map(|entry| entry["empty_layer"] == true)
            .collect::<Vec<_>>();
        assert_eq!(empty, [false, false, true]);
        assert_eq!(told[0]["created"], "1970-01-01T00:00:01Z");
        assert_eq!(entries(&history, 3), vec![json!({"created": CREATED}); 3]);

        let digests = ["a", "b", "c"].map(|text| Digest::of(text.as_bytes()));
        let told = told_of(&digests[..2], &history);
        let told = told.iter().map(|layer| (layer.made.as_str(), layer.size));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [("/bin/sh -c #(nop) ADD file in /", 7), ("RUN true", 0)]
        );
        let untold = told_of(&digests, &history);
        assert!(untold.iter().all(|layer| layer.made.is_empty() && layer.size == 0));
    }
}
