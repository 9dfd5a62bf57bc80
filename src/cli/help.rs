//! What `floe --help` prints: the commands in groups, by how people come to need them.

use std::fmt::Write as _;

use clap::builder::StyledStr;
use clap::{ColorChoice, Command, CommandFactory as _, FromArgMatches as _};

use super::commands::Cli;
use super::completion;
use super::output;

/// The groups of commands, in the order in which people come to need them. Each command is in exactly one.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "Every day",
        &["build", "test", "push", "all", "shell", "exec", "lab", "cp"],
    ),
    (
        "Packages",
        &[
            "add", "remove", "lock", "try", "freeze", "diff", "packages", "why", "graph",
        ],
    ),
    ("Results", &["runs", "attach", "report"]),
    (
        "Release",
        &[
            "status", "promote", "rollback", "deploy", "wait", "check", "destroy", "config", "secrets",
        ],
    ),
    (
        "Machine",
        &["plan", "init", "doctor", "settings", "prune", "completion", "man"],
    ),
    ("Plumbing", &["compose", "image", "applet"]),
];

/// The columns that help may take.
const WIDTH: usize = 100;

/// The command line, with its commands in groups.
#[must_use]
pub fn command() -> Command {
    let command = completion::with_candidates(Cli::command());
    let (short, long) = (names(), table(&command));
    let color = match output::wished() {
        None => ColorChoice::Auto,
        Some(true) => ColorChoice::Always,
        Some(false) => ColorChoice::Never,
    };
    command
        .color(color)
        .help_template("{about-with-newline}\n{usage-heading} {usage}{after-help}\n\nOptions:\n{options}\n")
        .after_help(short)
        .after_long_help(long)
}

/// The call that `words` are.
pub fn parsed(words: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(words)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The names of the commands, a line for each group.
fn names() -> StyledStr {
    let width = GROUPS.iter().map(|(group, _)| group.len()).max().unwrap_or(0);
    let mut text = String::from("Commands (--help tells what each does):\n");
    for (group, names) in GROUPS {
        let _ = writeln!(text, "  {group:width$}  {}", names.join(" "));
    }
    text.push_str("Options of every command: -C -q -v --color --use-frozen --base-image --registry");
    text.into()
}

/// The commands with what they do.
fn table(command: &Command) -> StyledStr {
    let width = GROUPS.iter().flat_map(|(_, names)| *names).map(|name| name.len());
    let width = width.max().unwrap_or(0);
    let mut text = String::new();
    for (group, names) in GROUPS {
        let _ = writeln!(text, "{group}:");
        for name in *names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let mut lines = wrapped(&about, WIDTH - width - 4).into_iter();
            let _ = writeln!(text, "  {name:width$}  {}", lines.next().unwrap_or_default());
            for line in lines {
                let _ = writeln!(text, "  {:width$}  {line}", "");
            }
        }
        text.push('\n');
    }
    text.trim_end().to_owned().into()
}

/// The words of a text in lines of no more than `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is a last one");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
            continue;
        }
        if !last.is_empty() {
            last.push(' ');
        }
        last.push_str(word);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_exactly_one_group() {
        let mut grouped = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect::<Vec<_>>();
        let command = Cli::command();
        let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
        let mut shown = shown.map(Command::get_name).collect::<Vec<_>>();
        grouped.sort_unstable();
        shown.sort_unstable();
        assert_eq!(grouped, shown);
    }

    #[test]
    fn the_short_help_of_each_command_fits_a_screen_and_the_long_one_has_all_options() {
        let mut command = command();
        command.build();
        for command in command.get_subcommands_mut().filter(|command| !command.is_hide_set()) {
            let help = command.render_help().to_string();
            assert!(help.lines().count() <= 40, "{help}");
            assert!(!help.contains("--use-frozen"), "{help}");
            let long = command.render_long_help().to_string();
            let heading = "Options of every command:\n  -C, --directory <DIR>";
            assert!(command.get_name() == "applet" || long.contains(heading), "{long}");
        }
    }

    #[test]
    fn what_every_command_has_is_named_in_the_short_help() {
        let command = command();
        let help = command.clone().render_help().to_string();
        let (_, named) = help.split_once("Options of every command: ").unwrap();
        let named = named.lines().next().unwrap().split(' ').collect::<Vec<_>>();
        let global = command.get_arguments().filter(|argument| argument.is_global_set());
        for argument in global {
            let short = argument.get_short().map(|short| format!("-{short}"));
            let name = short.unwrap_or_else(|| format!("--{}", argument.get_long().unwrap()));
            assert!(named.contains(&&*name), "{name}: {help}");
        }
    }

    #[test]
    fn the_short_help_fits_a_screen() {
        let help = command().render_help().to_string();
        assert!(help.lines().count() <= 24, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}
