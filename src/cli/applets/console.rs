//! A container that somebody is let into: its first process, and what becomes the command.
//!
//! The agent is the first process whatever the image's entrypoint is: it passes signals on, which a first process without
//! handlers never hears, and takes notice of orphans that end. The command is started behind the entrypoint, as a person's
//! server is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::entrypoint::TINI_SUBREAPER;
use super::machine::Machine;
use super::place::Place;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::envs;
use crate::image::applet::{self, ENTER};
use crate::image::visit::Visit;
use crate::image::{self, variable};
use crate::reference::{EnvironmentName, TestId, TestKind};
use crate::suite::runner::directory;
use crate::suite::runner::links::Links;
use crate::suite::{Subject, discover};

/// The signals that are passed on, and whether a terminal sends them to the command by itself.
const PASSED: [(SignalKind, Signal, bool); 6] = [
    (SignalKind::interrupt(), Signal::INT, true),
    (SignalKind::quit(), Signal::QUIT, true),
    (SignalKind::hangup(), Signal::HUP, false),
    (SignalKind::terminate(), Signal::TERM, false),
    (SignalKind::user_defined1(), Signal::USR1, false),
    (SignalKind::user_defined2(), Signal::USR2, false),
];

/// Where a shell is, the best first.
const SHELLS: [&str; 3] = ["/bin/bash", "/usr/bin/bash", "/bin/sh"];

/// What an interactive bash reads first: what it always does, and then what activates the environment again, which those
/// files may have undone.
const RC_FILE: &str = r#"for file in /etc/bash.bashrc ~/.bashrc; do [ ! -r "$file" ] || . "$file"; done; unset file"#;

/// Starts what somebody is let in for, and ends as that does.
pub async fn run(place: &Place) -> Result<(), Failure> {
    let internal = |error: io::Error| Failure::new(ExitCode::Internal, format!("the agent: {error}"));
    let visit = visit(place)?;
    let own = std::env::current_exe().map_err(internal)?;
    let mut words = visit.entrypoint.iter().map(OsString::from);
    let (program, arguments) = match words.next() {
        Some(program) => (program, words.chain([own.into_os_string()]).collect::<Vec<_>>()),
        None => (own.into_os_string(), Vec::new()),
    };
    let (sender, mut heard) = mpsc::channel(8);
    let terminal = io::stdin().is_terminal();
    for (kind, passed, by_terminal) in PASSED {
        let mut stream = signal(kind).map_err(internal)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                // A handler stands even where there is nothing to pass on: a first process is not to end of it.
                if !(terminal && by_terminal) {
                    let _ = sender.send(passed).await;
                }
            }
        });
    }
    let mut ended = signal(SignalKind::child()).map_err(internal)?;
    let mut command = Command::new(&program);
    // It is not the first process here, of which tini would warn.
    command.args(arguments).args(["applet", ENTER]).env(TINI_SUBREAPER, "1");
    let child = start(&mut command).map_err(|error| {
        let program = program.to_string_lossy();
        let message = format!("the image's entrypoint cannot be started: {program}: {error}");
        Failure::new(ExitCode::Invalid, message).hint("`--no-entrypoint` starts the command without it")
    })?;
    loop {
        tokio::select! {
            _ = ended.recv() => {
                while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
                    if pid == child {
                        let code = status.exit_status().or_else(|| Some(128 + status.terminating_signal()?));
                        return as_command(code.unwrap_or(1));
                    }
                }
            }
            Some(passed) = heard.recv() => {
                // One that has ended needs none.
                let _ = kill_process(child, passed);
            }
        }
    }
}

/// Starts a child that is waited for among all others.
fn start(command: &mut Command) -> io::Result<Pid> {
    let child = command.spawn()?;
    Ok(Pid::from_child(&child))
}

/// The end of a call with the exit code of its command.
fn as_command(code: i32) -> Result<(), Failure> {
    match u8::try_from(code) {
        Ok(0) => Ok(()),
        Ok(code) => Err(Failure::shown(ExitCode::OfCommand(code))),
        Err(_) => Err(Failure::shown(ExitCode::OfCommand(u8::MAX))),
    }
}

/// Becomes the command that somebody is let in for.
pub fn enter(place: Place) -> Result<(), Failure> {
    let visit = visit(&place)?;
    let mut here = place.without(TINI_SUBREAPER);
    let mut environment = visit.environment.clone();
    let mut machine = None;
    if environment.is_some() || visit.test.is_some() {
        machine = Some(Machine::of(here.clone())?);
    }
    if let (Some(id), Some(machine)) = (&visit.test, &machine) {
        let spot = Spot::of(id, machine)?;
        environment = environment.or(spot.environment);
        if let Some(directory) = spot.directory {
            std::env::set_current_dir(&directory)
                .map_err(|error| Failure::new(ExitCode::Invalid, format!("{}: {error}", directory.display())))?;
            here.directory = directory;
        }
        output::tell(&spot.told);
    }
    let inherited = here.of_tests();
    let active = if let (Some(name), Some(machine)) = (&environment, &machine) {
        Some((name, machine.layout.complete(name)?))
    } else {
        None
    };
    let active = active.as_ref().map(|(name, prefix)| (*name, prefix.as_path()));
    let words = if visit.command.is_empty() {
        shell(active, &inherited)?
    } else {
        visit.command.iter().map(OsString::from).collect()
    };
    become_command(active, &words, &inherited)
}

fn visit(place: &Place) -> Result<Visit, Failure> {
    let text = place.setting(variable::VISIT).unwrap_or_default();
    serde_json::from_str(&text).map_err(|error| {
        let message = format!("{} is no visit: {error}", variable::VISIT);
        Failure::new(ExitCode::Usage, message)
    })
}

fn become_command(
    active: Option<(&EnvironmentName, &Path)>,
    words: &[OsString],
    inherited: &BTreeMap<OsString, OsString>,
) -> Result<(), Failure> {
    let Some((program, arguments)) = words.split_first() else {
        return Ok(());
    };
    let mut command = if let Some((name, prefix)) = active {
        envs::activated(name, prefix, Path::new(program), inherited)
    } else {
        let mut command = Command::new(program);
        command.env_clear().envs(inherited);
        command
    };
    let error = command.args(arguments).exec();
    // As shells have it.
    let (code, reason) = match error.kind() {
        io::ErrorKind::NotFound => (127, "there is no such program in the image".to_owned()),
        _ => (126, error.to_string()),
    };
    let message = format!("{}: {reason}", program.to_string_lossy());
    Err(Failure::new(ExitCode::OfCommand(code), message))
}

/// The words that start a shell.
fn shell(
    active: Option<(&EnvironmentName, &Path)>,
    inherited: &BTreeMap<OsString, OsString>,
) -> Result<Vec<OsString>, Failure> {
    let found = SHELLS.into_iter().find(|shell| Path::new(shell).exists());
    let Some(shell) = found else {
        return Err(Failure::new(
            ExitCode::OfCommand(127),
            "the image has no shell: neither bash nor sh",
        ));
    };
    let mut words = vec![OsString::from(shell)];
    if let Some((name, prefix)) = active
        && shell.ends_with("bash")
        && io::stdin().is_terminal()
    {
        let file = std::env::temp_dir().join(format!("floe-shell-{}.rc", std::process::id()));
        fs::write(&file, rc_file(name, prefix, inherited))
            .map_err(|error| Failure::new(ExitCode::Internal, format!("{}: {error}", file.display())))?;
        words.extend(["--rcfile".into(), file.into_os_string()]);
    }
    Ok(words)
}

/// The text of what an interactive bash reads first in an environment.
fn rc_file(name: &EnvironmentName, prefix: &Path, inherited: &BTreeMap<OsString, OsString>) -> String {
    let command = envs::activated(name, prefix, Path::new("true"), inherited);
    let mut text = format!("{RC_FILE}\n");
    for (name, value) in command.get_envs() {
        let own = ["PATH", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV"]
            .iter()
            .any(|own| name == *own);
        if let (true, Some(value)) = (own, value) {
            let value = value.to_string_lossy();
            let quoted = shlex::try_quote(&value).unwrap_or_default();
            let _ = writeln!(text, "export {}={quoted}", name.to_string_lossy());
        }
    }
    let _ = writeln!(text, "PS1=\"({name}) ${{PS1}}\"");
    text
}

/// The place of a test: where it runs, and how a person runs it there.
struct Spot {
    environment: Option<EnvironmentName>,
    directory: Option<PathBuf>,
    told: String,
}

impl Spot {
    fn of(id: &TestId, machine: &Machine) -> Result<Self, Failure> {
        let environments = &machine.layout.environments;
        if id.mission().is_some() {
            let directory = copy(environments)?;
            return Ok(Self {
                environment: None,
                told: told(id, true, &format!("./{}", image::MISSION_SCRIPT)),
                directory: Some(directory),
            });
        }
        if id.kind == TestKind::Server {
            let own = id.owner.parse().ok().filter(|name| machine.has_environment(name));
            return Ok(Self {
                environment: own,
                directory: None,
                told: told(id, false, &format!("{} {id}", program(applet::TEST_SERVER))),
            });
        }
        let plan = discover::load(environments)?;
        let Some(test) = plan.tests().iter().find(|test| test.id() == *id) else {
            let message = format!("no test of the image is called {id}");
            let some = plan.tests().iter().take(3).map(|test| test.id().to_string());
            let hint = format!("it has {}, …", some.collect::<Vec<_>>().join(", "));
            return Err(Failure::new(ExitCode::NothingRan, message).hint(hint));
        };
        let environment = &test.environment;
        let own = environments.join(environment.as_str());
        let tests = own.join("tests");
        let (directory, words) = match &test.subject {
            Subject::Import { module } => {
                let from = [&tests, &own].into_iter().find(|path| path.is_dir());
                (
                    from.map(|from| copy(from)).transpose()?,
                    format!("python -c 'import {module}'"),
                )
            }
            Subject::Script { path } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                (Some(copied(path, path.parent().unwrap_or(&own))?), format!("./{name}"))
            }
            Subject::Notebook { path, root, .. } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let quoted = shlex::try_quote(&name).unwrap_or_default();
                let words = format!("{} {environment} {quoted}", program(applet::TEST_NOTEBOOKS));
                (Some(copied(path, root)?), words)
            }
        };
        Ok(Self {
            environment: Some(environment.clone()),
            told: told(id, directory.is_some(), &words),
            directory,
        })
    }
}

/// What a person is told who comes to a test.
fn told(id: &TestId, copied: bool, words: &str) -> String {
    let place = if copied { ", in a copy of its directory" } else { "" };
    format!("At {id}{place}. To run it: {words}")
}

/// How an applet is called here.
fn program(applet: &str) -> String {
    if Path::new(&image::program(applet)).exists() {
        applet.to_owned()
    } else {
        format!("{} applet {applet}", image::AGENT)
    }
}

/// A copy of `root`, and where in it the directory of `file` is.
fn copied(file: &Path, root: &Path) -> Result<PathBuf, Failure> {
    let copy = copy(root)?;
    let below = file.parent().and_then(|parent| parent.strip_prefix(root).ok());
    Ok(copy.join(below.unwrap_or(Path::new(""))))
}

/// A copy of a directory, as tests get it. It stays: the container does not.
fn copy(from: &Path) -> Result<PathBuf, Failure> {
    let internal = |reason: String| Failure::new(ExitCode::Internal, format!("{}: {reason}", from.display()));
    let from = fs::canonicalize(from).map_err(|error| internal(error.to_string()))?;
    let scratch = std::env::temp_dir();
    let own = tempfile::Builder::new()
        .prefix("floe-test-")
        .tempdir_in(&scratch)
        .map_err(|error| internal(error.to_string()))?;
    let to = own.keep().join("work");
    let copied =
        directory::copy(&from, &to, &scratch, &Links::default()).map_err(|error| internal(error.to_string()))?;
    Ok(copied.directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interactive_shell_activates_its_environment_after_the_files_of_its_user() {
        let inherited = BTreeMap::from([(OsString::from("PATH"), OsString::from("/bin"))]);
        let prefix = tempfile::tempdir().unwrap();
        let home = tempfile::tempdir().unwrap();
        fs::write(
            home.path().join(".bashrc"),
            "export PATH=/elsewhere CONDA_DEFAULT_ENV=base\n",
        )
        .unwrap();
        let file = home.path().join("rc");
        fs::write(&file, rc_file(&"cal".parse().unwrap(), prefix.path(), &inherited)).unwrap();
        let said = Command::new("/bin/bash")
            .args([
                "--norc",
                "-c",
                ". \"$1\"; echo \"$PATH $CONDA_DEFAULT_ENV $PS1\"",
                "bash",
            ])
            .arg(&file)
            .env("HOME", home.path())
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let bin = prefix.path().join("bin");
        assert!(
            said.starts_with(&format!("{}:/bin cal (cal) ", bin.display())),
            "{said}"
        );
    }
}
