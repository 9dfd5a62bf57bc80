//! Rows as a table: in columns for a terminal, in Markdown for the documentation.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Bar, Figure, Row};

const HEADINGS: [&str; 7] = ["what", "floe", "theirs", "", "ratio", "bar", ""];

/// Columns.
pub fn plain(rows: &[Row]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let mut widths = [0; HEADINGS.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Words are read from their beginning, numbers from their end.
            let _ = match column {
                0 | 3 | 6 => write!(text, "{cell:<width$}  "),
                _ => write!(text, "{cell:>width$}  "),
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// A section of a page, about the benchmark `name`.
pub fn markdown(name: &str, rows: &[Row], machine: &[String], rounds: usize) -> String {
    let rounds = match rounds {
        1 => "that of 1 round".to_owned(),
        rounds => format!("the median of {rounds} rounds"),
    };
    let mut text = format!("## {name}\n\nWritten by `scripts/bench {name} --markdown`. Each figure is {rounds}.\n\n");
    for line in machine {
        let _ = writeln!(text, "- {line}");
    }
    text.push_str("\n| what | floe | the other side | ratio | bar | |\n|---|--:|---|--:|--:|---|\n");
    for row in rows {
        let [what, ours, theirs, than, ratio, bar, verdict] = cells(row);
        let theirs = format!("{theirs} {than}");
        let _ = writeln!(
            text,
            "| {what} | {ours} | {} | {ratio} | {bar} | {verdict} |",
            theirs.trim()
        );
    }
    text
}

/// The text of the page that a table is to be written into; a page that is not there yet is empty. Known before a run, so that
/// none is lost to a wrong name.
pub fn page(file: &Path) -> io::Result<String> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::write(file, "").map_err(named)?;
            Ok(String::new())
        }
        read => read.map_err(named),
    }
}

/// The page with this section in the place of an older one of its name, or at its end.
pub fn with_section(page: &str, name: &str, section: &str) -> String {
    let heading = format!("## {name}\n");
    let Some(start) = page.find(&heading) else {
        return format!("{}\n\n{section}", page.trim_end()).trim_start().to_owned();
    };
    let rest = &page[start + heading.len()..];
    let after = rest.find("\n## ").map_or("", |next| &rest[next..]);
    format!("{}{section}{after}", &page[..start])
}

fn cells(row: &Row) -> [String; HEADINGS.len()] {
    let (than, theirs) = match row.theirs {
        Some((than, theirs)) => (than.to_owned(), shown(theirs)),
        None => (String::new(), String::new()),
    };
    let verdict = match row.bar {
        None => "",
        Some(_) if row.is_missed() => "MISSED",
        Some(_) => "ok",
    };
    [
        row.what.clone(),
        shown(row.ours),
        theirs,
        than,
        row.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
        match row.bar {
            Some(Bar::Times(most)) => format!("<= {most}"),
            Some(Bar::Within(most)) => format!("<= {}", shown(most)),
            None => String::new(),
        },
        verdict.to_owned(),
    ]
}

fn shown(figure: Figure) -> String {
    let time = match figure {
        Figure::Time(time) => time,
        Figure::Bytes(bytes) if bytes < 10_000_000 => {
            let hundredths = bytes / 10_000;
            return format!("{}.{:02} MB", hundredths / 100, hundredths % 100);
        }
        Figure::Bytes(bytes) => return format!("{} MB", bytes / 1_000_000),
    };
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}
