//! Text from a container, made fit for a terminal or a CI log.
//!
//! Programs under test print what they like. Colours may pass; whatever moves the cursor, sets titles, talks to the
//! terminal, hides or reorders characters, or gives commands to a CI service may not.

use std::fmt::Write as _;

/// A longer line is cut, so that no program can fill a screen with one. In characters.
const LONGEST_LINE: usize = 2000;

/// Which of a program's wishes are granted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Untrusted {
    /// Whether colours pass.
    pub color: bool,
    /// Whether the text goes to a CI service that takes lines such as `::error::` for commands.
    pub commands: bool,
}

impl Untrusted {
    /// The lines of `text`, each complete in itself: colours end with the line and begin again with the next.
    #[must_use]
    pub fn lines(self, text: &str) -> Vec<String> {
        let mut colors = Colors::default();
        let text = text.strip_suffix('\n').unwrap_or(text);
        if text.is_empty() {
            return Vec::new();
        }
        text.split('\n').map(|line| self.line(line, &mut colors)).collect()
    }

    /// The text as several lines without colours.
    #[must_use]
    pub fn plain(self, text: &str) -> String {
        Self { color: false, ..self }.lines(text).join("\n")
    }

    /// The text as one line without colours, for names and messages.
    #[must_use]
    pub fn inline(self, text: &str) -> String {
        let text = text.trim_end().replace('\n', "\u{23ce} ");
        Self { color: false, ..self }.line(&text, &mut Colors::default())
    }

    fn line(self, line: &str, colors: &mut Colors) -> String {
        // As on a terminal, what follows a carriage return replaces what stood before it, unless nothing follows.
        let mut shown = String::new();
        for piece in line.split('\r') {
            let (text, length) = self.piece(piece, colors);
            if length > 0 {
                shown = text;
            }
        }
        if self.commands { without_commands(shown) } else { shown }
    }

    /// What a terminal would show of text without line feeds or carriage returns, and its length in characters.
    fn piece(self, piece: &str, colors: &mut Colors) -> (String, usize) {
        let mut text = colors.0.clone();
        let mut length = 0;
        let mut rest = piece;
        while let Some(c) = rest.chars().next() {
            if length == LONGEST_LINE {
                let _ = write!(text, "\u{2026} ({} bytes more)", rest.len());
                break;
            }
            if let Some((sequence, after)) = Sequence::first(rest) {
                if let Sequence::Color(parameters) = sequence
                    && self.color
                {
                    text.push_str(&colors.change(parameters));
                }
                rest = after;
            } else {
                push_visible(&mut text, c);
                length += 1;
                rest = &rest[c.len_utf8()..];
            }
        }
        if text.contains('\u{1b}') {
            text.push_str("\u{1b}[0m");
        }
        (text, length)
    }
}

/// The colour sequences in force, as a program last set them.
#[derive(Default)]
struct Colors(String);

impl Colors {
    /// Takes note of a colour sequence with these parameters, and gives the sequence.
    fn change(&mut self, parameters: &str) -> String {
        let reset = parameters
            .split(';')
            .all(|parameter| parameter.trim_matches('0').is_empty());
        // A program that never resets its colours gets the latest ones only.
        if reset || self.0.len() > 64 {
            self.0.clear();
        }
        let sequence = format!("\u{1b}[{parameters}m");
        if !reset {
            self.0.push_str(&sequence);
        }
        sequence
    }
}

/// A control sequence of ECMA-48.
enum Sequence<'a> {
    /// Sets colours or weight, with these parameters.
    Color(&'a str),
    /// Does anything else.
    Other,
}

impl<'a> Sequence<'a> {
    /// The sequence at the start of `text` and what follows it; `None` where there is none or it does not end, so that
    /// nothing can swallow the text behind it.
    fn first(text: &'a str) -> Option<(Self, &'a str)> {
        let body = text.strip_prefix('\u{1b}')?;
        let kind = body.chars().next()?;
        match kind {
            '[' => {
                let body = &body[1..];
                let after_parameters = body.trim_start_matches(|c: char| ('0'..='?').contains(&c));
                let parameters = &body[..body.len() - after_parameters.len()];
                let after_intermediates = after_parameters.trim_start_matches(|c: char| (' '..='/').contains(&c));
                let end = after_intermediates.chars().next().filter(|c| ('@'..='~').contains(c))?;
                let plain = after_intermediates.len() == after_parameters.len();
                let color = end == 'm' && plain && is_color(parameters);
                let sequence = if color { Self::Color(parameters) } else { Self::Other };
                Some((sequence, &after_intermediates[1..]))
            }
            // Strings, such as titles and hyperlinks.
            ']' | 'P' | 'X' | '^' | '_' => {
                let ends = ["\u{7}", "\u{1b}\\", "\u{9c}"];
                let end = ends.iter().filter_map(|end| Some((body.find(end)?, end.len()))).min()?;
                Some((Self::Other, &body[end.0 + end.1..]))
            }
            _ => {
                let body = body.trim_start_matches(|c: char| (' '..='/').contains(&c));
                let end = body.chars().next().filter(|c| ('0'..='~').contains(c))?;
                Some((Self::Other, &body[end.len_utf8()..]))
            }
        }
    }
}

/// Whether SGR parameters set nothing but colours and weights. Concealing text (8) does not pass.
fn is_color(parameters: &str) -> bool {
    let mut items = parameters.split(';');
    while let Some(item) = items.next() {
        if !item.chars().all(|c| c.is_ascii_digit() || c == ':') {
            return false;
        }
        match (item, item.trim_start_matches('0')) {
            (_, "8") => return false,
            ("38" | "48" | "58", _) => match items.next() {
                Some("5") => drop(items.next()),
                Some("2") => drop(items.nth(2)),
                _ => {}
            },
            _ => {}
        }
    }
    true
}

fn push_visible(text: &mut String, c: char) {
    match c {
        '\t' => text.push(c),
        // The pictures of the C0 controls stand in their order.
        '\0'..='\u{1f}' => text.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
        '\u{7f}' => text.push('\u{2421}'),
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{e0000}'..='\u{e007f}' => {
            let _ = write!(text, "<U+{:04X}>", u32::from(c));
        }
        _ => text.push(c),
    }
}

/// Takes from a line what makes it a command to GitHub Actions: `::` at its start, or the older `##[` anywhere.
fn without_commands(line: String) -> String {
    let start = line.len() - line.trim_start().len();
    let line = if line[start..].starts_with("::") {
        format!("{}: :{}", &line[..start], &line[start + 2..])
    } else {
        line
    };
    line.replace("##[", "## [")
}

/// Puts text that arrives in pieces together to lines.
#[derive(Debug, Default)]
pub struct Assembler {
    pending: String,
}

impl Assembler {
    /// A line that has not ended is passed on at this many bytes, so that it is never held in memory.
    const LONGEST_PENDING: usize = 16 * 1024;

    /// Takes a piece and gives the lines that it ends, as one text; empty if it ends none.
    pub fn push(&mut self, piece: &str) -> String {
        self.pending.push_str(piece);
        let end = match self.pending.rfind('\n') {
            Some(end) => end + 1,
            None if self.pending.len() > Self::LONGEST_PENDING => self.pending.len(),
            None => return String::new(),
        };
        let rest = self.pending.split_off(end);
        std::mem::replace(&mut self.pending, rest)
    }

    /// The line that has not ended.
    #[must_use]
    pub fn pending(&self) -> &str {
        &self.pending
    }

    /// Gives the line that has not ended, and forgets it.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOR: Untrusted = Untrusted {
        color: true,
        commands: false,
    };
    const PLAIN: Untrusted = Untrusted {
        color: false,
        commands: false,
    };
    const GITHUB: Untrusted = Untrusted {
        color: false,
        commands: true,
    };

    #[test]
    fn colors_pass_only_where_they_are_wanted_and_never_leak() {
        let text = "a \u{1b}[1;31mred\nstill\u{1b}[0m not\nplain";
        assert_eq!(
            COLOR.lines(text),
            [
                "a \u{1b}[1;31mred\u{1b}[0m",
                "\u{1b}[1;31mstill\u{1b}[0m not\u{1b}[0m",
                "plain"
            ]
        );
        assert_eq!(PLAIN.lines(text), ["a red", "still not", "plain"]);
    }

    #[test]
    fn text_cannot_be_concealed_by_a_color() {
        assert_eq!(COLOR.lines("\u{1b}[8mhidden\u{1b}[1;08mtoo"), ["hiddentoo"]);
        let wanted = "\u{1b}[38;5;8mgrey\u{1b}[48;2;8;8;8mdark\u{1b}[0m";
        assert_eq!(COLOR.lines(wanted), [format!("{wanted}\u{1b}[0m")]);
    }

    #[test]
    fn other_sequences_do_not_reach_the_terminal() {
        for sequence in [
            "\u{1b}[2J",
            "\u{1b}[1;1H",
            "\u{1b}[?1049h",
            "\u{1b}[6n",
            "\u{1b}[0 q",
            "\u{1b}[>4;2m",
            "\u{1b}]0;title\u{7}",
            "\u{1b}]8;;http://x\u{1b}\\",
            "\u{1b}Pq#0\u{1b}\\",
            "\u{1b}c",
            "\u{1b}(0",
        ] {
            assert_eq!(COLOR.lines(&format!("a{sequence}b")), ["ab"], "{sequence:?}");
        }
    }

    #[test]
    fn a_sequence_that_does_not_end_hides_nothing() {
        for (text, shown) in [
            ("\u{1b}]0;title", "\u{241b}]0;title"),
            ("\u{1b}Perror", "\u{241b}Perror"),
            // A letter ends this one and is lost, as on a terminal.
            ("\u{1b}[12;error", "rror"),
            ("\u{1b}[12;\u{1b}[2Jx", "\u{241b}[12;x"),
            ("\u{1b}\u{1b}\u{1b}[31mx", "\u{241b}\u{241b}x"),
            ("x\u{1b}", "x\u{241b}"),
        ] {
            assert_eq!(PLAIN.lines(text), [shown], "{text:?}");
        }
    }

    #[test]
    fn controls_and_reordering_are_shown() {
        assert_eq!(
            PLAIN.lines("a\0\u{8}\u{7f}\u{9b}2J\u{202e}\u{2066}\tb"),
            ["a\u{2400}\u{2408}\u{2421}<U+009B>2J<U+202E><U+2066>\tb"]
        );
    }

    #[test]
    fn a_carriage_return_replaces_the_line_so_far() {
        assert_eq!(PLAIN.lines("10%\r50%\r100%\nend\r\n"), ["100%", "end"]);
        assert_eq!(PLAIN.lines("error\r\u{1b}[K"), ["error"]);
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let line = COLOR.lines(&"x".repeat(1_000_000)).remove(0);
        assert!(line.ends_with("\u{2026} (998000 bytes more)"), "{}", line.len());
        assert!(line.len() < 2100);
    }

    #[test]
    fn commands_to_a_ci_service_are_not_obeyed() {
        assert_eq!(
            GITHUB.lines("::error::x\n \t::add-mask::a\n\u{1b}[1m::set\n:\u{1b}[1m:set\na ##[error]b\nstd::vec"),
            [
                ": :error::x",
                " \t: :add-mask::a",
                ": :set",
                ": :set",
                "a ## [error]b",
                "std::vec"
            ]
        );
        assert_eq!(PLAIN.lines("::error::x"), ["::error::x"]);
    }

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(COLOR.inline("a\n\u{1b}[31mb\r::c\n"), "::c");
        assert_eq!(COLOR.inline("a\n\u{1b}[31mb\n"), "a\u{23ce} b");
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.push("a"), "");
        assert_eq!(assembler.push("b\nc\nd"), "ab\nc\n");
        assert_eq!(assembler.pending(), "d");
        assert_eq!(assembler.finish(), "d");
        assert_eq!(assembler.finish(), "");
    }

    #[test]
    fn a_line_without_end_is_not_held_in_memory() {
        let mut assembler = Assembler::default();
        let passed_on = (0..1000)
            .map(|_| assembler.push(&"x".repeat(1000)).len())
            .sum::<usize>();
        assert!(assembler.pending().len() <= Assembler::LONGEST_PENDING);
        assert_eq!(passed_on + assembler.pending().len(), 1_000_000);
    }
}
