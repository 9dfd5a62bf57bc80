//! What a shell offers for a word of a call: commands and options, and the missions, environments, tests, deployments and
//! settings that there are.

use std::collections::BTreeSet;
use std::io;

use clap::builder::Arg;
use clap::{Command, ValueHint};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use super::help;
use crate::config::declared::SETTINGS;
use crate::repository::Repository;
use crate::suite::discover;

/// The variable by which a shell asks.
const VARIABLE: &str = "FLOE_COMPLETE";

/// Answers the shell, and ends, if that is who calls.
pub fn answer() {
    CompleteEnv::with_factory(help::command)
        .var(VARIABLE)
        .bin("floe")
        .completer("floe")
        .complete();
}

/// The shells that there is a script for.
#[must_use]
pub fn shells() -> Vec<&'static str> {
    Shells::builtins().names().collect()
}

/// The script by which a shell asks; `None` for one that there is none for.
#[must_use]
pub fn script(shell: &str) -> Option<io::Result<Vec<u8>>> {
    let shells = Shells::builtins();
    let shell = shells.completer(shell)?;
    let mut script = Vec::new();
    let written = shell.write_registration(VARIABLE, "floe", "floe", "floe", &mut script);
    Some(written.map(|()| script))
}

/// The command line with what there is for its arguments.
#[must_use]
pub fn with_candidates(command: Command) -> Command {
    command.mut_args(candidates).mut_subcommands(with_candidates)
}

fn candidates(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "missions" | "mission" => arg.add(ArgValueCandidates::new(missions)),
        "words" if arg.is_positional() => arg.add(ArgValueCandidates::new(missions_and_tests)),
        "environments" | "environment" => arg.add(ArgValueCandidates::new(environments)),
        "at" => arg.add(ArgValueCandidates::new(tests)),
        "deployment" => arg.add(ArgValueCandidates::new(deployments)),
        "names" => arg.add(ArgValueCandidates::new(settings)),
        "directory" | "home" => arg.value_hint(ValueHint::DirPath),
        _ => arg,
    }
}

type Candidates = Vec<CompletionCandidate>;

fn here() -> Option<Repository> {
    Repository::around(&std::env::current_dir().ok()?)
}

fn listed(names: impl IntoIterator<Item = String>) -> Candidates {
    let names = names.into_iter().collect::<BTreeSet<_>>();
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn missions() -> Candidates {
    let missions = here().map(|repository| repository.missions()).unwrap_or_default();
    listed(missions.iter().map(ToString::to_string))
}

fn environments() -> Candidates {
    let Some(repository) = here() else {
        return Vec::new();
    };
    let names = repository.missions().into_iter();
    let names = names.flat_map(|mission| repository.environment_names(&mission));
    listed(names.map(|name| name.to_string()))
}

fn tests() -> Candidates {
    let Some(repository) = here() else {
        return Vec::new();
    };
    // What cannot be read has nothing to offer.
    let plans = repository.missions().into_iter();
    let plans = plans.filter_map(|mission| discover::load(&repository.environments(&mission)).ok());
    listed(plans.flat_map(|plan| plan.ids()).map(|id| id.to_string()))
}

fn missions_and_tests() -> Candidates {
    missions().into_iter().chain(tests()).collect()
}

fn deployments() -> Candidates {
    let directory = std::env::current_dir().ok();
    let repository = directory.and_then(|directory| Repository::of_deployments_around(&directory));
    let entries =
        repository.and_then(|repository| std::fs::read_dir(repository.path(crate::repository::DEPLOYMENTS)).ok());
    let entries = entries.into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.path().is_dir());
    listed(directories.filter_map(|entry| entry.file_name().into_string().ok()))
}

fn settings() -> Candidates {
    listed(SETTINGS.iter().map(|setting| setting.name.to_owned()))
}
