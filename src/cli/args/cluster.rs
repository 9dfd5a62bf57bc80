//! A cluster, as options name it.

use std::path::PathBuf;

use clap::Args;

use crate::workflow::Somewhere;

/// The context of a cluster, if it is not the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context(pub Option<String>);

/// Reads `kubernetes` or `kubernetes:CONTEXT`.
pub fn context(text: &str) -> Result<Context, String> {
    match text.split_once(':') {
        None if text == "kubernetes" => Ok(Context(None)),
        Some(("kubernetes", context)) if !context.is_empty() => Ok(Context(Some(context.to_owned()))),
        _ => Err("expected kubernetes or kubernetes:CONTEXT".to_owned()),
    }
}

/// A cluster that runs were left to.
#[derive(Debug, Clone, Default, Args)]
pub struct SomewhereArgs {
    /// The cluster that runs were left to: `kubernetes`, or `kubernetes:CONTEXT`
    #[arg(long, value_name = "WHERE", value_parser = context)]
    on: Option<Context>,
    /// What says which namespace of it [default: kubernetes.yml, where there is one]
    #[arg(long, value_name = "FILE", requires = "on", hide_short_help = true)]
    kubernetes: Option<PathBuf>,
}

impl SomewhereArgs {
    /// The cluster, where one is named.
    #[must_use]
    pub fn somewhere(&self) -> Option<Somewhere> {
        let Context(context) = self.on.clone()?;
        Some(Somewhere {
            context,
            settings: self.kubernetes.clone(),
        })
    }
}
