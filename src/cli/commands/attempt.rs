//! `floe try`: a package in a throw-away copy of an environment, and the environment's tests there.

use clap::Args;

use super::add::Wanted;
use super::remove::specified;
use super::test;
use crate::cli::args::Global;
use crate::cli::args::run::RunArgs;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::suite::expression::Expression;
use crate::suite::selection::Selection;
use crate::workflow::{self, Asked};

/// Try packages in a throw-away copy of an environment: its tests run there, and nothing else changes
#[derive(Debug, Args)]
pub struct TryArgs {
    #[command(flatten)]
    wanted: Wanted,
    /// If the tests pass, add the packages to the environment, as `floe add` does
    #[arg(long)]
    keep: bool,
    /// Only tests that an expression names, e.g. `kind(imports)`
    #[arg(short = 'E', long = "filterset", value_name = "EXPRESSION")]
    expression: Option<Expression>,
    #[command(flatten)]
    run: RunArgs,
}

/// Tries packages.
pub async fn execute(global: &Global, args: &TryArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[])?;
    let asked = Asked {
        selection: Selection {
            expression: args.expression.clone(),
            ..Selection::default()
        },
        options: args.run.options(),
        ..Asked::default()
    };
    let wanted = args.wanted.specify();
    let observed = workflow::attempt(&session.workplace, &wanted, &asked, &session.interrupts).await?;
    let passed = observed.passed();
    test::say(&session.workplace, &observed);
    test::verdict(observed)?;
    if passed && args.keep {
        return specified(global, &wanted, &args.wanted.solving);
    }
    let packages = args.wanted.packages.iter().map(|package| format!(" '{package}'"));
    let add = packages.fold(format!("floe add {}", wanted.environment), |call, package| {
        call + &package
    });
    output::next(&add, "keeps it");
    Ok(())
}
