//! Where in its cell an exception arose, read from the traceback that the kernel formatted.
//!
//! A kernel says it in no other way. The formats are those of IPython 7 to 9 and of `%xmode Plain`, coloured or not.

/// A cell that was executed.
#[derive(Debug, Clone, Copy)]
pub struct Executed<'a> {
    /// Its code.
    pub source: &'a str,
    /// Its execution count, if the kernel told it.
    pub count: Option<u64>,
}

/// A place that a traceback names: a line of an input, with the number of the input where the format has it.
#[derive(Debug, PartialEq)]
struct Place {
    input: Input,
    line: Option<usize>,
}

#[derive(Debug, PartialEq)]
enum Input {
    /// The input with this execution count.
    Counted(u64),
    /// Some input; its name does not tell which.
    Unnumbered,
    /// The body of a cell magic, such as `%%time`, that runs it itself.
    Body,
}

/// The line of the cell, counted from 1, of the innermost frame that lies in it. `None` where the traceback does not
/// tell: it is empty, or all of its frames are in other cells or files.
#[must_use]
pub fn line(traceback: &str, message: &str, cell: Executed<'_>) -> Option<usize> {
    let plain = without_colours(traceback);
    // What the exception says may itself look like a traceback: that of another kernel, for one.
    let frames = plain.trim_end().strip_suffix(message.trim_end()).unwrap_or(&plain);
    let lines: Vec<&str> = frames.lines().collect();
    let mut found = None;
    for (index, text) in lines.iter().enumerate() {
        let Some(place) = place(text) else { continue };
        let following = &lines[index + 1..];
        let context = || following.iter().take_while(|text| is_context(text));
        let shown = place.line.or_else(|| context().find_map(|text| at_fault(text)));
        if let Some(line) = shown.and_then(|line| in_cell(&place.input, line, following, cell)) {
            found = Some(line);
        }
    }
    found
}

/// The line of the cell that is line `line` of the input, if the input is that cell.
fn in_cell(input: &Input, line: usize, following: &[&str], cell: Executed<'_>) -> Option<usize> {
    let lines: Vec<&str> = cell.source.lines().collect();
    // IPython removes blank lines at the top before it counts.
    let blank = lines.iter().take_while(|line| line.trim().is_empty()).count();
    let is_magic = lines.get(blank).is_some_and(|line| line.trim_start().starts_with("%%"));
    // A cell magic is one line of code in its input, whose body counts again where it runs.
    let calls_magic = || following.iter().take(2).any(|text| text.contains("run_cell_magic("));
    let line = match input {
        Input::Counted(count) if cell.count.is_some_and(|own| own != *count) => return None,
        Input::Body if is_magic => line + blank + 1,
        Input::Body => return None,
        Input::Counted(_) | Input::Unnumbered if is_magic && !calls_magic() => line + blank + 1,
        Input::Counted(_) | Input::Unnumbered => line + blank,
    };
    let text = lines.get(line.checked_sub(1)?)?;
    // An input whose name tells nothing must at least show this line.
    let shows = || following.iter().any(|shown| shown.contains(text.trim()));
    (*input != Input::Unnumbered || shows()).then_some(line)
}

/// What the head of a frame, or of a `SyntaxError`, names.
fn place(text: &str) -> Option<Place> {
    let text = text.trim();
    let text = text.strip_prefix("File ").unwrap_or(text).trim_start_matches('"');
    if let Some(rest) = text.strip_prefix("<timed exec>") {
        let line = rest.strip_prefix(':').and_then(number).or_else(|| after_line(rest));
        return Some(Place {
            input: Input::Body,
            line,
        });
    }
    let numbered = ["Cell In", "Input In", "<ipython-input-"];
    if let Some(rest) = numbered.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        let count = number(rest.trim_start().trim_start_matches('['))?;
        return Some(Place {
            input: Input::Counted(count.try_into().ok()?),
            line: after_line(rest),
        });
    }
    let (_, file) = text.split_once("/ipykernel_")?;
    let (_, name) = file.split_once('/')?;
    let (hash, rest) = name.split_once(".py")?;
    hash.chars().all(|c| c.is_ascii_digit()).then(|| Place {
        input: Input::Unnumbered,
        line: after_line(rest),
    })
}

/// Whether a line belongs to the frame above it.
fn is_context(text: &str) -> bool {
    !text.trim().is_empty() && place(text).is_none()
}

/// The number in `----> 3 code`, the line of context at fault.
fn at_fault(text: &str) -> Option<usize> {
    let arrow = text.trim_start().strip_prefix("--")?;
    number(arrow.trim_start_matches('-').strip_prefix('>')?.trim_start())
}

/// The number behind `, line `.
fn after_line(text: &str) -> Option<usize> {
    number(text.split_once(", line ")?.1)
}

/// The number that `text` begins with.
fn number(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Leaves out the control sequences that set colours.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = after
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or(after.len(), |end| end + 1);
        rest = &after[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_in(traceback: &str, source: &str) -> Option<usize> {
        let cell = Executed { source, count: Some(3) };
        line(traceback, "division by zero", cell)
    }

    const SOURCE: &str = "def f(a):\n    return 1 / a\n\nf(0)";

    #[test]
    fn the_innermost_frame_in_the_cell_counts_in_every_format() {
        let formats = [
            "ZeroDivisionError  Traceback (most recent call last)\nCell In[3], line 4\n----> 4 f(0)\n\n\
             Cell In[3], line 2, in f(a)\n      1 def f(a):\n----> 2     return 1 / a\n\nZeroDivisionError: division by zero",
            "\u{1b}[36mCell\u{1b}[39m\u{1b}[36m \u{1b}[39m\u{1b}[32mIn[3]\u{1b}[39m\u{1b}[32m, line 2\u{1b}[39m, in f\n",
            "\u{1b}[0;36mInput \u{1b}[0;32mIn [3]\u{1b}[0m, in \u{1b}[0;36m<cell line: 4>\u{1b}[0;34m()\u{1b}[0m\n\
             \u{1b}[0;32m----> 4\u{1b}[0m f(0)\n\nInput In [3], in f(a)\n      1 def f(a):\n----> 2     return 1 / a\n\n",
            "<ipython-input-3-9e1622b385b6> in <module>\n----> 4 f(0)\n\n<ipython-input-3-9e1622b385b6> in f(a)\n\
             \u{20}     1 def f(a):\n----> 2     return 1 / a\n      3 \n",
            "/tmp/ipykernel_31/3265462702.py in f(a)\n      1 def f(a):\n----> 2     return 1 / a\n      3 \n",
            "  File \"<ipython-input-3-9e1622b385b6>\", line 2, in f\n    return 1 / a\n",
            "  File \"/tmp/ipykernel_31/3265462702.py\", line 2, in f\n    return 1 / a\n",
        ];
        for format in formats {
            assert_eq!(line_in(format, SOURCE), Some(2), "{format}");
        }
    }

    #[test]
    fn a_frame_of_another_cell_or_file_does_not_count() {
        let other =
            "Cell In[3], line 4\n----> 4 f(0)\n\nCell In[1], line 7, in f(a)\n----> 7 x\n\nFile ~/a.py:9, in g()\n";
        assert_eq!(line_in(other, SOURCE), Some(4));
        assert_eq!(
            line_in("/tmp/ipykernel_31/32.py in f(a)\n----> 2 unrelated\n", SOURCE),
            None
        );
        assert_eq!(line_in("Cell In[3], line 99\n", SOURCE), None);
        assert_eq!(line_in("ZeroDivisionError: division by zero", SOURCE), None);
    }

    #[test]
    fn what_the_exception_says_is_no_traceback() {
        let message = "the other kernel failed:\nCell In[3], line 1\n----> 1 x";
        let traceback = format!("Cell In[3], line 4\n----> 4 f(0)\n\nRuntimeError: {message}");
        let cell = Executed {
            source: SOURCE,
            count: Some(3),
        };
        assert_eq!(line(&traceback, message, cell), Some(4));
    }

    #[test]
    fn blank_lines_at_the_top_and_the_line_of_a_cell_magic_are_counted() {
        assert_eq!(line_in("Cell In[3], line 1\n----> 1 g()\n", "\n  \ng()"), Some(3));
        let magic = "Cell In[3], line 1\n----> 1 get_ipython().run_cell_magic('time', '', 'x\\n')\n";
        assert_eq!(line_in(magic, "%%time\n1\n1/0"), Some(1));
        let body = format!("{magic}\nFile <timed exec>:2\n");
        assert_eq!(line_in(&body, "%%time\n1\n1/0"), Some(3));
        assert_eq!(
            line_in("Cell In[3], line 2\n----> 2 1/0\n", "%%capture\n1\n1/0"),
            Some(3)
        );
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        assert_eq!(
            line_in(
                "  Cell In[3], line 2\n    for\n        ^\nSyntaxError: invalid\n",
                "x\nfor"
            ),
            Some(2)
        );
        assert_eq!(
            line_in("  File \"<ipython-input-3-aa>\", line 2\n    for\n", "x\nfor"),
            Some(2)
        );
    }
}
