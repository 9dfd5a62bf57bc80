//! The outputs of a notebook's cells, put together from messages as Jupyter does, and bounded.

use std::collections::HashMap;

use serde_json::{Value, json};

/// The outputs of one notebook while it is executed.
#[derive(Debug)]
pub struct Outputs {
    /// Bytes that may still be kept.
    left: usize,
    limit: usize,
    cells: Vec<Cell>,
    /// Where the output of a request goes: to the cell that it executed, or to the last widget that took it.
    requests: HashMap<String, Vec<usize>>,
    /// Where an output with a display ID stands: cell and place.
    displays: HashMap<String, Vec<(usize, usize)>>,
}

#[derive(Debug, Default)]
struct Cell {
    outputs: Vec<Value>,
    sizes: Vec<usize>,
    execution_count: Value,
    clear_next: bool,
    dropped: usize,
}

impl Outputs {
    /// No outputs yet, of `cells` cells that may print `limit` bytes together.
    #[must_use]
    pub fn new(cells: usize, limit: usize) -> Self {
        Self {
            left: limit,
            limit,
            cells: std::iter::repeat_with(Cell::default).take(cells).collect(),
            requests: HashMap::new(),
            displays: HashMap::new(),
        }
    }

    /// Says that the request with this ID executes the cell at `index`.
    pub fn begin(&mut self, request: &str, index: usize) {
        self.requests.entry(request.to_owned()).or_default().push(index);
    }

    /// Makes a place for what a widget takes, and returns its number, which follows those of the cells.
    pub fn add(&mut self) -> usize {
        self.cells.push(Cell::default());
        self.cells.len() - 1
    }

    /// Says that the output of a request no longer goes to `place`.
    pub fn leave(&mut self, request: &str, place: usize) {
        if let Some(places) = self.requests.get_mut(request)
            && let Some(last) = places.iter().rposition(|&other| other == place)
        {
            places.remove(last);
        }
    }

    /// What a place holds.
    #[must_use]
    pub fn of(&self, place: usize) -> &[Value] {
        self.cells
            .get(place)
            .map(|cell| cell.outputs.as_slice())
            .unwrap_or_default()
    }

    /// Says that a place holds these outputs, and no others.
    pub fn hold(&mut self, place: usize, outputs: Vec<Value>) {
        self.clear(place);
        for output in outputs {
            self.push(place, output);
        }
    }

    /// Says that a message that the request caused lacked this many bytes.
    pub fn miss(&mut self, parent: &str, bytes: u64) {
        if let Some(cell) = self.place(parent).and_then(|place| self.cells.get_mut(place)) {
            cell.dropped = cell
                .dropped
                .saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
    }

    /// Takes a message about output. What belongs to no cell of this notebook, or is of an unknown kind, is passed over.
    pub fn take(&mut self, kind: &str, parent: &str, content: &Value) {
        if content.is_null() {
            // Too large to be read: it is missing as a whole.
        } else if kind == "update_display_data" {
            self.update(content);
        } else if let Some(cell) = self.place(parent).filter(|&cell| cell < self.cells.len()) {
            match kind {
                "execute_input" => self.cells[cell].execution_count = content["execution_count"].clone(),
                "clear_output" if content["wait"] == true => self.cells[cell].clear_next = true,
                "clear_output" => self.clear(cell),
                "stream" => self.stream(cell, content),
                "display_data" | "execute_result" | "error" => self.rich(cell, kind, content),
                _ => {}
            }
        }
    }

    /// The outputs and execution count of each cell, with a note in each whose outputs are not complete.
    #[must_use]
    pub fn finish(self) -> Vec<(Vec<Value>, Value)> {
        let limit = self.limit;
        let finish = |mut cell: Cell| {
            if cell.dropped > 0 {
                let note = format!(
                    "[floe: {} bytes of output are not kept: a notebook keeps {limit}]\n",
                    cell.dropped
                );
                cell.outputs.push(stream("stderr", &note));
            }
            (cell.outputs, cell.execution_count)
        };
        self.cells.into_iter().map(finish).collect()
    }

    /// Where the output of a request goes.
    #[must_use]
    pub fn place(&self, request: &str) -> Option<usize> {
        self.requests.get(request)?.last().copied()
    }

    fn stream(&mut self, index: usize, content: &Value) {
        self.clear_if_asked(index);
        let name = content["name"].as_str().unwrap_or("stdout");
        let text = content["text"].as_str().unwrap_or_default();
        // What fits is kept, so that the beginning of one huge message is not lost with its end.
        let kept = &text[..text.floor_char_boundary(self.left)];
        self.left -= kept.len();
        let cell = &mut self.cells[index];
        cell.dropped += text.len() - kept.len();
        if kept.is_empty() {
            return;
        }
        if let (Some(last), Some(size)) = (cell.outputs.last_mut(), cell.sizes.last_mut())
            && last["output_type"] == "stream"
            && last["name"] == name
            && let Value::String(before) = &mut last["text"]
        {
            before.push_str(kept);
            *size += kept.len();
        } else {
            cell.outputs.push(stream(name, kept));
            cell.sizes.push(kept.len());
        }
    }

    fn rich(&mut self, index: usize, kind: &str, content: &Value) {
        self.clear_if_asked(index);
        let output = match kind {
            "error" => json!({
                "output_type": kind, "ename": content["ename"], "evalue": content["evalue"],
                "traceback": content["traceback"],
            }),
            "execute_result" => json!({
                "output_type": kind, "data": content["data"], "metadata": content["metadata"],
                "execution_count": content["execution_count"],
            }),
            _ => json!({"output_type": kind, "data": content["data"], "metadata": content["metadata"]}),
        };
        if self.push(index, output)
            && let Some(id) = content["transient"]["display_id"].as_str()
        {
            let place = (index, self.cells[index].outputs.len() - 1);
            self.displays.entry(id.to_owned()).or_default().push(place);
        }
    }

    /// Adds an output, if there is room for it.
    fn push(&mut self, index: usize, output: Value) -> bool {
        let size = size(&output);
        let cell = &mut self.cells[index];
        if size > self.left {
            cell.dropped += size;
            return false;
        }
        self.left -= size;
        cell.outputs.push(output);
        cell.sizes.push(size);
        true
    }

    /// Replaces what was shown under a display ID, in whatever cell.
    fn update(&mut self, content: &Value) {
        let places = content["transient"]["display_id"]
            .as_str()
            .and_then(|id| self.displays.get(id))
            .cloned()
            .unwrap_or_default();
        for (index, place) in places {
            let cell = &mut self.cells[index];
            let mut output = cell.outputs[place].clone();
            output["data"] = content["data"].clone();
            output["metadata"] = content["metadata"].clone();
            let size = size(&output);
            if size > self.left + cell.sizes[place] {
                cell.dropped += size;
                continue;
            }
            self.left = self.left + cell.sizes[place] - size;
            cell.outputs[place] = output;
            cell.sizes[place] = size;
        }
    }

    fn clear_if_asked(&mut self, index: usize) {
        if self.cells[index].clear_next {
            self.clear(index);
        }
    }

    fn clear(&mut self, index: usize) {
        let cell = &mut self.cells[index];
        cell.clear_next = false;
        cell.outputs.clear();
        self.left += cell.sizes.drain(..).sum::<usize>();
        for places in self.displays.values_mut() {
            places.retain(|&(cell, _)| cell != index);
        }
    }
}

fn stream(name: &str, text: &str) -> Value {
    json!({"output_type": "stream", "name": name, "text": text})
}

/// The bytes of an output in a file.
fn size(output: &Value) -> usize {
    output.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(limit: usize) -> Outputs {
        let mut outputs = Outputs::new(2, limit);
        outputs.begin("1", 0);
        outputs.begin("2", 1);
        outputs
    }

    fn print(outputs: &mut Outputs, request: &str, name: &str, text: &str) {
        outputs.take("stream", request, &json!({"name": name, "text": text}));
    }

    fn texts(outputs: Outputs) -> Vec<Vec<String>> {
        let shown = |output: &Value| {
            output["text"]
                .as_str()
                .map_or_else(|| output["data"].to_string(), str::to_owned)
        };
        let cells = outputs.finish().into_iter();
        cells.map(|(cell, _)| cell.iter().map(shown).collect()).collect()
    }

    #[test]
    fn consecutive_output_of_one_stream_is_one_output() {
        let mut all = outputs(1000);
        for (name, text) in [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")] {
            print(&mut all, "1", name, text);
        }
        assert_eq!(texts(all), [vec!["ab", "c", "d"], vec![]]);
    }

    #[test]
    fn late_output_goes_to_the_cell_that_caused_it() {
        let mut all = outputs(1000);
        print(&mut all, "2", "stdout", "second");
        print(&mut all, "1", "stdout", "late");
        print(&mut all, "unknown", "stdout", "x");
        assert_eq!(texts(all), [["late"], ["second"]]);
    }

    #[test]
    fn a_display_is_updated_from_a_later_cell() {
        let mut all = outputs(1000);
        let show = |data: &str| json!({"data": data, "metadata": {}, "transient": {"display_id": "d"}});
        all.take("display_data", "1", &show("old"));
        all.take("update_display_data", "2", &show("new"));
        assert_eq!(texts(all), [vec!["\"new\""], vec![]]);
    }

    #[test]
    fn an_output_cleared_on_request_stays_until_the_next() {
        let mut all = outputs(1000);
        print(&mut all, "1", "stdout", "a");
        all.take("clear_output", "1", &json!({"wait": true}));
        print(&mut all, "1", "stdout", "b");
        all.take("clear_output", "1", &json!({"wait": true}));
        assert_eq!(texts(all), [vec!["b"], vec![]]);
    }

    #[test]
    fn output_beyond_the_limit_is_dropped_and_told() {
        let mut all = outputs(10);
        print(&mut all, "1", "stdout", "123456789ä");
        print(&mut all, "2", "stdout", "more");
        let [first, second] = &texts(all)[..] else { panic!() };
        assert_eq!(first[0], "123456789");
        assert_eq!(
            first[1],
            "[floe: 2 bytes of output are not kept: a notebook keeps 10]\n"
        );
        assert_eq!(second[0], "m");
    }

    #[test]
    fn a_progress_display_does_not_use_up_the_limit() {
        let mut all = outputs(50);
        for step in 0..1000 {
            all.take("clear_output", "1", &json!({"wait": true}));
            print(&mut all, "1", "stdout", &format!("step {step}"));
        }
        assert_eq!(texts(all), [vec!["step 999"], vec![]]);
    }
}
