//! A site's own gates before a push: commands that look at an image, at its bill of materials and at what changed in it, and
//! refuse it by how they end.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::event::{Event, Sink};
use crate::fault::{Explained, Kind};
use crate::process::{self, Exit, ProcessError};
use crate::reference::{Digest, MissionName};

/// How long a command has to end once it was asked to.
const GRACE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many lines of a command's last words are told.
const MOST_LINES: usize = 20;

/// How long these may be together, in characters.
const MOST_WORDS: usize = 4000;

/// What a gate looks at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The image's ID.
    pub id: &'a Digest,
    /// Its tag on this machine.
    pub reference: &'a str,
    /// Its mission.
    pub mission: &'a MissionName,
    /// The file of its bill of materials.
    pub sbom: &'a Path,
    /// The file of its package changes.
    pub changes: &'a Path,
    /// The file of what it passed.
    pub evidence: &'a Path,
}

/// A gate that an image did not pass.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// It refuses the image.
    #[error("the gate `{command}` refuses {image} ({exit}){}", told(.words))]
    Refused {
        /// The command.
        command: String,
        /// The image.
        image: String,
        /// How it ended.
        exit: Exit,
        /// The last that it printed.
        words: String,
    },
    /// It cannot be started.
    #[error("the gate `{command}` cannot be started{}", told(.words))]
    Missing {
        /// The command.
        command: String,
        /// What the shell says.
        words: String,
    },
    /// It did not end in time.
    #[error("the gate `{command}` did not end within {} s{}", .limit.as_secs(), told(.words))]
    Late {
        /// The command.
        command: String,
        /// How long it had.
        limit: Duration,
        /// The last that it printed.
        words: String,
    },
    /// There is no shell.
    #[error(transparent)]
    Shell(#[from] ProcessError),
}

impl Explained for GateError {
    fn kind(&self) -> Kind {
        match self {
            Self::Refused { .. } => Kind::Refused,
            Self::Missing { .. } => Kind::Invalid,
            // It has said nothing of the image.
            Self::Late { .. } => Kind::Temporary,
            Self::Shell(_) => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Refused { .. } => {
                "nothing was pushed; GATE_COMMANDS names the gates of this site, and what they print says why"
            }
            Self::Missing { .. } => "GATE_COMMANDS names it: is it installed, and on the PATH of this shell?",
            Self::Late { .. } => "try again, or give it longer by GATE_TIMEOUT",
            Self::Shell(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// Runs `commands` one after the other in `directory`, each for at most `limit`, until one refuses.
pub async fn pass(
    commands: &[String],
    subject: Subject<'_>,
    limit: Duration,
    directory: &Path,
    events: &dyn Sink,
) -> Result<(), GateError> {
    for gate in commands {
        events.emit(Event::Note {
            text: format!("asking the gate `{gate}`"),
        });
        let mut command = Command::new("sh");
        command
            .args(["-c", gate])
            .current_dir(directory)
            .env("FLOE_IMAGE", subject.id.as_str())
            .env("FLOE_REFERENCE", subject.reference)
            .env("FLOE_MISSION", subject.mission.as_str())
            .env("FLOE_SBOM", subject.sbom)
            .env("FLOE_CHANGES", subject.changes)
            .env("FLOE_EVIDENCE", subject.evidence);
        let finished = process::run(command, limit, GRACE_TIMEOUT).await?;
        let (command, words) = (gate.clone(), last_words(&finished.ended.output));
        if finished.timed_out {
            return Err(GateError::Late { command, limit, words });
        }
        match finished.ended.exit {
            Some(exit) if exit.success() => {}
            // What a shell ends with where it finds no such program, or may not start it.
            Some(Exit::Code(126 | 127)) => return Err(GateError::Missing { command, words }),
            exit => {
                return Err(GateError::Refused {
                    command,
                    image: subject.reference.to_owned(),
                    exit: exit.unwrap_or(Exit::Signal(9)),
                    words,
                });
            }
        }
    }
    Ok(())
}

/// The end of what a command printed.
fn last_words(output: &str) -> String {
    let lines = output.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let lines = lines.collect::<Vec<_>>();
    let text = lines[lines.len().saturating_sub(MOST_LINES)..].join("\n");
    let skipped = text.chars().count().saturating_sub(MOST_WORDS);
    text.chars().skip(skipped).collect()
}

fn told(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(":\n{words}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Memory;

    async fn asked(commands: &[&str], limit: Duration) -> Result<(), GateError> {
        let directory = tempfile::tempdir().unwrap();
        let (sbom, changes) = (directory.path().join("sbom"), directory.path().join("changes"));
        std::fs::write(&sbom, "the bill").unwrap();
        let (id, mission) = (Digest::of(b"x"), "m".parse().unwrap());
        let subject = Subject {
            id: &id,
            reference: "floe/m:1",
            mission: &mission,
            sbom: &sbom,
            changes: &changes,
            evidence: &changes,
        };
        let commands = commands.iter().map(|command| (*command).to_owned()).collect::<Vec<_>>();
        pass(&commands, subject, limit, directory.path(), &Memory::default()).await
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_gate_sees_the_image_and_its_files() {
        let image = format!("test $FLOE_IMAGE = {}", Digest::of(b"x"));
        let rest = "test \"$FLOE_MISSION $FLOE_REFERENCE $(cat $FLOE_SBOM)\" = 'm floe/m:1 the bill'";
        asked(&[&image, rest, "test -n $FLOE_CHANGES && test -n $FLOE_EVIDENCE"], LONG)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_a_gate_refuses_is_refused_in_its_own_last_words() {
        let error = asked(&["true", "seq 1000; echo CVE-1 found >&2; exit 4", "touch never"], LONG)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        let text = error.to_string();
        assert!(
            text.contains("exit code 4") && text.ends_with("\n1000\nCVE-1 found"),
            "{text}"
        );
        assert!(text.lines().count() < 30, "{text}");
    }

    #[tokio::test]
    async fn a_gate_that_is_not_there_or_takes_too_long_refuses_nothing() {
        let missing = asked(&["no-such-scanner $FLOE_IMAGE"], LONG).await.unwrap_err();
        assert_eq!(missing.kind(), Kind::Invalid);
        assert!(missing.to_string().contains("not found"), "{missing}");
        let late = asked(&["echo updating; sleep 60"], Duration::from_millis(200))
            .await
            .unwrap_err();
        assert_eq!(late.kind(), Kind::Temporary);
        assert!(late.to_string().contains("updating"), "{late}");
    }
}
