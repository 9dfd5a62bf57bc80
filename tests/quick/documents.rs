//! The pages of `docs/reference/` that are made of what the program says of itself. `just documents` writes them.

mod commands;
mod exit_codes;
mod how_to;
mod settings;
mod typed;

use std::fs;
use std::path::Path;

/// Where this is set, the pages are written and not compared.
const WRITE: &str = "WRITE_DOCUMENTS";

/// Fails the test unless the page `name` of `docs/reference/` has this text.
#[track_caller]
fn assert_page(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, text).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(text.lines()).position(|(page, text)| page != text);
    let line = differs.unwrap_or(page.lines().count().min(text.lines().count())) + 1;
    assert!(
        page == text,
        "docs/reference/{name}:{line} is not what the program says now; `just documents` writes it"
    );
}
