//! `floe doctor`: what keeps floe from working here, and what mends it.

use std::fmt::Write as _;

use clap::Args;

use crate::cli::args::{Format, Global};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::{self, Session, Sources};
use crate::fault::Kind;
use crate::report::untrusted::Untrusted;
use crate::workflow::{self, Finding, Health, Programs};

/// Look for what would keep floe from working here, each with what mends it
///
/// Ends with 0, or with the code that a call would end with for the worst of it.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How to print it
    #[arg(long, default_value = "text")]
    format: Format,
}

/// Looks at everything, and prints what it sees.
pub async fn execute(global: &Global, args: &DoctorArgs) -> Result<(), Failure> {
    let findings = findings(global).await?;
    match args.format {
        Format::Json => {
            let value = serde_json::to_value(&findings);
            let value = value.map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
            output::result(&format!("{value:#}\n"))?;
        }
        Format::Text => {
            let color = output::colored_result();
            output::result(&findings.iter().map(|finding| lines(finding, color)).collect::<String>())?;
        }
    }
    workflow::worst(&findings).map_or(Ok(()), |kind| Err(Failure::shown(kind.into())))
}

async fn findings(global: &Global) -> Result<Vec<Finding>, Failure> {
    let repository = session::place(global)?;
    let sources = match Sources::read(&repository, global, &[]) {
        Ok(sources) => sources,
        Err(failure) => return Ok(vec![of_settings(&failure)]),
    };
    let doubts = sources.doubts().into_iter();
    let mut findings = doubts
        .map(|doubt| Finding::careful("settings", doubt, None))
        .collect::<Vec<_>>();
    if let Err(error) = sources.settings() {
        findings.push(Finding::bad("settings", &error));
        // Nothing else can be looked at without them.
        return Ok(findings);
    }
    if findings.is_empty() {
        findings.push(Finding::good(
            "settings",
            "all are well formed; `floe settings` shows them",
        ));
    }
    let session = Session::open_quietly(global)?;
    let program = output::program;
    let programs = Programs {
        uv: program("uv"),
        mmdebstrap: program("mmdebstrap"),
        git: program("git"),
        may_map_users: rustix::process::geteuid().is_root() || program("newuidmap").is_some(),
    };
    if session::repository(global)?.is_none() {
        let text = format!(
            "{} lies in no repository with missions/ and common/",
            repository.root().display()
        );
        findings.push(Finding {
            state: Health::Bad,
            kind: Some(Kind::Invalid),
            ..Finding::careful("repository", text, Some("change to one, or name it with --directory"))
        });
    }
    findings.extend(workflow::doctor(&session.workplace, &programs).await);
    Ok(findings)
}

fn of_settings(failure: &Failure) -> Finding {
    let text = failure.message.clone().unwrap_or_default();
    Finding {
        state: Health::Bad,
        kind: Some(Kind::Invalid),
        ..Finding::careful("settings", text, failure.hint.as_deref())
    }
}

/// A finding as people read it. What mends it stands below.
fn lines(finding: &Finding, color: bool) -> String {
    let (word, ink) = match finding.state {
        Health::Good => ("ok", "\x1b[32m"),
        Health::Careful => ("note", "\x1b[33m"),
        Health::Bad => ("BAD", "\x1b[1;31m"),
    };
    let (ink, reset) = if color { (ink, "\x1b[0m") } else { ("", "") };
    let shown = |text: &str| Untrusted::default().plain(&output::masked(text));
    let text = shown(&finding.text).replace('\n', "\n      ");
    let mut lines = format!("{ink}{word:>4}{reset}  {}: {text}\n", shown(&finding.subject));
    if let Some(hint) = &finding.hint {
        let _ = writeln!(lines, "      -> {}", shown(hint));
    }
    lines
}
