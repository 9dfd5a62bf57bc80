//! The instructions of a Dockerfile: where each begins and ends, as far as composing needs to know.
//!
//! This is not a full parser: flags, quoting and variables are the builder's. It knows line continuations, comments
//! within them, the `escape` directive and here-documents, so that an instruction is never mistaken for text or text
//! for an instruction.

use std::ops::Range;

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// The keyword in capitals, e.g. `RUN`.
    pub keyword: String,
    /// Its lines, counted from 0 within the text.
    pub lines: Range<usize>,
    /// What follows the keyword, continuation lines joined, comments and here-documents left out.
    pub arguments: String,
}

/// The instructions of `text`, in order.
#[must_use]
pub fn parse(text: &str) -> Vec<Instruction> {
    let lines = text.lines().collect::<Vec<_>>();
    let escape = escape(&lines);
    let mut instructions = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let first = lines[at].trim();
        if first.is_empty() || first.starts_with('#') {
            at += 1;
            continue;
        }
        let start = at;
        let mut joined = String::new();
        while at < lines.len() {
            let line = lines[at].trim_end();
            at += 1;
            // Comments and blank lines within a continued instruction do not end it.
            if at - 1 > start && (line.trim_start().starts_with('#') || line.trim().is_empty()) {
                continue;
            }
            let continued = line.strip_suffix(escape);
            joined.push_str(continued.unwrap_or(line));
            if continued.is_none() {
                break;
            }
        }
        let joined = joined.trim();
        let (keyword, arguments) = joined.split_once(char::is_whitespace).unwrap_or((joined, ""));
        let keyword = keyword.to_ascii_uppercase();
        if matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") {
            for end in here_documents(arguments) {
                while at < lines.len() {
                    let line = lines[at];
                    at += 1;
                    if line == end || line.trim_start_matches('\t') == end {
                        break;
                    }
                }
            }
        }
        instructions.push(Instruction {
            keyword,
            lines: start..at,
            arguments: arguments.trim().to_owned(),
        });
    }
    instructions
}

/// The character that continues a line: a backslash, unless a directive at the top says otherwise.
fn escape(lines: &[&str]) -> char {
    for line in lines {
        let Some(directive) = line.trim().strip_prefix('#') else {
            break;
        };
        let Some((name, value)) = directive.split_once('=') else {
            break;
        };
        if name.trim().eq_ignore_ascii_case("escape") && value.trim() == "`" {
            return '`';
        }
    }
    '\\'
}

/// The words that end the here-documents which `arguments` begin, in order.
fn here_documents(arguments: &str) -> Vec<String> {
    let mut ends = Vec::new();
    let mut rest = arguments;
    while let Some(at) = rest.find("<<") {
        // `<<<` is a shell's here-string, and a digit or letter before `<<` a redirection or an arithmetic shift.
        let before = rest[..at].chars().next_back();
        rest = &rest[at + 2..];
        if rest.starts_with('<') {
            rest = rest.trim_start_matches('<');
            continue;
        }
        if before.is_some_and(|c| !c.is_whitespace() && !c.is_ascii_digit()) {
            continue;
        }
        let word = rest.strip_prefix('-').unwrap_or(rest);
        let quote = word.chars().next().filter(|c| matches!(c, '"' | '\''));
        let word = quote.map_or(word, |_| &word[1..]);
        let end = word
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(word.len());
        if word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            ends.push(word[..end].to_owned());
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, Range<usize>, String)> {
        let instructions = parse(text).into_iter();
        instructions.map(|i| (i.keyword, i.lines, i.arguments)).collect()
    }

    fn instruction(keyword: &str, lines: Range<usize>, arguments: &str) -> (String, Range<usize>, String) {
        (keyword.to_owned(), lines, arguments.to_owned())
    }

    #[test]
    fn continued_instructions_hold_their_comments_and_blank_lines() {
        let text = "# syntax\nfrom a\n\nRUN one \\\n  # why\n\n  && two\nUSER x\n";
        assert_eq!(
            parsed(text),
            [
                instruction("FROM", 1..2, "a"),
                instruction("RUN", 3..7, "one   && two"),
                instruction("USER", 7..8, "x"),
            ]
        );
    }

    #[test]
    fn text_in_a_here_document_is_no_instruction() {
        let text = "RUN <<EOF cat > /x\nFROM nothing\nEOF\nCOPY <<-'A' <<B /to/\n\tRUN x\n\tA\nRUN y\nB\nRUN echo $((1<<3)) <<< word\nUSER x";
        assert_eq!(
            parsed(text),
            [
                instruction("RUN", 0..3, "<<EOF cat > /x"),
                instruction("COPY", 3..8, "<<-'A' <<B /to/"),
                instruction("RUN", 8..9, "echo $((1<<3)) <<< word"),
                instruction("USER", 9..10, "x"),
            ]
        );
    }

    #[test]
    fn the_escape_directive_is_obeyed() {
        let text = "# escape=`\nRUN a `\n b\nRUN c:\\\nUSER x";
        assert_eq!(
            parsed(text),
            [
                instruction("RUN", 1..3, "a  b"),
                instruction("RUN", 3..4, "c:\\"),
                instruction("USER", 4..5, "x"),
            ]
        );
    }

    #[test]
    fn an_instruction_cut_off_by_the_end_of_the_file_is_kept() {
        assert_eq!(parsed("RUN a \\"), [instruction("RUN", 0..1, "a")]);
        assert_eq!(parsed("RUN <<E\nFROM x"), [instruction("RUN", 0..2, "<<E")]);
    }
}
