//! `floe settings`: every setting, and where its value comes from.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::{Format, Global};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::session::{self, Sources};
use crate::cli::{hidden, output};
use crate::config::{Origin, Sourced};
use crate::fault::Explained as _;
use crate::report::untrusted::Untrusted;

/// Show every setting, its value, and where that comes from
///
/// Secrets, and credentials in addresses, are masked. Names that nearly are a setting's, and those of the original
/// framework, are told. A value that does not fit its setting is told last and ends the call with 3.
#[derive(Debug, Args)]
pub struct SettingsArgs {
    /// Only these; all, if none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only those that something sets
    #[arg(long, conflicts_with = "names")]
    set: bool,
    /// How to print them
    #[arg(long, default_value = "text")]
    format: Format,
}

/// Prints the settings.
pub fn execute(global: &Global, args: &SettingsArgs) -> Result<(), Failure> {
    let sources = Sources::read(&session::place(global)?, global, &[])?;
    let all = sources.all();
    if let Some(unknown) = args
        .names
        .iter()
        .find(|name| !all.iter().any(|known| known.name == **name))
    {
        let message = format!("{unknown} is no setting");
        return Err(Failure::new(ExitCode::Usage, message).hint("`floe settings` lists them all"));
    }
    let wanted = |setting: &&Sourced| {
        let named = args.names.is_empty() || args.names.iter().any(|name| name == setting.name);
        named && !(args.set && setting.origin == Origin::Default)
    };
    let shown = all.iter().filter(wanted).collect::<Vec<_>>();
    let doubts = sources.doubts();
    let wrong = sources.settings().err();
    match args.format {
        Format::Text => {
            output::result(&table(&shown))?;
            for doubt in doubts {
                output::warn(&doubt);
            }
        }
        Format::Json => {
            let settings = shown.into_iter().map(as_json).collect::<Vec<_>>();
            let error = wrong.as_ref().map(ToString::to_string);
            let value = json!({"settings": settings, "warnings": doubts, "error": error});
            output::result(&format!("{value:#}\n"))?;
        }
    }
    wrong.map_or(Ok(()), |error| {
        let hint = error.hint();
        let failure = Failure::from(error);
        Err(hint.into_iter().fold(failure, Failure::hint))
    })
}

fn as_json(setting: &Sourced) -> Value {
    let origin = match &setting.origin {
        Origin::Flag => json!({"kind": "flag"}),
        Origin::Environment => json!({"kind": "environment"}),
        Origin::SetupEnv { path, line } => json!({"kind": "setup-env", "path": path, "line": line}),
        Origin::Default => json!({"kind": "default"}),
    };
    json!({
        "name": setting.name,
        "value": hidden::shown(setting.name, &setting.value),
        "default": setting.default,
        "origin": origin,
    })
}

/// The settings as a table. The longest values push their origin out, and nothing else.
fn table(settings: &[&Sourced]) -> String {
    const MOST: usize = 44;
    let rows = settings.iter().map(|setting| {
        let value = hidden::shown(setting.name, &setting.value);
        let origin = match &setting.origin {
            Origin::Flag => "flag".to_owned(),
            Origin::Environment => "environment".to_owned(),
            Origin::SetupEnv { line, .. } => format!("setup-env:{line}"),
            Origin::Default => "default".to_owned(),
        };
        (setting.name, Untrusted::default().inline(&value), origin)
    });
    let rows = rows.collect::<Vec<_>>();
    let names = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let values = rows
        .iter()
        .map(|(_, value, _)| value.chars().count())
        .filter(|width| *width <= MOST);
    let values = values.max().unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(name, value, origin)| format!("{name:names$}  {value:values$}  {origin}\n"));
    lines.collect()
}
