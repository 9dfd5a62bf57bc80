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
    let escape = escape(text);
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

/// The directives to the parser at the top of a file, one a line: name and value. What comes behind another comment, a
/// blank line or an instruction is none.
#[must_use]
pub fn directives(text: &str) -> Vec<(String, String)> {
    let read = |line: &str| {
        let (name, value) = line.trim().strip_prefix('#')?.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        matches!(name.as_str(), "syntax" | "escape" | "check").then(|| (name, value.trim().to_owned()))
    };
    text.lines().map_while(read).collect()
}

/// The character that continues a line: a backslash, unless a directive at the top says otherwise.
#[must_use]
pub fn escape(text: &str) -> char {
    let directives = directives(text);
    let backtick = directives.iter().any(|(name, value)| name == "escape" && value == "`");
    if backtick { '`' } else { '\\' }
}

/// Adds flags to an instruction, of which this is the first line. Each flag begins with a blank.
pub fn give_flags(first: &mut String, flags: &str) {
    // The keyword may be indented and in any case; the flags go right behind it.
    let indent = first.len() - first.trim_start().len();
    let keyword = first[indent..]
        .find(char::is_whitespace)
        .unwrap_or(first.len() - indent);
    first.insert_str(indent + keyword, flags);
}

/// A text whose lines are continued by a backslash, with `escape` in its place.
#[must_use]
pub fn continued_by(text: &str, escape: char) -> String {
    let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
    for instruction in parse(text) {
        let own = &mut lines[instruction.lines];
        let continued = own
            .iter()
            .position(|line| !line.trim_end().ends_with('\\') && !is_comment(line));
        // Behind the first line that is not continued there may be a here-document, whose text is its own.
        for line in own.iter_mut().take(continued.unwrap_or(usize::MAX)) {
            if let Some(kept) = line.trim_end().strip_suffix('\\').map(str::to_owned)
                && !is_comment(line)
            {
                *line = format!("{kept}{escape}");
            }
        }
    }
    lines.join("\n")
}

fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
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
    use parse_dockerfile::Instruction as Parsed;

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

    /// The same by a parser that follows `BuildKit`'s, of texts that both read.
    fn by_another(text: &str) -> Vec<(String, usize)> {
        let parsed = parse_dockerfile::parse(text).unwrap();
        let line = |at: usize| text[..at].matches('\n').count();
        let instructions = parsed.instructions.iter().map(|instruction| {
            let keyword = match instruction {
                Parsed::Add(found) => &found.add,
                Parsed::Arg(found) => &found.arg,
                Parsed::Cmd(found) => &found.cmd,
                Parsed::Copy(found) => &found.copy,
                Parsed::Entrypoint(found) => &found.entrypoint,
                Parsed::Env(found) => &found.env,
                Parsed::Expose(found) => &found.expose,
                Parsed::From(found) => &found.from,
                Parsed::Label(found) => &found.label,
                Parsed::Onbuild(found) => &found.onbuild,
                Parsed::Run(found) => &found.run,
                Parsed::Shell(found) => &found.shell,
                Parsed::User(found) => &found.user,
                Parsed::Workdir(found) => &found.workdir,
                other => panic!("{other:?} is in none of the texts"),
            };
            (
                text[keyword.span.clone()].to_ascii_uppercase(),
                line(keyword.span.start),
            )
        });
        instructions.collect()
    }

    #[test]
    fn instructions_begin_where_a_full_parser_sees_them() {
        let shared = include_str!("../../common/Dockerfile");
        let trailer = include_str!("../../common/Dockerfile.trailer");
        let trailer = format!("FROM a\n{trailer}");
        let odd = [
            "# escape=`\nFROM a\nRUN a `\n b\nRUN c:\\\nUSER x\n",
            "FROM a\nRUN <<EOF cat > /x\nFROM nothing\nEOF\nUSER x\n",
            "FROM a\nCOPY <<-'A' <<B /to/\n\tRUN x\n\tA\nRUN y\nB\nUSER x\n",
            "from a as b\n\nrun one \\\n  # why\n\n  && two\nONBUILD RUN x\nCMD [\"a\", \"b\"]\n",
            "# comment\n# syntax=x\nFROM a\nARG A=1 \\\n  B=2\nLABEL a=\"b \\\n c\"\nENV A 1\n",
        ];
        for text in odd.into_iter().chain([shared, &trailer]) {
            let own = parse(text).into_iter().map(|found| (found.keyword, found.lines.start));
            assert_eq!(own.collect::<Vec<_>>(), by_another(text), "{text}");
        }
    }

    #[test]
    fn directives_end_at_the_first_line_that_is_none() {
        let names = |text: &str| directives(text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(
            names("# syntax=a\n#escape = `\n# check=skip=all\nFROM a\n"),
            ["syntax", "escape", "check"]
        );
        assert_eq!(names("# a comment\n# escape=`\nFROM a"), [""; 0]);
        assert_eq!(names("\n# syntax=a"), [""; 0]);
        assert_eq!(names("# escape=`\n# a=b\n# syntax=a"), ["escape"]);
    }

    #[test]
    fn a_text_can_be_continued_by_another_character() {
        let text = "RUN a \\\n # why \\\n b\nRUN <<E cat \\\n x\nkept \\\nE\nUSER c";
        let other = continued_by(text, '`');
        assert_eq!(other, "RUN a `\n # why \\\n b\nRUN <<E cat `\n x\nkept \\\nE\nUSER c");
    }

    #[test]
    fn an_instruction_cut_off_by_the_end_of_the_file_is_kept() {
        assert_eq!(parsed("RUN a \\"), [instruction("RUN", 0..1, "a")]);
        assert_eq!(parsed("RUN <<E\nFROM x"), [instruction("RUN", 0..2, "<<E")]);
    }
}
