//! The command line: wires the parts together. Only here the environment is read, text is printed, and errors become
//! exit codes.

mod applets;
mod args;
mod commands;
mod delivery;
mod failure;
mod hidden;
mod output;
mod session;
mod signals;
mod template;

use std::ffi::OsString;
use std::path::Path;
use std::process;

use clap::Parser as _;

use crate::image::applet;
use failure::{ExitCode, Failure};

/// Runs floe with the arguments of this process. The first one, the program's own name, may be that of an applet.
#[must_use]
pub fn main() -> process::ExitCode {
    let words = std::env::args_os().collect::<Vec<_>>();
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
    match commands::Cli::try_parse_from(words) {
        Ok(cli) => commands::run(cli).await,
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

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        commands::Cli::command().debug_assert();
    }

    #[test]
    fn every_applet_that_images_link_to_has_a_command_line_and_beside_those_only_the_agent_has() {
        let mut names = applets::names();
        let hidden = [applet::SUPERVISE, applet::MODULES, applet::SURROUNDINGS];
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
