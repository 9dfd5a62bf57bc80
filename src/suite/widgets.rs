//! The widgets of a notebook, as Jupyter saves them in it: what they look like without a kernel.
//!
//! A widget is a comm whose state names a model. Each message with a state changes it; a buffer is known by its path there.
//! An output widget takes what the code of a request prints while its state names that request, and its kernel is told
//! what it holds, which the next cell may ask for. All of this is as nbclient has it.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};

use crate::kernel::connection::Message;

/// Under which name a notebook's metadata hold the state.
const MEDIA_TYPE: &str = "application/vnd.jupyter.widget-state+json";

/// The model of a widget that takes output.
const OUTPUT: &str = "OutputModel";

/// The widgets of one notebook while it is executed.
#[derive(Debug)]
pub struct Widgets {
    /// Bytes that may still be kept.
    left: usize,
    models: BTreeMap<String, Model>,
    /// How many bytes of states are not kept.
    pub dropped: usize,
}

#[derive(Debug, Default)]
struct Model {
    state: Map<String, Value>,
    buffers: BTreeMap<String, Value>,
    /// Of an output widget: whose output it takes.
    request: String,
}

/// What an output widget does from now on.
#[derive(Debug, PartialEq)]
pub enum Change {
    /// It takes the output of a request.
    Takes {
        /// The widget's comm.
        comm: String,
        /// The request.
        request: String,
    },
    /// It no longer takes the output of a request.
    Leaves {
        /// The widget's comm.
        comm: String,
        /// The request.
        request: String,
    },
    /// It holds these outputs, and no others.
    Holds {
        /// The widget's comm.
        comm: String,
        /// The outputs.
        outputs: Vec<Value>,
    },
}

impl Widgets {
    /// No widgets yet, whose states may take `limit` bytes together.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            left: limit,
            models: BTreeMap::new(),
            dropped: 0,
        }
    }

    /// Takes a message of a comm; says what that means for outputs. Other messages are passed over.
    pub fn take(&mut self, message: &Message) -> Vec<Change> {
        let content = &message.content;
        let (Some(comm), Some(state)) = (content["comm_id"].as_str(), content["data"]["state"].as_object()) else {
            return Vec::new();
        };
        if !matches!(message.kind.as_str(), "comm_open" | "comm_msg") {
            return Vec::new();
        }
        let buffers = buffers(message);
        let model = self.models.entry(comm.to_owned()).or_default();
        let size =
            |values: &mut dyn Iterator<Item = &Value>| values.map(|value| value.to_string().len()).sum::<usize>();
        let added = size(&mut state.values()) + size(&mut buffers.iter().map(|(_, buffer)| buffer));
        let replaced = size(&mut state.keys().filter_map(|name| model.state.get(name)))
            + size(&mut buffers.iter().filter_map(|(path, _)| model.buffers.get(path)));
        if added > self.left + replaced {
            self.dropped = self.dropped.saturating_add(added);
            return Vec::new();
        }
        self.left = self.left + replaced - added;
        let changed = state.iter().map(|(name, value)| (name.clone(), value.clone()));
        model.state.extend(changed);
        model.buffers.extend(buffers);
        if model.state.get("_model_name").is_some_and(|name| name == OUTPUT) {
            model.directs(comm, state)
        } else {
            Vec::new()
        }
    }

    /// Says what an output widget holds at the end.
    pub fn hold(&mut self, comm: &str, outputs: Vec<Value>) {
        if let Some(model) = self.models.get_mut(comm) {
            model.state.insert("outputs".to_owned(), Value::Array(outputs));
            // A saved widget takes no output.
            model.state.insert("msg_id".to_owned(), Value::String(String::new()));
        }
    }

    /// What the metadata of a notebook hold as `widgets`; none without widgets.
    #[must_use]
    pub fn metadata(self) -> Option<Value> {
        let models = self.models.into_iter();
        let models = models.filter(|(_, model)| model.state.contains_key("_model_name"));
        let saved = models.map(|(comm, model)| (comm, model.saved())).collect::<Map<_, _>>();
        (!saved.is_empty()).then(|| json!({MEDIA_TYPE: {"state": saved, "version_major": 2, "version_minor": 0}}))
    }
}

impl Model {
    /// What a changed `state` means for outputs.
    fn directs(&mut self, comm: &str, state: &Map<String, Value>) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(outputs) = state.get("outputs").and_then(Value::as_array) {
            changes.push(Change::Holds {
                comm: comm.to_owned(),
                outputs: outputs.clone(),
            });
        }
        if let Some(request) = state.get("msg_id").and_then(Value::as_str) {
            let before = std::mem::replace(&mut self.request, request.to_owned());
            let comm = || comm.to_owned();
            if !before.is_empty() {
                changes.push(Change::Leaves {
                    comm: comm(),
                    request: before,
                });
            }
            if !request.is_empty() {
                changes.push(Change::Takes {
                    comm: comm(),
                    request: request.to_owned(),
                });
            }
        }
        changes
    }

    fn saved(self) -> Value {
        let named = |name: &str| self.state.get(name).cloned().unwrap_or_default();
        let mut saved = json!({
            "model_name": named("_model_name"),
            "model_module": named("_model_module"),
            "model_module_version": named("_model_module_version"),
            "state": self.state,
        });
        if !self.buffers.is_empty() {
            saved["buffers"] = self.buffers.into_values().collect();
        }
        saved
    }
}

/// The buffers of a message as a notebook holds them, by their paths in the state. What was shortened is no buffer.
fn buffers(message: &Message) -> Vec<(String, Value)> {
    let paths = message.content["data"]["buffer_paths"].as_array();
    let paths = paths.filter(|_| message.dropped == 0).into_iter().flatten();
    let buffers = paths.zip(&message.buffers).map(|(path, bytes)| {
        let data = BASE64_STANDARD.encode(bytes);
        (
            path.to_string(),
            json!({"data": data, "encoding": "base64", "path": path}),
        )
    });
    buffers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, comm: &str, data: &Value) -> Message {
        Message {
            kind: kind.to_owned(),
            content: json!({"comm_id": comm, "data": data}),
            ..Message::default()
        }
    }

    fn model(name: &str) -> Value {
        json!({"state": {"_model_name": name, "_model_module": "controls", "_model_module_version": "2.0.0", "value": 1}})
    }

    #[test]
    fn a_state_is_what_all_messages_made_of_it() {
        let mut widgets = Widgets::new(1000);
        widgets.take(&message("comm_open", "a", &model("IntSliderModel")));
        widgets.take(&message(
            "comm_msg",
            "a",
            &json!({"method": "update", "state": {"value": 7}}),
        ));
        widgets.take(&message("comm_msg", "a", &json!({"method": "custom", "content": {}})));
        widgets.take(&message("comm_open", "b", &json!({"state": {"no": "model"}})));
        let mut buffered = message("comm_msg", "a", &json!({"state": {}, "buffer_paths": [["data", 0]]}));
        buffered.buffers = vec![vec![0, 255]];
        widgets.take(&buffered);
        let saved = widgets.metadata().unwrap();
        let models = saved[MEDIA_TYPE]["state"].as_object().unwrap();
        assert_eq!(models.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(
            (&models["a"]["model_name"], &models["a"]["state"]["value"]),
            (&json!("IntSliderModel"), &json!(7))
        );
        assert_eq!(
            models["a"]["buffers"],
            json!([{"data": "AP8=", "encoding": "base64", "path": ["data", 0]}])
        );
        assert_eq!(Widgets::new(1000).metadata(), None);
    }

    #[test]
    fn states_take_no_more_than_they_may_and_replacing_one_takes_nothing() {
        let mut widgets = Widgets::new(200);
        widgets.take(&message("comm_open", "a", &model("IntSliderModel")));
        for number in 0..1000 {
            widgets.take(&message("comm_msg", "a", &json!({"state": {"value": number}})));
        }
        assert_eq!(widgets.dropped, 0);
        widgets.take(&message("comm_msg", "a", &json!({"state": {"value": "x".repeat(200)}})));
        assert_eq!(widgets.dropped, 202);
        assert_eq!(
            widgets.metadata().unwrap()[MEDIA_TYPE]["state"]["a"]["state"]["value"],
            999
        );
    }

    #[test]
    fn an_output_widget_takes_output_from_when_its_state_names_a_request() {
        let mut widgets = Widgets::new(1000);
        assert_eq!(widgets.take(&message("comm_open", "o", &model(OUTPUT))), []);
        let mut said = |request: &str| widgets.take(&message("comm_msg", "o", &json!({"state": {"msg_id": request}})));
        let (comm, request) = ("o".to_owned(), "1".to_owned());
        assert_eq!(
            said("1"),
            [Change::Takes {
                comm: comm.clone(),
                request: request.clone()
            }]
        );
        assert_eq!(said(""), [Change::Leaves { comm, request }]);
        assert_eq!(said(""), []);
    }
}
