//! `floe graph`: what needs what, as a picture or as data.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::Global;
use crate::cli::args::held::Held;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::packages::{Environment, Graph, Links, svg};

/// Draw what needs a package and what it needs, or all of an environment
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// The package in the middle; all of the environment, if none is named
    #[arg(value_name = "PACKAGE")]
    package: Option<String>,
    #[command(flatten)]
    held: Held,
    /// How many steps away from the package
    #[arg(long, value_name = "STEPS", default_value_t = 2, requires = "package")]
    depth: usize,
    /// What to write; a picture shows at most 24 packages in a column, the others show all
    #[arg(long, default_value = "svg")]
    format: GraphFormat,
    /// The file to write it to; standard output otherwise
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The form of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// A picture
    Svg,
    /// For Graphviz
    Dot,
    /// For programs
    Json,
}

/// Writes the graph of the one environment that holds the package, or that is asked for.
pub async fn execute(global: &Global, args: &GraphArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[])?;
    let environments = args.held.environments(&session).await?;
    let holds = |environment: &&Environment| match &args.package {
        Some(name) => environment.called(name).next().is_some(),
        None => environment.unknown.is_none(),
    };
    let holding = environments.iter().filter(holds).collect::<Vec<_>>();
    let environment = match (holding.as_slice(), &args.package) {
        ([one], _) => one,
        ([], Some(name)) => return Err(args.held.nowhere(&environments, name)),
        ([], None) => return Err(Failure::new(ExitCode::NothingRan, "none of the environments is frozen")),
        (several, _) => {
            let names = several
                .iter()
                .map(|environment| environment.shown())
                .collect::<Vec<_>>();
            let message = format!("which environment? There are {}", names.join(", "));
            return Err(
                Failure::new(ExitCode::Usage, message).hint("name it with --env, and its mission with --mission")
            );
        }
    };
    let links = Links::of(environment);
    let named = args.package.as_ref().and_then(|name| environment.called(name).last());
    let graph = match named {
        Some(index) => Graph::around(&links, index, args.depth),
        None => Graph::whole(&links),
    };
    let text = match args.format {
        GraphFormat::Svg => svg(&graph),
        GraphFormat::Dot => graph.to_dot(),
        GraphFormat::Json => output::json(&graph)?,
    };
    output::to(args.output.as_deref(), &text)
}
