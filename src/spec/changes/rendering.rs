//! Changes as text for people, as a table for a pull request, and as JSON for programs.

use std::fmt::Write as _;

use serde_json::json;

use super::{Change, Changes, Kind, Part};

/// The version of the form of [`Changes::to_json`]. It rises when what is there changes its meaning or goes.
const JSON_VERSION: u32 = 1;

/// What is said where nothing differs.
const NOTHING: &str = "no difference";

impl Changes {
    /// What differs in numbers: `3 added, 1 removed, 5 up, 1 down`.
    #[must_use]
    pub fn summary(&self) -> String {
        let counts = Kind::ALL.into_iter().map(|kind| (self.count(kind), kind.word()));
        let counts = counts.filter(|(count, _)| *count > 0);
        let counts = counts
            .map(|(count, word)| format!("{count} {word}"))
            .collect::<Vec<_>>();
        if counts.is_empty() {
            NOTHING.to_owned()
        } else {
            counts.join(", ")
        }
    }

    /// One aligned line for each change, and the summary.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = self.rows(|_| String::new());
        lines.push(self.summary());
        lines.join("\n") + "\n"
    }

    /// One aligned line for each change, and behind it what `note` says of it.
    pub fn rows(&self, note: impl Fn(&Change) -> String) -> Vec<String> {
        let width = |cells: &dyn Fn(&Change) -> usize| self.0.iter().map(cells).max().unwrap_or_default();
        let kinds = width(&|change| change.kind.word().len());
        let names = width(&|change| printable(&change.name).chars().count());
        let parts = width(&|change| word(change.of).len());
        let sides = |change: &Change| {
            let sides = [&change.from, &change.to].map(|side| side.as_deref().map(printable));
            sides.into_iter().flatten().collect::<Vec<_>>().join(" → ")
        };
        let both = width(&|change| sides(change).chars().count());
        let row = |change: &Change| {
            let (kind, name, part) = (change.kind.word(), printable(&change.name), word(change.of));
            let (sides, note) = (sides(change), printable(&note(change)));
            let row = format!("{kind:kinds$}  {name:names$}  {part:parts$}  {sides:both$}  {note}");
            row.trim_end().to_owned()
        };
        self.0.iter().map(row).collect()
    }

    /// A table, and the summary.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        if !self.is_empty() {
            text.push_str("| package | | from | to | |\n|---|---|---|---|---|\n");
        }
        for change in &self.0 {
            let [from, to] = [&change.from, &change.to].map(|side| side.as_deref().map(code).unwrap_or_default());
            let (name, part, kind) = (code(&change.name), word(change.of), change.kind.word());
            let _ = writeln!(text, "| {name} | {part} | {from} | {to} | {kind} |");
        }
        let gap = if self.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{}", self.summary());
        text
    }

    /// The changes and their counts, for programs.
    #[must_use]
    pub fn to_json(&self) -> String {
        let counts = Kind::ALL.map(|kind| (kind.word().to_owned(), self.count(kind).into()));
        let value = json!({
            "version": JSON_VERSION,
            "summary": serde_json::Map::from_iter(counts),
            "changes": self.0,
        });
        format!("{value:#}\n")
    }
}

fn word(part: Part) -> &'static str {
    match part {
        Part::Python => "venv",
        Part::Conda => "conda",
        Part::Pip => "pip",
        Part::Variable => "variable",
    }
}

/// The text on one line, without what could steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// The text as code in a cell of a table.
fn code(text: &str) -> String {
    let text = printable(text).replace('`', "'").replace('|', "\\|");
    if text.is_empty() { text } else { format!("`{text}`") }
}
