//! Executed notebooks beside a log, read with suspicion: their names and contents came out of a container.

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A larger notebook is not read.
const LARGEST_NOTEBOOK: u64 = 32 << 20;

/// A larger picture is not shown, in bytes.
const LARGEST_PICTURE: usize = 1 << 20;

/// A picture of more pixels in either direction is not shown.
const WIDEST_PICTURE: u32 = 10_000;

/// The executed notebooks of a run's directory.
#[derive(Debug, Clone, Default)]
pub struct Executed {
    directory: Option<PathBuf>,
}

/// A cell of an executed notebook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// Its code.
    pub source: String,
    /// What it showed, in order, without the traceback of an exception.
    pub shown: Vec<Shown>,
}

/// Something that a cell showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Text, printed or the value of an expression.
    Text(String),
    /// A PNG or JPEG picture.
    Picture {
        /// `image/png` or `image/jpeg`.
        kind: &'static str,
        /// Its bytes in base64.
        base64: String,
        /// Its bytes.
        size: usize,
    },
    /// The source of something that a browser would interpret.
    Source {
        /// Its media type.
        kind: String,
        /// The source.
        text: String,
    },
    /// Something that is not shown, and why.
    Omitted(String),
}

impl Executed {
    /// The notebooks below `directory`.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        Self {
            directory: Some(directory.to_owned()),
        }
    }

    /// The file of the notebook with this relative name, if it lies below the directory.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let inside = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            return None;
        }
        let directory = self.directory.as_ref()?.canonicalize().ok()?;
        // A link that a container left must not show a file of the host.
        let file = directory.join(name).canonicalize().ok()?;
        (file.starts_with(&directory) && file.is_file()).then_some(file)
    }

    /// The cell with this number, counted from 1, of the notebook with this name.
    #[must_use]
    pub fn cell(&self, name: &str, number: usize) -> Option<Cell> {
        let mut text = Vec::new();
        let file = File::open(self.file(name)?).ok()?;
        let length = file.take(LARGEST_NOTEBOOK + 1).read_to_end(&mut text).ok()?;
        if length as u64 > LARGEST_NOTEBOOK {
            return None;
        }
        let notebook = serde_json::from_slice::<Value>(&text).ok()?;
        let cell = notebook["cells"].get(number.checked_sub(1)?)?;
        let outputs = cell["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
        Some(Cell {
            source: joined(&cell["source"]),
            shown: outputs.iter().flat_map(shown).collect(),
        })
    }
}

fn shown(output: &Value) -> Vec<Shown> {
    match output["output_type"].as_str() {
        Some("stream") => vec![Shown::Text(joined(&output["text"]))],
        Some("display_data" | "execute_result") => data(&output["data"]),
        _ => Vec::new(),
    }
}

/// One form of something that was shown in several: a picture if there is one, else its text, else its source.
fn data(data: &Value) -> Vec<Shown> {
    let Some(forms) = data.as_object() else {
        return Vec::new();
    };
    if let Some(picture) = ["image/png", "image/jpeg"]
        .into_iter()
        .find_map(|kind| Some(picture(kind, &joined(forms.get(kind)?))))
    {
        return vec![picture];
    }
    let text = forms.get("text/plain").map(joined);
    // `<IPython.core.display.HTML object>` says nothing of what was shown.
    let text = text.filter(|text| !(text.starts_with('<') && text.ends_with('>')) || forms.len() == 1);
    if let Some(text) = text {
        return vec![Shown::Text(text)];
    }
    let others = forms.iter().filter(|(kind, _)| *kind != "text/plain");
    others.map(|(kind, text)| source(kind, text)).take(4).collect()
}

fn source(kind: &str, text: &Value) -> Shown {
    let text = match text {
        Value::String(_) | Value::Array(_) => joined(text),
        other => other.to_string(),
    };
    Shown::Source {
        kind: kind.to_owned(),
        text,
    }
}

/// A picture, if its bytes are what its media type says and it is not too large.
fn picture(kind: &'static str, base64: &str) -> Shown {
    let omitted = |why: &str| Shown::Omitted(format!("a picture ({kind}) that {why}"));
    if base64.len() > 2 * LARGEST_PICTURE {
        return omitted("is too large to be shown here");
    }
    let text = base64.split_whitespace().collect::<String>();
    let Ok(bytes) = STANDARD.decode(text) else {
        return omitted("cannot be decoded");
    };
    let valid = match kind {
        "image/png" => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
        _ => bytes.starts_with(b"\xff\xd8\xff"),
    };
    if !valid {
        return omitted("is not what it claims to be");
    }
    if bytes.len() > LARGEST_PICTURE || kind == "image/png" && is_wide(&bytes) {
        return omitted("is too large to be shown here");
    }
    Shown::Picture {
        kind,
        base64: STANDARD.encode(&bytes),
        size: bytes.len(),
    }
}

/// Whether a PNG has too many pixels to be drawn, or does not say how many.
fn is_wide(png: &[u8]) -> bool {
    let number = |at: usize| png.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let fits = |side: Option<u32>| side.is_some_and(|side| (1..=WIDEST_PICTURE).contains(&side));
    !(fits(number(16)) && fits(number(20)))
}

/// A text of a notebook, which is a string or a list of strings.
fn joined(text: &Value) -> String {
    match text {
        Value::String(text) => text.clone(),
        Value::Array(pieces) => pieces.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use serde_json::json;

    use super::*;

    /// The head of a PNG of this size, which is all of it that floe reads.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    }

    fn display(kind: &str, bytes: &[u8]) -> Value {
        json!({"output_type": "display_data", "data": {kind: STANDARD.encode(bytes), "text/plain": "<Figure>"}})
    }

    fn read(outputs: &[Value]) -> Vec<Shown> {
        let directory = tempfile::tempdir().unwrap();
        let cell = json!({"cell_type": "code", "source": ["a\n", "b"], "outputs": outputs});
        fs::write(directory.path().join("x.ipynb"), json!({"cells": [cell]}).to_string()).unwrap();
        let cell = Executed::of(directory.path()).cell("x.ipynb", 1).unwrap();
        assert_eq!(cell.source, "a\nb");
        cell.shown
    }

    #[test]
    fn a_picture_is_shown_by_what_it_is_not_by_what_it_is_called() {
        let shown = read(&[
            display("image/png", &png(10, 10)),
            display("image/jpeg", b"\xff\xd8\xff\xe0jpeg"),
        ]);
        assert!(
            matches!(
                shown[0],
                Shown::Picture {
                    kind: "image/png",
                    size: 24,
                    ..
                }
            ),
            "{shown:?}"
        );
        assert!(
            matches!(shown[1], Shown::Picture { kind: "image/jpeg", .. }),
            "{shown:?}"
        );
        let mut large = png(10, 10);
        large.resize(LARGEST_PICTURE + 1, 0);
        for output in [
            display("image/png", b"<svg onload='alert(1)'>"),
            display("image/jpeg", &png(10, 10)),
            display("image/png", &png(10, WIDEST_PICTURE + 1)),
            display("image/png", &png(0, 1)[..20]),
            display("image/png", &large),
            json!({"output_type": "display_data", "data": {"image/png": "\"><script>"}}),
        ] {
            let shown = read(std::slice::from_ref(&output));
            assert!(matches!(shown[..], [Shown::Omitted(_)]), "{shown:?}");
        }
    }

    #[test]
    fn what_a_browser_would_interpret_is_source() {
        let output =
            json!({"output_type": "display_data", "data": {"text/html": ["<b>", "x"], "application/javascript": "1"}});
        let source = |kind: &str, text: &str| Shown::Source {
            kind: kind.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(
            read(&[output]),
            [source("text/html", "<b>x"), source("application/javascript", "1")]
        );
    }

    #[test]
    fn a_notebook_is_only_found_below_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("run");
        fs::create_dir_all(run.join("notebooks")).unwrap();
        fs::write(directory.path().join("secret.ipynb"), "{}").unwrap();
        fs::write(run.join("notebooks/x.ipynb"), "{}").unwrap();
        symlink("../../secret.ipynb", run.join("notebooks/link.ipynb")).unwrap();
        let executed = Executed::of(&run);
        assert!(executed.file("notebooks/x.ipynb").is_some());
        for name in [
            "notebooks/link.ipynb",
            "../secret.ipynb",
            "notebooks/../../secret.ipynb",
            "/etc/passwd",
            "notebooks",
            "",
        ] {
            assert_eq!(executed.file(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_damaged_notebook_has_no_cells() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["", "[]", "{\"cells\": 1}", "{\"cells\": []}"] {
            fs::write(directory.path().join("x.ipynb"), text).unwrap();
            let executed = Executed::of(directory.path());
            assert_eq!(executed.cell("x.ipynb", 1), None, "{text:?}");
            assert_eq!(executed.cell("x.ipynb", 0), None, "{text:?}");
        }
    }
}
