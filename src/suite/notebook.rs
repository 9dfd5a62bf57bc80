//! Notebook files, kept as the JSON they are: what floe does not know stays as it was. Those of format 4 are; those of the
//! formats before it are brought to it.

mod upgrade;

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize as _;
use serde_json::Value;

/// A notebook that cannot be executed.
#[derive(Debug, thiserror::Error)]
pub enum NotebookError {
    /// The file cannot be read or written.
    #[error("cannot access the notebook: {0}")]
    File(#[from] io::Error),
    /// The file is not JSON.
    #[error("not a notebook: {0}")]
    Json(serde_json::Error),
    /// The notebook has a format that is neither 4 nor can be brought to it.
    #[error("the notebook has format {0}, only 2 to 4 can be run: open it in Jupyter and save it")]
    Format(String),
    /// The notebook does not follow its format.
    #[error("not a valid notebook: {0}")]
    Invalid(String),
}

/// A valid notebook.
#[derive(Debug, Clone, PartialEq)]
pub struct Notebook(Value);

/// A code cell of a notebook.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeCell {
    /// Its place among all cells, counted from 0.
    pub index: usize,
    /// Its code.
    pub source: String,
    /// Whether it must raise an exception (tag `raises-exception`).
    pub raises: bool,
    /// Whether it is not executed (tag `skip-execution`).
    pub skipped: bool,
    /// Its own time limit: `floe.timeout` or `execution.timeout` of its metadata, in seconds.
    pub timeout: Option<Duration>,
}

impl Notebook {
    /// Reads and checks a notebook.
    pub fn load(path: &Path) -> Result<Self, NotebookError> {
        Self::parse(&fs::read(path)?)
    }

    /// Checks a notebook.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotebookError> {
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(NotebookError::Invalid(
                "it begins with a byte order mark, which Jupyter does not open".to_owned(),
            ));
        }
        let mut value: Value = serde_json::from_slice(bytes).map_err(NotebookError::Json)?;
        if value["nbformat"] == 2 || value["nbformat"] == 3 {
            value = upgrade::upgrade(value)
                .ok_or_else(|| NotebookError::Invalid("it has no worksheets with cells".to_owned()))?;
        }
        if value["nbformat"] != 4 {
            return Err(match &value["nbformat"] {
                Value::Number(number) => NotebookError::Format(number.to_string()),
                _ => NotebookError::Invalid("it does not name its format".to_owned()),
            });
        }
        let cells = value["cells"]
            .as_array()
            .ok_or_else(|| NotebookError::Invalid("it has no list of cells".to_owned()))?;
        for (cell, number) in cells.iter().zip(1..) {
            if !cell["cell_type"].is_string() || source(cell).is_none() {
                return Err(NotebookError::Invalid(format!(
                    "cell {number} has no type or no source"
                )));
            }
        }
        Ok(Self(value))
    }

    /// The code cells that hold code, in order.
    #[must_use]
    pub fn code_cells(&self) -> Vec<CodeCell> {
        let cells = self.cells().iter().enumerate();
        cells
            .filter(|(_, cell)| cell["cell_type"] == "code")
            .filter_map(|(index, cell)| {
                let tagged = |tag: &str| {
                    let tags = cell["metadata"]["tags"].as_array();
                    tags.is_some_and(|tags| tags.iter().any(|value| value == tag))
                };
                Some(CodeCell {
                    index,
                    source: source(cell).filter(|source| !source.trim().is_empty())?,
                    raises: tagged("raises-exception"),
                    skipped: tagged("skip-execution"),
                    timeout: seconds(&cell["metadata"]["floe"])
                        .or_else(|| seconds(&cell["metadata"]["execution"]))
                        .or_else(|| seconds(&self.0["metadata"]["execution"])),
                })
            })
            .collect()
    }

    /// The kernel that it names: `kernelspec.name` of its metadata.
    #[must_use]
    pub fn kernel(&self) -> Option<&str> {
        self.0["metadata"]["kernelspec"]["name"].as_str()
    }

    /// The time limit of the whole notebook: `floe.timeout` of its metadata, in seconds.
    ///
    /// `execution.timeout` of its metadata is the limit of each cell, as nbclient has it.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        seconds(&self.0["metadata"]["floe"])
    }

    /// Sets an entry of the metadata.
    pub fn describe(&mut self, name: &str, value: Value) {
        let metadata = &mut self.0["metadata"];
        if !metadata.is_object() {
            *metadata = Value::Object(serde_json::Map::new());
        }
        metadata[name] = value;
    }

    /// Forgets the outputs and execution counts of all cells, and the state of their widgets.
    pub fn clear(&mut self) {
        if let Some(metadata) = self.0["metadata"].as_object_mut() {
            metadata.remove("widgets");
        }
        for index in 0..self.cells().len() {
            if self.cells()[index]["cell_type"] == "code" {
                self.set_outputs(index, Vec::new(), Value::Null);
            }
        }
    }

    /// Sets the outputs and the execution count of the cell at `index`.
    pub fn set_outputs(&mut self, index: usize, outputs: Vec<Value>, execution_count: Value) {
        if let Some(cell) = self.0["cells"].get_mut(index).and_then(Value::as_object_mut) {
            cell.insert("execution_count".to_owned(), execution_count);
            cell.insert("outputs".to_owned(), Value::Array(outputs));
        }
    }

    /// Writes the notebook as Jupyter does, with an indent of one space.
    pub fn save(&self, path: &Path) -> Result<(), NotebookError> {
        let mut bytes = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, format);
        self.0.serialize(&mut serializer).map_err(NotebookError::Json)?;
        bytes.push(b'\n');
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(fs::write(path, bytes)?)
    }

    fn cells(&self) -> &[Value] {
        self.0["cells"].as_array().map(Vec::as_slice).unwrap_or_default()
    }
}

/// A cell's source, which is a string or a list of strings.
fn source(cell: &Value) -> Option<String> {
    match &cell["source"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => lines.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// A positive `timeout`; nbclient's `-1` and `null` mean "no limit of its own".
fn seconds(metadata: &Value) -> Option<Duration> {
    let seconds = metadata["timeout"].as_f64().filter(|&seconds| seconds > 0.0)?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_run_says_why() {
        let reasons: Vec<String> = [
            "",
            r#"{"nbformat": 4, "cells": ["#,
            r#"{"nbformat": 1, "cells": []}"#,
            r#"{"nbformat": 3, "cells": []}"#,
            "[]",
            r#"{"nbformat": 4}"#,
            r#"{"nbformat": 4, "cells": [{"cell_type": "code", "source": 7}]}"#,
        ]
        .iter()
        .map(|text| Notebook::parse(text.as_bytes()).unwrap_err().to_string())
        .collect();
        insta::assert_debug_snapshot!(reasons, @r#"
        [
            "not a notebook: EOF while parsing a value at line 1 column 0",
            "not a notebook: EOF while parsing a list at line 1 column 26",
            "the notebook has format 1, only 2 to 4 can be run: open it in Jupyter and save it",
            "not a valid notebook: it has no worksheets with cells",
            "not a valid notebook: it does not name its format",
            "not a valid notebook: it has no list of cells",
            "not a valid notebook: cell 1 has no type or no source",
        ]
        "#);
    }

    #[test]
    fn what_jupyter_does_not_open_is_not_run_though_there_is_a_notebook_in_it() {
        let notebook = r#"{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x = 'é'"}]}"#;
        assert!(Notebook::parse(notebook.as_bytes()).is_ok());
        let marked = format!("\u{feff}{notebook}").into_bytes();
        let latin = notebook.chars().map(|c| u8::try_from(c).unwrap()).collect::<Vec<_>>();
        let wide = notebook.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        for (bytes, reason) in [
            (marked, "it begins with a byte order mark"),
            (latin, "invalid unicode code point"),
            (wide, "not a notebook"),
            (format!("{notebook}\n{notebook}").into_bytes(), "trailing characters"),
        ] {
            let error = Notebook::parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_notebook_of_an_earlier_format_is_brought_to_format_4() {
        let text = r#"{"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "old"}, "worksheets": [{"cells": [
            {"cell_type": "heading", "level": 2, "source": ["A", " title"]},
            {"cell_type": "html", "source": "<b>"},
            {"cell_type": "code", "input": ["a\n", "b"], "language": "python", "prompt_number": 7, "outputs": [{}]}]},
            {"cells": [{"cell_type": "code", "input": "c", "metadata": {"tags": ["raises-exception"]}}]}]}"#;
        let notebook = Notebook::parse(text.as_bytes()).unwrap();
        assert_eq!(notebook.cells()[0]["source"], "## A title");
        assert_eq!(notebook.cells()[1]["cell_type"], "markdown");
        let cells = notebook.code_cells();
        let shown: Vec<_> = cells
            .iter()
            .map(|cell| (cell.index, cell.source.as_str(), cell.raises))
            .collect();
        assert_eq!(shown, [(2, "a\nb", false), (3, "c", true)]);
    }

    #[test]
    fn tags_and_limits_of_cells_are_read() {
        let text = r##"{"nbformat": 4, "metadata": {"floe": {"timeout": 9}, "execution": {"timeout": 3}}, "cells": [
            {"cell_type": "markdown", "source": "# title"},
            {"cell_type": "code", "source": ["a\n", "b"], "metadata": {"tags": ["raises-exception"]}},
            {"cell_type": "code", "source": " \n"},
            {"cell_type": "code", "source": "c", "metadata": {"tags": ["skip-execution"], "floe": {"timeout": 0.5}}}]}"##;
        let notebook = Notebook::parse(text.as_bytes()).unwrap();
        assert_eq!(notebook.timeout(), Some(Duration::from_secs(9)));
        let cells = notebook.code_cells();
        let shown: Vec<_> = cells
            .iter()
            .map(|cell| {
                (
                    cell.index,
                    cell.source.as_str(),
                    cell.raises,
                    cell.skipped,
                    cell.timeout,
                )
            })
            .collect();
        let (long, short) = (Some(Duration::from_secs(3)), Some(Duration::from_millis(500)));
        assert_eq!(shown, [(1, "a\nb", true, false, long), (3, "c", false, true, short)]);
    }
}
