//! What a notebook prints and shows while it is executed, and what becomes of that in the notebook that is kept.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cause;
use crate::kernel::connection::Message;
use crate::process::capture::Capture;
use crate::suite::notebook::{CodeCell, Notebook};
use crate::suite::outputs::Outputs;
use crate::suite::widgets::{Change, Widgets};

/// What was printed and shown so far.
pub struct Shown {
    pub outputs: Outputs,
    widgets: Widgets,
    /// The output widgets, by their comms.
    takers: BTreeMap<String, Taker>,
    /// What the kernel says of its language.
    pub language: Value,
    printed: Capture,
    /// The last exception that was shown, on one line.
    pub exception: Option<String>,
    limit: usize,
}

/// A widget that takes output.
struct Taker {
    place: usize,
    /// Whether its kernel has not been told what it holds now.
    changed: bool,
}

impl Shown {
    /// Nothing yet, of so many cells, whose output may take `limit` bytes in the notebook, and their widgets as many.
    pub fn new(cells: usize, limit: usize) -> Self {
        Self {
            outputs: Outputs::new(cells, limit),
            widgets: Widgets::new(limit),
            takers: BTreeMap::new(),
            language: Value::Null,
            printed: Capture::default(),
            exception: None,
            limit,
        }
    }

    /// Writes it into the notebook; returns what was printed.
    pub fn write(mut self, notebook: &mut Notebook, cells: &[CodeCell]) -> String {
        if self.widgets.dropped > 0 {
            self.note(&format!(
                "{} bytes of widgets' states are not kept: a notebook keeps {}",
                self.widgets.dropped, self.limit
            ));
        }
        if self.language.is_object() {
            notebook.describe("language_info", self.language);
        }
        let mut outputs = self.outputs.finish();
        for cell in cells {
            let (outputs, execution_count) = std::mem::take(&mut outputs[cell.index]);
            notebook.set_outputs(cell.index, outputs, execution_count);
        }
        for (comm, taker) in &self.takers {
            self.widgets.hold(comm, std::mem::take(&mut outputs[taker.place].0));
        }
        if let Some(state) = self.widgets.metadata() {
            notebook.describe("widgets", state);
        }
        self.printed.text()
    }

    /// Takes a message of the kernel.
    pub fn take(&mut self, message: &Message) {
        if message.kind == "stream" {
            self.printed
                .push(message.content["text"].as_str().unwrap_or_default().as_bytes());
        }
        if message.kind == "error" {
            let text = |name: &str| message.content[name].as_str().unwrap_or_default();
            self.exception = Some(cause::exception(text("ename"), text("evalue")));
        }
        if message.dropped > 0 {
            self.outputs.miss(&message.parent, message.dropped);
            self.note(&format!("{} bytes of one message are not kept", message.dropped));
        }
        for change in self.widgets.take(message) {
            self.direct(change);
        }
        self.outputs.take(&message.kind, &message.parent, &message.content);
        let place = self.outputs.place(&message.parent);
        for taker in self.takers.values_mut().filter(|taker| Some(taker.place) == place) {
            taker.changed = true;
        }
    }

    /// Directs output to a widget, or away from it.
    fn direct(&mut self, change: Change) {
        match change {
            Change::Takes { comm, request } => {
                let place = self.taker(comm).place;
                self.outputs.begin(&request, place);
            }
            Change::Leaves { comm, request } => {
                let place = self.taker(comm).place;
                self.outputs.leave(&request, place);
            }
            Change::Holds { comm, outputs } => {
                let place = self.taker(comm).place;
                self.outputs.hold(place, outputs);
            }
        }
    }

    fn taker(&mut self, comm: String) -> &mut Taker {
        self.takers.entry(comm).or_insert_with(|| Taker {
            place: self.outputs.add(),
            changed: false,
        })
    }

    /// The output widgets whose kernel does not know what they hold, with that.
    pub fn untold(&mut self) -> Vec<(String, Vec<Value>)> {
        let mut untold = Vec::new();
        for (comm, taker) in &mut self.takers {
            if std::mem::take(&mut taker.changed) {
                untold.push((comm.clone(), self.outputs.of(taker.place).to_vec()));
            }
        }
        untold
    }

    /// Adds a line of floe's own to what was printed.
    pub fn note(&mut self, text: &str) {
        let separator = if self.printed.ends_line() { "" } else { "\n" };
        self.printed.push(format!("{separator}[floe: {text}]\n").as_bytes());
    }
}
