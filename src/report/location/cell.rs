//! Where the source of a notebook's cell stands in the notebook's file.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Notebook<'a> {
    #[serde(borrow)]
    cells: Vec<Cell<'a>>,
}

#[derive(Deserialize)]
struct Cell<'a> {
    #[serde(borrow)]
    source: &'a RawValue,
}

/// The line of the file `text` that holds line `line` of the source of cell `cell`; all are counted from 1.
///
/// Jupyter writes a source as a list of strings, each on a line of its own. Where it is one string, that is the line.
pub(super) fn line(text: &str, cell: usize, line: usize) -> Option<usize> {
    let notebook = serde_json::from_str::<Notebook>(text.trim_start_matches('\u{feff}')).ok()?;
    let source = notebook.cells.get(cell.checked_sub(1)?)?.source;
    let Ok(pieces) = serde_json::from_str::<Vec<&RawValue>>(source.get()) else {
        return Some(line_of(text, source.get()));
    };
    let mut before = 0;
    for piece in &pieces {
        let code = serde_json::from_str::<String>(piece.get()).ok()?;
        before += code.lines().count();
        if before >= line {
            return Some(line_of(text, piece.get()));
        }
    }
    Some(line_of(text, pieces.last().map_or(source.get(), |piece| piece.get())))
}

/// The line of `text` in which its part `part` begins.
fn line_of(text: &str, part: &str) -> usize {
    let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let before = &text.as_bytes()[..offset.min(text.len())];
    memchr::memchr_iter(b'\n', before).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTEBOOK: &str = r##"{
 "cells": [
  {"cell_type": "markdown", "source": "# one\ntwo"},
  {
   "cell_type": "code",
   "source": [
    "import this\n",
    "\n",
    "1/0"
   ]
  },
  {"cell_type": "code", "source": []}
 ]
}"##;

    #[test]
    fn a_line_of_a_cell_is_found_in_the_file() {
        let found = |cell, number| line(NOTEBOOK, cell, number);
        assert_eq!(found(1, 1), Some(3));
        assert_eq!(found(1, 2), Some(3));
        assert_eq!(found(2, 1), Some(7));
        assert_eq!(found(2, 3), Some(9));
        assert_eq!(found(2, 99), Some(9), "a line that is not there is the last");
        assert_eq!(found(3, 1), Some(12));
        assert_eq!(found(4, 1), None);
        assert_eq!(found(0, 1), None);
    }

    #[test]
    fn a_file_that_is_no_notebook_has_no_cells() {
        assert_eq!(line("", 1, 1), None);
        assert_eq!(line("{\"cells\": 3}", 1, 1), None);
        assert_eq!(line("{\"cells\": [{\"source\": [3]}]}", 1, 1), None);
    }

    #[test]
    fn a_mark_at_the_beginning_moves_no_line() {
        assert_eq!(line(&format!("\u{feff}{NOTEBOOK}"), 2, 1), Some(7));
    }
}
