//! The configuration of an image on top of another one.

use serde_json::{Value, json};

use crate::engine::docker::history::{CREATED, entries};
use crate::reference::Digest;

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

#[cfg(test)]
mod tests {
    use super::*;

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
