//! `floe why`: what asks for a package, what needs it and what limits it.

use clap::Args;

use crate::cli::args::held::Held;
use crate::cli::args::{Format, Global};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::packages::{Links, Why};

/// Show why a package is there: the lines that lead to it, and what limits its version
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The package
    #[arg(value_name = "PACKAGE")]
    package: String,
    #[command(flatten)]
    held: Held,
    /// How to print it
    #[arg(long, default_value = "text")]
    format: Format,
}

/// Prints the reasons, environment by environment.
pub async fn execute(global: &Global, args: &WhyArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[])?;
    let environments = args.held.environments(&session).await?;
    let mut reasons = Vec::new();
    for environment in &environments {
        let called = environment.called(&args.package).collect::<Vec<_>>();
        if called.is_empty() {
            continue;
        }
        let links = Links::of(environment);
        reasons.extend(called.into_iter().map(|index| Why::of(&links, index)));
    }
    if reasons.is_empty() {
        return Err(args.held.nowhere(&environments, &args.package));
    }
    output::result(&match args.format {
        Format::Text => output::visible(&reasons.iter().map(Why::to_text).collect::<Vec<_>>().join("\n")),
        Format::Json => output::json(&reasons)?,
    })
}
