//! Why a notebook failed, in the words of a report.

use std::time::Duration;

use super::{OomWatch, Options, timeout_cause};
use crate::event::{Cause, CauseKind};
use crate::kernel::execution::CellEnd;
use crate::kernel::{KernelError, traceback};
use crate::process::Ended;
use crate::process::capture::Capture;
use crate::suite::notebook::CodeCell;

/// The most characters of what an exception says that are shown in one line.
const LONGEST_MESSAGE: usize = 1000;

/// Why a cell that ended like this failed. `limit` is the time limit that held for it, and whose it was.
pub fn of_cell(
    cell: &CodeCell,
    end: CellEnd,
    (what, limit): (&str, Duration),
    ended: &Ended,
    watch: &OomWatch,
    options: &Options,
) -> Cause {
    let mut line = None;
    let (mut cause, explanation) = match end {
        CellEnd::Completed => {
            let message = "the cell is tagged raises-exception, but raised nothing";
            (Cause::new(CauseKind::Error, message), String::new())
        }
        CellEnd::Raised {
            name,
            value,
            traceback,
            count,
        } => {
            let executed = traceback::Executed {
                source: &cell.source,
                count,
            };
            line = traceback::line(&traceback, &value, executed);
            let mut cause = raised_cause(&name, &value);
            // Whoever lost a process says so in words of its own.
            if watch.kills() > 0 {
                cause.kind = CauseKind::Oom;
                cause
                    .message
                    .push_str(" (meanwhile a process was killed at the memory limit)");
            }
            (cause, traceback)
        }
        CellEnd::AskedToExit => {
            let message = "the cell asked the kernel to exit";
            (Cause::new(CauseKind::EarlyExit, message), String::new())
        }
        CellEnd::AskedForInput => (input_cause(), String::new()),
        CellEnd::TimedOut { interrupted } => {
            let mut cause = timeout_cause(what, limit);
            if !interrupted {
                cause.message.push_str(", ignored the interrupt and was killed");
            }
            (cause, String::new())
        }
        CellEnd::Died(exit) => (watch.cause("the kernel", Some(exit)), ended.output.clone()),
        CellEnd::Lost { messages } => {
            let message = format!("the kernel lost {messages} messages: it printed faster than it could be read");
            (Cause::new(CauseKind::Infra, message), String::new())
        }
        CellEnd::Silent => {
            let seconds = options.settle.as_secs_f64();
            let message = format!("the kernel replied, but did not say within {seconds} s that the cell had ended");
            (Cause::new(CauseKind::Timeout, message), ended.output.clone())
        }
    };
    cause.cell = Some(cell.index + 1);
    cause.line = line;
    let place = shown_place(cell, line);
    cause.with_detail(bounded(format!("{place}\n{explanation}").trim_end()))
}

/// The beginning and the end of what would fill a report: a traceback may hold megabytes of data.
fn bounded(text: &str) -> String {
    let mut capture = Capture::default();
    capture.push(text.as_bytes());
    capture.text()
}

/// What a reader looks for in the notebook: the line at fault, or the cell's first.
fn shown_place(cell: &CodeCell, line: Option<usize>) -> String {
    let number = cell.index + 1;
    if let Some((line, text)) = line.and_then(|line| Some((line, cell.source.lines().nth(line - 1)?))) {
        return format!("cell {number}, line {line}: {}", text.trim());
    }
    let first = cell.source.lines().find(|line| !line.trim().is_empty());
    format!("cell {number}: {}", first.unwrap_or_default().trim())
}

fn raised_cause(name: &str, value: &str) -> Cause {
    match name {
        "SystemExit" => Cause::new(
            CauseKind::EarlyExit,
            format!("the cell called sys.exit({})", first_line(value)),
        ),
        "StdinNotImplementedError" => input_cause(),
        _ => Cause::new(CauseKind::Error, exception(name, value)),
    }
}

/// An exception in one line, as Python ends a traceback. Shells give no name, but a number.
pub fn exception(name: &str, value: &str) -> String {
    let value = first_line(value);
    match (name, value.as_str()) {
        ("", "") => "the kernel says that the cell failed, and not why".to_owned(),
        ("", number) if number.parse::<i64>().is_ok() => format!("the cell ended with {number}"),
        ("", _) => value,
        (_, "") => name.to_owned(),
        _ => format!("{name}: {value}"),
    }
}

/// The first line, with the first that holds words where it holds none: `[0]:` names the cells that failed below it.
fn first_line(text: &str) -> String {
    let mut lines = text.lines();
    let mut line = lines.next().unwrap_or_default().to_owned();
    if !line.contains(char::is_alphabetic)
        && let Some(words) = lines.find(|line| line.contains(char::is_alphabetic))
    {
        line.push_str(if line.is_empty() { "" } else { " " });
        line.push_str(words.trim());
    }
    if let Some((end, _)) = line.char_indices().nth(LONGEST_MESSAGE) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn input_cause() -> Cause {
    Cause::new(
        CauseKind::Error,
        "the cell asks for input, which nobody can give in a test",
    )
}

/// Why no kernel was there to run a notebook.
pub fn of_start(error: KernelError) -> Cause {
    let kind = match &error {
        KernelError::Unknown { .. } | KernelError::Spec { .. } | KernelError::Launch { .. } => CauseKind::Error,
        KernelError::Died { .. } => CauseKind::KernelDied,
        KernelError::NotReady { .. } => CauseKind::Timeout,
        KernelError::Directory { .. } | KernelError::Fork { .. } | KernelError::Connection { .. } => CauseKind::Infra,
    };
    let cause = Cause::new(kind, error.to_string());
    match error {
        KernelError::Died { output, .. }
        | KernelError::NotReady { output, .. }
        | KernelError::Connection { output, .. } => cause.with_detail(output),
        _ => cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_reads_as_a_reason_whatever_a_kernel_says_of_it() {
        for (name, value, expected) in [
            ("ValueError", "1", "ValueError: 1"),
            ("KeyError", "", "KeyError"),
            ("", "1", "the cell ended with 1"),
            ("", "Cell has trailing backslash", "Cell has trailing backslash"),
            ("", "", "the kernel says that the cell failed, and not why"),
            (
                "ExecuteError",
                "[0]:\n-----\nNameError: no x",
                "ExecuteError: [0]: NameError: no x",
            ),
            (
                "AssertionError",
                "\nNot equal to tolerance\n1",
                "AssertionError: Not equal to tolerance",
            ),
            ("ValueError", "two\nlines", "ValueError: two"),
        ] {
            assert_eq!(exception(name, value), expected);
        }
    }
}
