//! Why sops did not do what it was asked to, told by its exit codes and the fixed part of its words.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

use crate::fault::{Explained, Kind, Place, TRY_AGAIN, Trouble};
use crate::private::PrivateError;

/// Why sops did not do what it was asked to. No variant holds anything of what is encrypted.
#[derive(Debug, thiserror::Error)]
pub enum SopsError {
    /// There is no program of that name.
    #[error("sops is not on PATH")]
    Missing,
    /// The program does not start, or its output cannot be read.
    #[error("sops: {source}")]
    Start {
        /// Why.
        source: io::Error,
    },
    /// There is no such file.
    #[error("there is no {path}")]
    NoFile {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is in plain text.
    #[error("{path} is not encrypted")]
    Plain {
        /// The file.
        path: PathBuf,
    },
    /// The file holds the marks of a merge that somebody has to finish.
    #[error("{path}:{line}: a merge has left two versions here")]
    Conflict {
        /// The file.
        path: PathBuf,
        /// The line of the first mark, counted from 1.
        line: usize,
    },
    /// The file looks encrypted, and cannot be read.
    #[error("{}: this is not what sops wrote", Place::of(.path, *.line))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line where reading it ended, counted from 1.
        line: Option<usize>,
    },
    /// A value, a name or the checksum has been changed without sops.
    #[error("{path} was changed without sops: {what}")]
    Tampered {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// No key that is here decrypts the file.
    #[error("{path} cannot be decrypted: {why}; it is encrypted for {}", listed(.recipients))]
    Locked {
        /// The file.
        path: PathBuf,
        /// What is wrong with the keys that are here.
        why: KeyTrouble,
        /// Whom it is encrypted for: age recipients, or the names of other keys.
        recipients: Vec<String>,
    },
    /// A service that holds the key does not answer.
    #[error("{path} cannot be decrypted: the service that holds its key does not answer")]
    Unavailable {
        /// The file.
        path: PathBuf,
    },
    /// There is no `.sops.yaml`, or it has no rules.
    #[error("no .sops.yaml says for whom {path} is to be encrypted")]
    NoRules {
        /// The new file.
        path: PathBuf,
    },
    /// No rule of `.sops.yaml` is for the file.
    #[error("no rule of .sops.yaml is for {path}")]
    NoRule {
        /// The new file.
        path: PathBuf,
    },
    /// `.sops.yaml` cannot be read.
    #[error(".sops.yaml{}: sops cannot read the rules for {path}", colon(*.line))]
    BadRules {
        /// The file that they were wanted for.
        path: PathBuf,
        /// The line, counted from 1.
        line: Option<usize>,
    },
    /// The new text is no YAML (or whatever the file is) that sops can encrypt.
    #[error("the new text of {path} is not well formed{}", at(*.line))]
    BadText {
        /// The file that it is for.
        path: PathBuf,
        /// The line of the new text, counted from 1.
        line: Option<usize>,
    },
    /// The new text is the old one.
    #[error("nothing has changed")]
    Unchanged,
    /// Something else.
    #[error("sops failed for {path} ({})", ended(*.code))]
    Failed {
        /// The file.
        path: PathBuf,
        /// Its exit code; `None` if a signal ended it.
        code: Option<i32>,
    },
    /// There is no private directory, or it cannot be written.
    #[error(transparent)]
    Private(#[from] PrivateError),
}

/// What is wrong with the keys that are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyTrouble {
    /// There are none.
    Absent,
    /// The file that should hold them cannot be read, or holds something else.
    Unreadable,
    /// They are others.
    NotAmong,
}

impl fmt::Display for KeyTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there is no key here",
            Self::Unreadable => "the file of keys is missing or holds something else",
            Self::NotAmong => "the keys here are not among those that it is encrypted for",
        })
    }
}

impl Explained for SopsError {
    fn kind(&self) -> Kind {
        match self {
            Self::Private(error) => error.kind(),
            Self::Missing
            | Self::NoFile { .. }
            | Self::Conflict { .. }
            | Self::Damaged { .. }
            | Self::Tampered { .. }
            | Self::NoRules { .. }
            | Self::NoRule { .. }
            | Self::BadRules { .. }
            | Self::BadText { .. } => Kind::Invalid,
            Self::Plain { .. } | Self::Locked { .. } => Kind::Refused,
            Self::Unavailable { .. } => Kind::Temporary,
            Self::Unchanged => Kind::Nothing,
            Self::Start { .. } | Self::File { .. } | Self::Failed { .. } => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Private(error) => return error.hint(),
            Self::Missing => "install sops, version 3.9 or later, and see that it is on PATH".to_owned(),
            Self::NoFile { .. } => {
                "`floe secrets clone` brings the secrets here; `floe secrets edit` begins a new file".to_owned()
            }
            Self::Plain { path } => format!(
                "encrypt it with `sops encrypt -i {}`; if it was ever pushed, change every secret in it",
                path.display()
            ),
            Self::Conflict { path, .. } => format!(
                "`git status` says how to take one version of {0} whole; finish the merge with that, and make the other \
                 change again with `floe secrets edit`",
                path.display()
            ),
            Self::Damaged { path, .. } | Self::Tampered { path, .. } => format!(
                "`git restore {}` brings back the last commit's version; make the change with `floe secrets edit`",
                path.display()
            ),
            Self::Locked { path, .. } => format!(
                "put the key of one of them into ~/.config/sops/age/keys.txt, or name its file by SOPS_AGE_KEY_FILE; without \
                 one, ask somebody who has it to add yours to .sops.yaml and to run `sops updatekeys {}`",
                path.display()
            ),
            Self::Unavailable { .. } => TRY_AGAIN.to_owned(),
            Self::NoRules { .. } => {
                "write a .sops.yaml at the root of the secrets' repository, with `creation_rules:` and below it \
                 `- age: <recipients>`; `age-keygen` makes a key and prints its recipient"
                    .to_owned()
            }
            Self::NoRule { .. } => "add a rule whose path_regex fits it, or one without a path_regex".to_owned(),
            Self::BadText { .. } => {
                "the file is as it was; secrets are a mapping of names to values, and none is called \"sops\""
                    .to_owned()
            }
            Self::Failed { path, .. } => format!("`sops decrypt {} >/dev/null` says more", path.display()),
            Self::BadRules { .. } | Self::Unchanged | Self::Start { .. } | Self::File { .. } => return None,
        })
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Conflict { path, line } => Some(Place::of(path, Some(*line))),
            Self::Damaged { path, line } => Some(Place::of(path, *line)),
            Self::Plain { path } | Self::Tampered { path, .. } => Some(Place::of(path, None)),
            _ => None,
        }
    }
}

/// What sops was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Decrypt a file.
    Decrypt,
    /// Encrypt a new file.
    Encrypt,
    /// Encrypt a new text of a file.
    Edit,
}

/// What a call that ended with `code` and these words failed of.
pub(super) fn failure(call: Call, path: &Path, code: Option<i32>, words: &str) -> SopsError {
    // The exit codes of sops.
    const CANNOT_READ: i32 = 2;
    const TREE: i32 = 25;
    const MAC: i32 = 51;
    const NO_MAC: i32 = 52;
    const EMPTY: i32 = 92;
    const NO_KEY: i32 = 128;
    const UNMODIFIED: i32 = 200;
    const NO_EDITOR: i32 = 201;
    const ENCRYPTED: i32 = 203;
    let path = path.to_owned();
    let says = |part: &str| words.contains(part);
    match (call, code) {
        (_, Some(NO_KEY)) => locked(path, words),
        (Call::Edit, Some(UNMODIFIED)) => SopsError::Unchanged,
        (_, Some(MAC | NO_MAC)) => SopsError::Tampered {
            path,
            what: "its checksum does not fit",
        },
        (_, Some(TREE)) => SopsError::Tampered {
            path,
            what: "one of its values was not encrypted by it, or not under that name",
        },
        // The editor that is called again, since the text is not well formed, fails.
        (Call::Edit, Some(NO_EDITOR)) if says("Could not load tree") => SopsError::BadText {
            path,
            line: line(words),
        },
        (Call::Encrypt, Some(CANNOT_READ | EMPTY | ENCRYPTED)) => SopsError::BadText {
            path,
            line: line(words),
        },
        (Call::Encrypt, Some(1)) if says("config file not found") || says("no creation rules") => {
            SopsError::NoRules { path }
        }
        (Call::Encrypt, Some(1)) if says("no matching creation rules") => SopsError::NoRule { path },
        (_, Some(1)) if says("loading config") || says("config file") => SopsError::BadRules {
            path,
            line: line(words),
        },
        (Call::Decrypt | Call::Edit, Some(1)) if says("metadata not found") => SopsError::Plain { path },
        (Call::Decrypt | Call::Edit, Some(1)) if says("unmarshalling") => SopsError::Damaged {
            path,
            line: line(words),
        },
        _ => SopsError::Failed { path, code },
    }
}

fn locked(path: PathBuf, words: &str) -> SopsError {
    let recipients = words
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(": FAILED"));
    let recipients = recipients.map(str::to_owned).collect::<Vec<_>>();
    // sops breaks its lines to a width.
    let words = words.split(['\n', '|', ' ']).filter(|word| !word.is_empty());
    let words = words.collect::<Vec<_>>().join(" ");
    let why = if words.contains("did not match any of the recipients") {
        KeyTrouble::NotAmong
    } else if words.contains("Errors while loading age identities") {
        KeyTrouble::Unreadable
    } else if Trouble::of(&words).is_some_and(Trouble::may_pass) {
        return SopsError::Unavailable { path };
    } else {
        KeyTrouble::Absent
    };
    SopsError::Locked { path, why, recipients }
}

/// The line that the words name, which is all that is taken from them: they may quote what stands there.
fn line(words: &str) -> Option<usize> {
    let (_, rest) = words.split_once("line ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn listed(recipients: &[String]) -> String {
    const MOST: usize = 3;
    let mut text = recipients
        .iter()
        .take(MOST)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if recipients.len() > MOST {
        let _ = write!(text, " and {} more", recipients.len() - MOST);
    }
    if text.is_empty() { "others".to_owned() } else { text }
}

fn colon(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(" at line {line}")).unwrap_or_default()
}

fn ended(code: Option<i32>) -> String {
    code.map_or("killed".to_owned(), |code| format!("exit code {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_repeats_what_sops_quotes() {
        let words =
            "Error decrypting tree: Could not decrypt value: Input string hunter2 does not match sops' data format";
        for code in [Some(25), Some(1), Some(99), None] {
            let error = failure(Call::Decrypt, Path::new("s.yaml"), code, words);
            assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("hunter2"));
        }
        let words = "Error unmarshalling file: yaml: unmarshal errors:\n  line 7: cannot unmarshal !!str `hunter2`";
        let error = failure(Call::Encrypt, Path::new("s.yaml"), Some(2), words);
        assert_eq!(error.to_string(), "the new text of s.yaml is not well formed at line 7");
    }

    #[test]
    fn a_key_service_that_cannot_be_reached_is_temporary() {
        let words = "Group 0: FAILED\n  arn:aws:kms:x: FAILED\n    - | dial tcp: lookup kms.example on 10.0.0.1:53: no such\n      | host";
        let error = failure(Call::Decrypt, Path::new("s.yaml"), Some(128), words);
        assert_eq!(error.kind(), Kind::Temporary);
    }
}
