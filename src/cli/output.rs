//! What floe prints by itself: results on standard output, failures on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::args::When;
use super::failure::{ExitCode, Failure};
use crate::event::redact::Hidden;
use crate::fault::Place;
use crate::report::github;
use crate::report::location::Location;
use crate::report::terminal::Style;
use crate::report::untrusted::Untrusted;
use crate::repository::Repository;

/// What no message shows.
static HIDDEN: OnceLock<Hidden> = OnceLock::new();

/// The repository that messages are about.
static REPOSITORY: OnceLock<Repository> = OnceLock::new();

/// How the call wants things said.
static MANNER: OnceLock<Manner> = OnceLock::new();

/// How things are said.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// When to colour.
    pub color: When,
    /// Whether nothing is said of what goes well.
    pub quiet: bool,
    /// Whether to show what goes well in full.
    pub verbose: bool,
}

/// Says things so from now on.
pub fn speak(manner: Manner) {
    let _ = MANNER.set(manner);
}

fn manner() -> Manner {
    let otherwise = Manner {
        color: When::Auto,
        quiet: false,
        verbose: false,
    };
    MANNER.get().copied().unwrap_or(otherwise)
}

/// Keeps these values out of all messages from now on.
pub fn hide(hidden: Hidden) {
    let _ = HIDDEN.set(hidden);
}

/// Names files as they are in this repository from now on.
pub fn within(repository: Repository) {
    let _ = REPOSITORY.set(repository);
}

/// Prints a result. A reader that has gone away is no failure: it had what it wanted.
pub fn result(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(ExitCode::Internal, format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a result to a file, or prints it where none is named.
pub fn to(file: Option<&Path>, text: &str) -> Result<(), Failure> {
    let Some(file) = file else {
        return result(text);
    };
    let failed = |error: io::Error| Failure::new(ExitCode::Invalid, format!("{}: {error}", file.display()));
    std::fs::write(file, text).map_err(failed)?;
    say(&format!("{} is written", file.display()));
    Ok(())
}

/// The value as JSON for programs and people.
pub fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
    Ok(text + "\n")
}

/// Says something that is not a result, e.g. where a report lies, unless the call is to be quiet.
pub fn say(text: &str) {
    if !manner().quiet {
        insist(text);
    }
}

/// Says something that is said in any case.
pub fn insist(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says what a person should know that stops nothing. It may quote what people or servers wrote.
pub fn warn(text: &str) {
    insist(&quoted(&format!("warning: {text}")));
}

/// Says what a person would do next: a call, and what comes of it.
pub fn next(call: &str, what: &str) {
    say(&format!("next: `{call}` {what}"));
}

/// The text of a program, made fit for a terminal, without what is hidden.
#[must_use]
pub fn visible(text: &str) -> String {
    let hidden = HIDDEN.get().cloned().unwrap_or_default();
    Untrusted::default()
        .plain(&hidden.mask(text))
        .trim_end_matches('\n')
        .to_owned()
        + "\n"
}

/// The text without what is hidden.
#[must_use]
pub fn masked(text: &str) -> String {
    HIDDEN.get().cloned().unwrap_or_default().mask(text)
}

/// Says something that quotes what people or servers wrote.
pub fn tell(text: &str) {
    say(&quoted(text));
}

/// What quotes others, made fit for a terminal, without what is hidden.
fn quoted(text: &str) -> String {
    let hidden = HIDDEN.get().cloned().unwrap_or_default();
    let untrusted = Untrusted {
        color: false,
        commands: in_github_actions(),
    };
    untrusted.plain(&hidden.mask(text))
}

/// Prints why a call did not succeed, and what to do about it.
pub fn failure(failure: &Failure) {
    let Some(message) = &failure.message else {
        if failure.code == ExitCode::Interrupted && io::stderr().is_terminal() {
            // The terminal has shown `^C` where the next prompt would be.
            insist("");
        }
        return;
    };
    let (red, green, reset) = if colored() {
        ("\x1b[1;31m", "\x1b[1;32m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    // An error may quote what a container or a server said.
    insist(&format!("{red}error:{reset} {}", quoted(message)));
    if let Some(hint) = &failure.hint {
        insist(&format!("{green}hint:{reset} {}", quoted(hint)));
    }
    if in_github_actions() && failure.code.is_of_work() {
        let place = failure.place.as_ref().map(location);
        insist(&github::failure(place.as_ref(), &masked(message)));
    }
}

/// The place as it is in the repository.
fn location(place: &Place) -> Location {
    let path = REPOSITORY
        .get()
        .map_or(&*place.path, |repository| repository.relative(&place.path));
    Location {
        file: path.to_string_lossy().into_owned(),
        line: place.line,
    }
}

/// Where a program is: by `PATH`, else beside floe.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // What is installed with floe, as by its wheel, lies beside it.
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| own.parent().map(Path::to_owned));
    std::env::split_paths(&path)
        .chain(beside)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// What clap has to say: help and version are results, anything else is a mistake in the command line.
pub fn usage(error: &clap::Error) -> Result<(), Failure> {
    let _ = error.print();
    if error.use_stderr() {
        Err(Failure::shown(ExitCode::Usage))
    } else {
        Ok(())
    }
}

/// Whether GitHub Actions reads what floe prints, and obeys lines such as `::error::`.
#[must_use]
pub fn in_github_actions() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// How the display suits what standard error is.
#[must_use]
pub fn style() -> Style {
    let terminal = io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    let Manner { quiet, verbose, .. } = manner();
    Style {
        color: colored(),
        live: terminal && !quiet,
        width,
        commands: in_github_actions(),
        verbose,
        quiet,
    }
}

/// The columns of the terminal at this moment.
fn width() -> u16 {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    size.map(|size| size.ws_col)
        .filter(|columns| *columns > 0)
        .unwrap_or(80)
}

/// Whether to colour what goes to standard error.
fn colored() -> bool {
    colors(io::stderr().is_terminal())
}

/// Whether to colour a result.
#[must_use]
pub fn colored_result() -> bool {
    colors(io::stdout().is_terminal())
}

fn colors(terminal: bool) -> bool {
    match manner().color {
        When::Always => true,
        When::Never => false,
        When::Auto => wished().unwrap_or(terminal),
    }
}

/// Whether the environment wants colours, by <https://no-color.org> and <https://force-color.org>; `None` where it says nothing.
#[must_use]
pub fn wished() -> Option<bool> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("NO_COLOR") {
        return Some(false);
    }
    is_set("FORCE_COLOR").then_some(true)
}
