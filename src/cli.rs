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
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        commands::Cli::command().debug_assert();
    }

    #[test]
    fn every_applet_that_images_link_to_has_a_command_line_and_no_other() {
        let mut names = applets::names();
        let mut linked = applet::ALL.to_vec();
        names.sort_unstable();
        linked.sort_unstable();
        assert_eq!(names, linked);
    }

    #[test]
    fn the_programs_name_selects_the_applet() {
        let of = |name: &str| called_as(&[OsString::from(name)]);
        assert_eq!(of("/opt/common-scripts/env-clone").as_deref(), Some("env-clone"));
        assert_eq!(of("test-imports").as_deref(), Some("test-imports"));
        assert_eq!(of("/usr/bin/floe"), None);
    }
}
