//! The pages of the documents and their fenced blocks. Tests run those of the kind `sh`, or, where they need several machines,
//! see that they are understood; a block of the kind `shell` is what `setup-env` holds, and one of the kind `console` is for a
//! person at a terminal.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The pages of `docs/how-to/`, and from what their commands start.
pub const HOW_TO: &[(&str, Start)] = &[
    ("a-failing-test.md", Start::Mission),
    ("ci.md", Start::Mission),
    ("disk.md", Start::Mission),
    ("from-docker-stacks.md", Start::Mission),
    ("from-repo2docker.md", Start::Nothing),
    ("from-the-original-scripts.md", Start::Nothing),
    ("inside-an-image.md", Start::Mission),
    ("kubernetes.md", Start::Cluster),
    ("proxy.md", Start::Mission),
    ("registry.md", Start::Mission),
    ("several-engines.md", Start::Engines),
];

/// From what the commands of a page start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// An empty directory, and no container engine.
    Nothing,
    /// A repository with a mission, and a container engine.
    Mission,
    /// A mission, and several engines.
    Engines,
    /// A mission, and a cluster.
    Cluster,
}

/// Where a page of `docs/how-to/` is.
pub fn how_to(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/how-to")
        .join(page)
}

/// The text of a page of `docs/how-to/`.
#[track_caller]
pub fn how_to_text(page: &str) -> String {
    fs::read_to_string(how_to(page)).unwrap()
}

/// A fenced block of a page.
pub struct Block {
    /// What stands behind its fence.
    pub kind: String,
    /// The line that it begins at.
    pub line: usize,
    /// How far its lines are indented.
    depth: usize,
    /// The lines between its fences, without that.
    pub text: String,
}

/// The blocks of a page, in their order.
#[track_caller]
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        // A block in a list is as deep as its item.
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(kind)) => {
                open = Some(Block {
                    kind: kind.to_owned(),
                    line: number + 1,
                    depth: line.len() - line.trim_start().len(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line.get(block.depth..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

/// The blocks of the kind `sh`, one after the other, as one script that says where it is.
#[track_caller]
pub fn script(page: &str) -> String {
    let mut script = String::new();
    for block in blocks(page).iter().filter(|block| block.kind == "sh") {
        let _ = write!(script, "echo 'at line {}' >&2\n{}", block.line, block.text);
    }
    script
}

/// Fails the test unless a page has this text between `<!-- NAME -->` and `<!-- end -->`; writes it there where `just documents`
/// asks for that.
#[track_caller]
pub fn assert_section(page: &Path, name: &str, text: &str) {
    let held = fs::read_to_string(page).unwrap();
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = held.split_once(&begin).expect("the page has the section");
    let (_, after) = rest.split_once("<!-- end -->").expect("the section has an end");
    let now = format!("{before}{begin}{text}<!-- end -->{after}");
    if std::env::var_os("WRITE_DOCUMENTS").is_some() {
        fs::write(page, &now).unwrap();
    } else {
        let page = page.display();
        assert!(
            held == now,
            "{page}: {name} is not what it should be; `just documents` writes it:\n{text}"
        );
    }
}
