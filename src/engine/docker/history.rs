//! How an image was made, by what the engine says of it.

use serde_json::{Value, json};

use super::Docker;
use crate::engine::{EngineError, Image};

/// When an image says that it was made whose layers alone decide what it is: the same layers are the same image.
pub(super) const CREATED: &str = "1980-01-01T00:00:00Z";

/// Marks an entry that made no layer.
const EMPTY: &str = "empty_layer";

/// What made each layer of an image, in words, the lowest first.
pub(super) async fn made_by(docker: &Docker, image: &Image) -> Result<Vec<String>, EngineError> {
    let told = docker.api.image_history(image.id.as_str()).await;
    let told = told.map_err(|error| docker.failed(format!("ask for the history of {}", image.id), error))?;
    let told = serde_json::to_value(told).unwrap_or_default();
    let entries = entries(&told, image.layers.len()).into_iter();
    let full = entries.filter(|entry| entry[EMPTY].is_null());
    let words = full.map(|entry| entry["created_by"].as_str().unwrap_or_default().to_owned());
    Ok(words.collect())
}

/// The history of an image in the form of a configuration, the oldest first. The engine does not say which entries have a layer.
/// Those have that hold something, and where these are not all, nothing more is said than that there are layers.
pub(super) fn entries(history: &Value, layers: usize) -> Vec<Value> {
    let told = history.as_array().into_iter().flatten().rev();
    let entries = told.map(|entry| {
        let words = entry["CreatedBy"].as_str().unwrap_or_default();
        let is_empty = entry["Size"].as_u64() == Some(0) && !makes_a_layer(words);
        let created = entry["Created"].as_i64().unwrap_or_default();
        let created = jiff::Timestamp::from_second(created).unwrap_or_default();
        let mut entry = json!({"created": created.to_string(), "created_by": words, "comment": entry["Comment"]});
        if is_empty {
            entry[EMPTY] = true.into();
        }
        entry
    });
    let entries = entries.collect::<Vec<_>>();
    let full = entries.iter().filter(|entry| entry[EMPTY].is_null()).count();
    if full == layers {
        return entries;
    }
    vec![json!({"created": CREATED}); layers]
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
    }
}
