//! `floe man`: the manual's pages.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Command};

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
        let root = page(&command, true)?;
        clap_mangen::generate_to(command, directory).map_err(&failed)?;
        std::fs::write(directory.join("floe.1"), root).map_err(&failed)?;
        return output::result(&format!("{}\n", directory.display()));
    }
    let mut shown = command;
    for name in &args.command {
        let Some(below) = shown.find_subcommand(name) else {
            let message = format!("floe has no command {}", args.command.join(" "));
            return Err(Failure::new(ExitCode::Usage, message).hint("`floe man` lists them all"));
        };
        shown = below.clone();
    }
    output::result(&page(&shown, args.command.is_empty())?)
}

/// The page of a command. That of floe itself tells the exit codes of all.
fn page(command: &Command, is_root: bool) -> Result<String, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut text)
        .map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if is_root {
        text.push_str(".SH \"EXIT STATUS\"\n");
        for (code, meaning) in ExitCode::MEANINGS {
            let _ = writeln!(text, ".TP\n{}\n{meaning}", code.number());
        }
    }
    Ok(text)
}
