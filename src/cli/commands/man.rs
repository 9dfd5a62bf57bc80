//! `floe man`: the manual's pages.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::{ExitCode, Failure};
use crate::cli::{help, output};
use crate::state::FileError;

/// Print or write the manual's pages
///
/// `floe man build | man -l -` reads one.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command that the page is of; floe itself, if none is named
    command: Vec<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    to: Option<PathBuf>,
}

/// Prints a page, or writes all.
pub fn execute(args: &ManArgs) -> Result<(), Failure> {
    let mut command = help::command().disable_help_subcommand(true);
    command.build();
    if let Some(directory) = &args.to {
        let failed = FileError::of(directory);
        std::fs::create_dir_all(directory).map_err(&failed)?;
        clap_mangen::generate_to(command, directory).map_err(&failed)?;
        return output::result(&format!("{}\n", directory.display()));
    }
    let mut page = command;
    for name in &args.command {
        let Some(below) = page.find_subcommand(name) else {
            let message = format!("floe has no command {}", args.command.join(" "));
            return Err(Failure::new(ExitCode::Usage, message).hint("`floe man` lists them all"));
        };
        page = below.clone();
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
    output::result(&String::from_utf8_lossy(&text))
}
