//! The command line: wires the parts together. Only here the environment is read, text is printed, and errors become
//! exit codes.

mod applets;
mod args;
mod commands;
mod completion;
mod console;
mod delivery;
mod failure;
mod help;
mod hidden;
mod logins;
mod output;
mod questions;
mod session;
mod signals;
mod template;

use std::ffi::OsString;
use std::path::Path;
use std::process;

use crate::image::applet;
use failure::{ExitCode, Failure};

/// Runs floe with the arguments of this process. The first one, the program's own name, may be that of an applet.
#[must_use]
pub fn main() -> process::ExitCode {
    let words = std::env::args_os().collect::<Vec<_>>();
    if called_as(&words).is_none() {
        completion::answer();
    }
    let outcome = runtime().and_then(|runtime| runtime.block_on(dispatch(words)));
    let code = outcome.err().map_or(ExitCode::Success, |failure| {
        output::failure(&failure);
        failure.code
    });
    code.into()
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(ExitCode::Internal, format!("no threads to run on: {error}")))
}

async fn dispatch(words: Vec<OsString>) -> Result<(), Failure> {
    if let Some(applet) = called_as(&words) {
        let words = std::iter::once(applet.into()).chain(words.into_iter().skip(1));
        return applets::run(words.collect()).await;
    }
    match help::parsed(words) {
        // The commands together are too large for a stack.
        Ok(cli) => Box::pin(commands::run(cli)).await,
        Err(error) => output::usage(&error),
    }
}

/// The applet that the program was called as, e.g. `/opt/common-scripts/env-clone`.
fn called_as(words: &[OsString]) -> Option<String> {
    let name = Path::new(words.first()?).file_name()?.to_str()?;
    applet::ALL.contains(&name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        commands::Cli::command().debug_assert();
        help::command().debug_assert();
    }

    #[test]
    fn every_applet_that_images_link_to_has_a_command_line_and_beside_those_only_the_agent_has() {
        let mut names = applets::names();
        let hidden = [
            applet::SUPERVISE,
            applet::DELIVER,
            applet::MODULES,
            applet::LICENCES,
            applet::LAYERS,
            applet::LEAD,
            applet::SURROUNDINGS,
            applet::CONSOLE,
            applet::ENTER,
            applet::IMPRINT,
            applet::ENV_SOLVE,
            applet::ENV_ASSEMBLE,
        ];
        let mut linked = [applet::ALL, &hidden].concat();
        names.sort_unstable();
        linked.sort_unstable();
        assert_eq!(names, linked);
    }

    /// What hints and warnings tell people to type: the text in backquotes of every string in `src/`, each value in it as
    /// `tiny`.
    fn told() -> Vec<(PathBuf, String)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = walkdir::WalkDir::new(root.join("src")).into_iter().map(Result::unwrap);
        let sources = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "rs"));
        let mut told = Vec::new();
        for source in sources {
            let text = std::fs::read_to_string(source.path()).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let quoted = line.split('`').skip(1).step_by(2);
                told.extend(quoted.map(|words| (source.path().to_owned(), words.to_owned())));
            }
        }
        told
    }

    /// The words less what is put into them.
    fn filled(words: &str) -> Vec<String> {
        let mut filled = String::new();
        for (index, part) in words.split(['{', '}']).enumerate() {
            filled.push_str(if index % 2 == 0 { part } else { " tiny " });
        }
        filled.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn every_command_that_people_are_told_to_type_is_one() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut commands = 0;
        for (file, words) in told() {
            let mut words = filled(&words);
            let Some(first) = words.first_mut() else { continue };
            if let Some(script) = first.strip_prefix("scripts/") {
                let text = std::fs::read_to_string(root.join("scripts").join(script));
                let text = text.unwrap_or_else(|error| panic!("{}: scripts/{script}: {error}", file.display()));
                let command = text
                    .split_once("/floe\" ")
                    .and_then(|(_, rest)| rest.split_whitespace().next());
                let command = command.unwrap().to_owned();
                "floe".clone_into(first);
                words.insert(1, command);
            } else if first != "floe" {
                continue;
            }
            commands += 1;
            if let Err(error) = commands::Cli::try_parse_from(&words) {
                panic!("{}: {words:?}: {error}", file.display());
            }
        }
        assert!(commands > 10, "only {commands} were found");
    }

    /// The lines of a page that people type: those of blocks for the shell, indented ones, and code in the text, which may be
    /// the name of a command alone.
    fn typed(page: &str) -> Vec<(String, bool)> {
        let mut typed = Vec::new();
        let mut block = None;
        for line in page.lines() {
            if let Some(kind) = line.strip_prefix("```") {
                block = if block.is_some() { None } else { Some(kind) };
                continue;
            }
            match block {
                Some("console") => typed.extend(line.strip_prefix("$ ").map(|line| (line.to_owned(), false))),
                Some("sh") => typed.push((line.to_owned(), false)),
                Some(_) => {}
                None if line.starts_with("    ") => {
                    typed.extend(
                        line.trim()
                            .starts_with("floe ")
                            .then(|| (line.trim().to_owned(), false)),
                    );
                }
                None => typed.extend(line.split('`').skip(1).step_by(2).map(|code| (code.to_owned(), true))),
            }
        }
        typed
    }

    /// Each call of floe in a line of the shell, as its words.
    fn calls(line: &str) -> Vec<Vec<String>> {
        let code = line.split(" #").next().unwrap();
        let begins = code.match_indices("floe ").map(|(at, _)| at);
        let begins = begins.filter(|&at| at == 0 || code[..at].ends_with([' ', '(', '/']));
        let words = |at: usize| {
            let call = code[at..].split(['|', ';', ')', '>', '&']).next().unwrap();
            let words = call.split_whitespace();
            // A variable stands for something that is well formed.
            let said = |word: &str| match word {
                "$PARTITION" => "1/2".to_owned(),
                word if word.starts_with('$') => "x".to_owned(),
                word => word.to_owned(),
            };
            words.map(|word| said(word.trim_matches('"'))).collect()
        };
        begins.map(words).collect()
    }

    #[test]
    fn every_command_of_the_documents_and_workflows_is_one() {
        use clap::error::ErrorKind;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = walkdir::WalkDir::new(root.join("docs")).into_iter().map(Result::unwrap);
        let mut files = files.map(walkdir::DirEntry::into_path).collect::<Vec<_>>();
        files.push(root.join("README.md"));
        let mut commands = 0;
        for file in files {
            let extension = file.extension().and_then(|extension| extension.to_str());
            let text = || std::fs::read_to_string(&file).unwrap();
            let lines = match extension {
                Some("md") => typed(&text()),
                Some("yml") => text().lines().map(|line| (line.to_owned(), false)).collect(),
                _ => continue,
            };
            let code = lines.iter().filter(|(line, _)| !line.trim_start().starts_with('#'));
            for (line, may_be_a_name) in code {
                for words in calls(line) {
                    if words.get(1).is_some_and(|word| word == "COMMAND") {
                        continue;
                    }
                    commands += 1;
                    let Err(error) = commands::Cli::try_parse_from(&words) else {
                        continue;
                    };
                    let unsaid = [
                        ErrorKind::MissingRequiredArgument,
                        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                        ErrorKind::DisplayHelp,
                    ];
                    let is_name = *may_be_a_name && unsaid.contains(&error.kind());
                    assert!(is_name, "{}: {line}: {error}", file.display());
                }
            }
        }
        assert!(commands > 60, "only {commands} were found");
    }

    #[test]
    fn every_option_that_people_are_told_of_is_one() {
        use clap::CommandFactory as _;
        let command = commands::Cli::command();
        let mut all = vec![&command];
        for index in 0.. {
            let Some(one) = all.get(index) else { break };
            all.extend(one.get_subcommands().collect::<Vec<_>>());
        }
        let known = all
            .into_iter()
            .flat_map(clap::Command::get_arguments)
            .filter_map(|argument| Some(format!("--{}", argument.get_long()?)))
            .collect::<Vec<_>>();
        let mut options = 0;
        for (file, text) in hints() {
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            for option in words.filter(|word| word.starts_with("--") && word.len() > 2) {
                assert!(
                    known.iter().any(|known| known == option),
                    "{}: {option}",
                    file.display()
                );
                options += 1;
            }
        }
        assert!(options > 5, "only {options} were found");
    }

    /// The text of every function that makes a hint, and what stands behind a failure as one.
    fn hints() -> Vec<(PathBuf, String)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = walkdir::WalkDir::new(root.join("src")).into_iter().map(Result::unwrap);
        let sources = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "rs"));
        let mut hints = Vec::new();
        for source in sources {
            let text = std::fs::read_to_string(source.path()).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let functions = text
                .split("fn hint(")
                .skip(1)
                .filter_map(|rest| rest.split("\n    }\n").next());
            let calls = text
                .split(".hint(\"")
                .skip(1)
                .filter_map(|rest| rest.split("\")").next());
            hints.extend(
                functions
                    .chain(calls)
                    .map(|text| (source.path().to_owned(), text.to_owned())),
            );
        }
        hints
    }

    #[test]
    fn the_programs_name_selects_the_applet() {
        let of = |name: &str| called_as(&[OsString::from(name)]);
        assert_eq!(of("/opt/common-scripts/env-clone").as_deref(), Some("env-clone"));
        assert_eq!(of("test-imports").as_deref(), Some("test-imports"));
        assert_eq!(of("/usr/bin/floe"), None);
    }
}
