//! Colours, and the shapes that lines of the display have in common.

/// Whether to colour, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    pub(super) color: bool,
}

/// What a piece of text means; its colour follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Something went well.
    Good,
    /// Something failed.
    Bad,
    /// Something to know.
    Careful,
    /// A name.
    Name,
    /// Something of less weight.
    Dim,
}

impl Paint {
    /// The text in the colour of its meaning.
    pub(super) fn ink(self, ink: Ink, text: &str) -> String {
        let parameters = match ink {
            Ink::Good => "32;1",
            Ink::Bad => "31;1",
            Ink::Careful => "33;1",
            Ink::Name => "1",
            Ink::Dim => "2",
        };
        if self.color && !text.is_empty() {
            format!("\u{1b}[{parameters}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// A line that begins with a label, right-aligned so that labels form a column of 12.
    pub(super) fn labelled(self, ink: Ink, label: &str, rest: &str) -> String {
        let space = " ".repeat(12_usize.saturating_sub(label.chars().count()));
        format!("{space}{} {rest}", self.ink(ink, label))
    }

    /// What sets a part of the display off from the next.
    pub(super) fn rule(self) -> String {
        self.ink(Ink::Dim, &"\u{2500}".repeat(12))
    }
}

/// Seconds as a column: `[   0.812s]`.
pub(super) fn seconds(seconds: f64) -> String {
    format!("[{seconds:>8.3}s]")
}

/// A number of things: `1 test`, `2 tests`.
pub(super) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A number of bytes as people read it: `12.3 MB`.
pub(super) fn bytes(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

/// The text cut to `width` columns, with an ellipsis where something was cut. It must hold no control sequences.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1)).collect::<String>();
    format!("{kept}\u{2026}")
}
