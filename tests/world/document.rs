//! The fenced blocks of a page, some of which tests run.

use std::fmt::Write as _;

/// A fenced block of a page.
pub struct Block {
    /// What stands behind its fence.
    pub kind: String,
    /// The line that it begins at.
    pub line: usize,
    /// The lines between its fences.
    pub text: String,
}

/// The blocks of a page, in their order.
#[track_caller]
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                open = Some(Block {
                    kind: kind.to_owned(),
                    line: number + 1,
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
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
