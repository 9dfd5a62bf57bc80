//! `floe completion`: what makes a shell complete calls of floe.

use clap::Args;

use crate::cli::failure::{ExitCode, Failure};
use crate::cli::{completion, output};

/// Print what makes a shell complete calls of floe, with the missions, environments and tests that there are
///
/// bash: `source <(floe completion bash)` in ~/.bashrc. zsh: the same in ~/.zshrc. fish: `floe completion fish | source` in
/// ~/.config/fish/config.fish.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(completion::shells()))]
    shell: String,
}

/// Prints the script.
pub fn execute(args: &CompletionArgs) -> Result<(), Failure> {
    let internal = |error: String| Failure::new(ExitCode::Internal, format!("the script: {error}"));
    let script = completion::script(&args.shell).ok_or_else(|| internal("there is none".to_owned()))?;
    let script = script.map_err(|error| internal(error.to_string()))?;
    output::result(&String::from_utf8_lossy(&script))
}
