//! The end of what a step of a build printed.

/// Lines of a failed step that are kept.
const LAST_LINES: usize = 40;

/// Bytes of a step's output that are kept, so that a step without line ends is bounded too.
const LAST_BYTES: usize = 16 * 1024;

/// What a step printed last.
#[derive(Debug, Default)]
pub(super) struct Tail(String);

impl Tail {
    /// Adds what it prints now.
    pub fn push(&mut self, text: &str) {
        self.0.push_str(text);
        if self.0.len() > 2 * LAST_BYTES {
            let from = self.0.ceil_char_boundary(self.0.len() - LAST_BYTES);
            self.0.drain(..from);
        }
    }

    /// The last lines.
    pub fn last_lines(&self) -> String {
        let lines = self.0.lines().collect::<Vec<_>>();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let mut tail = Tail::default();
        for line in 0..20_000 {
            tail.push(&format!("line {line}\n"));
        }
        let output = tail.last_lines();
        assert_eq!(output.lines().count(), LAST_LINES);
        assert!(
            output.starts_with("line 19960\n") && output.ends_with("line 19999"),
            "{output}"
        );
    }

    #[test]
    fn a_step_without_line_ends_is_bounded_too() {
        let mut tail = Tail::default();
        for _ in 0..100 {
            tail.push(&"é".repeat(5000));
        }
        assert!(tail.0.len() <= 2 * LAST_BYTES, "{}", tail.0.len());
    }
}
