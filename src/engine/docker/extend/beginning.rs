//! The configuration of an image on top of another one.

use serde_json::{Value, json};

use crate::engine::docker::history::{CREATED, entries};
use crate::reference::Digest;
use crate::reference::media_type::{CONFIGURATION, MANIFEST};

/// What the image takes over of the one that it extends.
pub(super) struct Beginning {
    /// Its configuration, without layers.
    configuration: Value,
    /// The digests of its layers.
    layers: Vec<Digest>,
    /// What it says of its making, as many entries with a layer as it has layers.
    history: Vec<Value>,
    /// How manifests name the layers that the engine has, where it keeps them as registries do.
    known: Vec<Value>,
    /// How the manifest names the layers, where there is one.
    named: Vec<Value>,
}

impl Beginning {
    /// What the engine says of an image, and of its history; and how manifests name its layers and those that are there on top
    /// of it, if the engine keeps any.
    pub(super) fn read(inspected: &Value, history: &Value, known: Vec<Value>) -> Self {
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
            named: known.iter().take(layers.len()).cloned().collect(),
            layers,
            known,
        }
    }

    /// Adds a layer that the engine has, and what the history says of it.
    pub(super) fn add_known(&mut self, layer: Digest, made: &str) {
        self.named.extend(self.known.get(self.layers.len()).cloned());
        self.add(layer, made);
    }

    /// Adds a layer that is named so.
    pub(super) fn add_named(&mut self, layer: Digest, made: &str, name: Value) {
        self.named.push(name);
        self.add(layer, made);
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

    /// The manifest of that image, where the engine keeps any.
    pub(super) fn manifest(&self, configuration: &[u8]) -> Option<Vec<u8>> {
        if self.named.is_empty() {
            return None;
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": CONFIGURATION,
                "digest": Digest::of(configuration).as_str(),
                "size": configuration.len(),
            },
            "layers": self.named,
        });
        Some(manifest.to_string().into_bytes())
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
        let mut beginning = Beginning::read(&inspected, &history, Vec::new());
        beginning.add(digests[1].clone(), "b");
        beginning.add(digests[2].clone(), "c");
        let written = serde_json::from_slice::<Value>(&beginning.configuration()).unwrap();
        assert_eq!(written["rootfs"]["diff_ids"], json!(digests));
        assert_eq!(written["config"], inspected["Config"]);
        assert_eq!(written["history"].as_array().unwrap().len(), 3);
        assert_eq!(written["history"][2]["created_by"], "c");
        assert_eq!(beginning.manifest(&beginning.configuration()), None);
    }

    #[test]
    fn a_manifest_names_the_layers_that_are_there_as_the_engine_does_and_the_others_as_they_are_sent() {
        let digests = ["a", "b", "c"].map(|text| Digest::of(text.as_bytes()));
        let named = |name: &str| json!({"mediaType": "m", "digest": name, "size": 1});
        let known = ["of a", "of b", "of what is not wanted any more"].map(named);
        let inspected = json!({"RootFS": {"Layers": [digests[0]]}});
        let mut beginning = Beginning::read(&inspected, &json!([]), known.to_vec());
        beginning.add_known(digests[1].clone(), "b");
        beginning.add_named(digests[2].clone(), "c", named("of c"));
        let configuration = beginning.configuration();
        let manifest = beginning.manifest(&configuration).unwrap();
        let manifest = serde_json::from_slice::<Value>(&manifest).unwrap();
        assert_eq!(manifest["layers"], json!(["of a", "of b", "of c"].map(named)));
        assert_eq!(manifest["config"]["digest"], Digest::of(&configuration).as_str());
    }
}
