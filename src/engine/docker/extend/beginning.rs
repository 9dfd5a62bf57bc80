//! The configuration of an image on top of another one.

use serde_json::{Value, json};

use crate::reference::Digest;

/// When such an image says that it was made: the same layers are the same image.
const CREATED: &str = "1980-01-01T00:00:00Z";

/// What the image takes over of the one that it extends.
pub(super) struct Beginning {
    /// Its configuration, without layers.
    configuration: Value,
    /// The digests of its layers.
    layers: Vec<Digest>,
    /// What it says of its making, as many entries with a layer as it has layers.
    history: Vec<Value>,
}

impl Beginning {
    /// What the engine says of an image, and of its history.
    pub(super) fn read(inspected: &Value, history: &Value) -> Self {
        let layers = inspected["RootFS"]["Layers"].as_array().into_iter().flatten();
        let layers = layers
            .filter_map(|layer| layer.as_str()?.parse().ok())
            .collect::<Vec<Digest>>();
        Self {
            configuration: json!({
                "architecture": inspected["Architecture"],
                "os": inspected["Os"],
                "created": CREATED,
                "config": inspected["Config"],
            }),
            history: entries(history, layers.len()),
            layers,
        }
    }

    /// Adds a layer, and what the history says of it.
    pub(super) fn add(&mut self, layer: Digest, made: &str) {
        self.history.push(json!({"created": CREATED, "created_by": made}));
        self.layers.push(layer);
    }

    /// How many layers there are so far.
    pub(super) fn len(&self) -> usize {
        self.layers.len()
    }

    /// The configuration of an image of all layers so far.
    pub(super) fn configuration(&self) -> Vec<u8> {
        let layers = self.layers.iter().map(Digest::as_str).collect::<Vec<_>>();
        let mut configuration = self.configuration.clone();
        configuration["rootfs"] = json!({"type": "layers", "diff_ids": layers});
        configuration["history"] = self.history.clone().into();
        configuration.to_string().into_bytes()
    }
}

/// The history of an image in the form of a configuration, the oldest first. The engine does not say which entries have a layer.
/// Those have that hold something, and where these are not all, nothing more is said than that there are layers.
fn entries(history: &Value, layers: usize) -> Vec<Value> {
    let told = history.as_array().into_iter().flatten().rev();
    let entries = told.map(|entry| {
        let words = entry["CreatedBy"].as_str().unwrap_or_default();
        let is_empty = entry["Size"].as_u64() == Some(0) && !makes_a_layer(words);
        let created = entry["Created"].as_i64().unwrap_or_default();
        let created = jiff::Timestamp::from_second(created).unwrap_or_default();
        let mut entry = json!({"created": created.to_string(), "created_by": words, "comment": entry["Comment"]});
        if is_empty {
            entry["empty_layer"] = true.into();
        }
        entry
    });
    let entries = entries.collect::<Vec<_>>();
    let full = entries.iter().filter(|entry| entry["empty_layer"].is_null()).count();
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

    #[test]
    fn the_configuration_is_that_of_the_parent_with_layers_added() {
        let digests = ["a", "b", "c"].map(|text| Digest::of(text.as_bytes()));
        let inspected = json!({
            "Architecture": "amd64", "Os": "linux", "Config": {"User": "1000", "OnBuild": null},
            "RootFS": {"Layers": [digests[0]]},
        });
        let history = json!([{"Created": 1, "CreatedBy": "ADD x", "Size": 7, "Comment": ""}]);
        let mut beginning = Beginning::read(&inspected, &history);
        beginning.add(digests[1].clone(), "b");
        beginning.add(digests[2].clone(), "c");
        let written = serde_json::from_slice::<Value>(&beginning.configuration()).unwrap();
        assert_eq!(written["rootfs"]["diff_ids"], json!(digests));
        assert_eq!(written["config"], inspected["Config"]);
        assert_eq!(written["history"].as_array().unwrap().len(), 3);
        assert_eq!(written["history"][2]["created_by"], "c");
    }
}
