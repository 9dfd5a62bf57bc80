//! Output of which only the beginning and the end are kept, so that any amount of it fits into memory.

use std::collections::VecDeque;

/// How many bytes are kept of the beginning, and again of the end.
const KEPT: usize = 64 * 1024;

/// The beginning and the end of an output, 64 KiB each.
#[derive(Debug, Default)]
pub struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: usize,
}

impl Capture {
    /// Adds the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = KEPT - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..excess);
        self.dropped += excess;
    }

    /// Whether what comes next begins a line.
    #[must_use]
    pub fn ends_line(&self) -> bool {
        self.tail.back().or(self.head.last()).is_none_or(|&byte| byte == b'\n')
    }

    /// What was kept, with invalid UTF-8 replaced and a note where bytes are missing.
    #[must_use]
    pub fn text(&self) -> String {
        let (front, back) = self.tail.as_slices();
        if self.dropped == 0 {
            return String::from_utf8_lossy(&[&self.head, front, back].concat()).into_owned();
        }
        format!(
            "{}\n[… {} bytes not kept …]\n{}",
            String::from_utf8_lossy(&self.head),
            self.dropped,
            String::from_utf8_lossy(&[front, back].concat())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_output_is_kept_whole() {
        let mut capture = Capture::default();
        for piece in [&b"a\xc3"[..], b"\xa4 ", b"\xff"] {
            capture.push(piece);
        }
        assert_eq!(capture.text(), "aä \u{fffd}");
    }

    #[test]
    fn of_long_output_the_beginning_and_the_end_are_kept_and_the_gap_is_told() {
        let mut capture = Capture::default();
        capture.push(b"first");
        for _ in 0..100 {
            capture.push(&[b'x'; 10_000]);
        }
        capture.push(b"last");
        let text = capture.text();
        assert!(text.starts_with("first") && text.ends_with("last"));
        assert!(text.contains("[… 868937 bytes not kept …]"), "{}", text.len());
    }
}
