//! What was asked of an environment: `conda-meta/history`, which conda and mamba read and write, too.
//!
//! Beside their lines, floe's changes hold the file and line of each dependency, and the channels, as comments of a form
//! that the others pass over. It holds no times, so that the same steps give the same file.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rattler_conda_types::RepoDataRecord;
use serde::{Deserialize, Serialize};

use super::{CondaError, channels};
use crate::spec::env::CondaSpec;

/// Begins floe's own comments.
const MARK: &str = "# floe ";

/// The first line of each change. A time is expected there; all changes have the same.
const HEAD: &str = "==> 1980-01-01 00:00:00 <==";

/// What was asked for in all changes so far.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The dependencies. Those of floe's lists hold together; what conda was asked for replaces what was asked before.
    pub(super) specs: Vec<CondaSpec>,
    /// The channels that floe took packages from.
    pub(super) channels: Vec<String>,
}

/// A line of floe's.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Asked {
        spec: String,
        file: PathBuf,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
    },
    Channels {
        channels: Vec<String>,
    },
}

/// Reads the history of the environment at `prefix`.
pub(super) fn read(prefix: &Path) -> Result<History, CondaError> {
    let path = file(prefix);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(parse(&text, &path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(History::default()),
        Err(source) => Err(CondaError::Io { path, source }),
    }
}

fn parse(text: &str, path: &Path) -> History {
    let mut history = History::default();
    for change in text.split("\n==>") {
        let own = change.lines().any(|line| line.starts_with(MARK));
        for line in change.lines().skip(1) {
            if let Some(json) = line.strip_prefix(MARK) {
                match serde_json::from_str(json) {
                    Ok(Line::Asked { spec, file, line }) => history.specs.push(CondaSpec { text: spec, file, line }),
                    Ok(Line::Channels { channels }) => history.channels = channels,
                    // A later floe may note more.
                    Err(_) => {}
                }
            } else if let (false, Some((kind, specs))) = (own, conda_specs(line)) {
                for text in specs {
                    let spec = CondaSpec {
                        text,
                        file: path.to_owned(),
                        line: None,
                    };
                    let name = spec.name();
                    history.specs.retain(|earlier| earlier.name() != name);
                    if kind != "remove" {
                        history.specs.push(spec);
                    }
                }
            }
        }
    }
    history
}

/// `# update specs: ['numpy', "python=3.11"]`: the kind of change, and the dependencies.
fn conda_specs(line: &str) -> Option<(&str, Vec<String>)> {
    let (kind, list) = line.strip_prefix('#')?.trim().split_once(" specs:")?;
    let list = list.trim();
    let Some(list) = list.strip_prefix('[') else {
        // As conda wrote it long ago.
        let specs = list.split(',').map(|spec| spec.trim().to_owned());
        return Some((kind, specs.filter(|spec| !spec.is_empty()).collect()));
    };
    let mut specs = Vec::new();
    let mut rest = list;
    while let Some(start) = rest.find(['\'', '"']) {
        let (quote, after) = rest[start..].split_at(1);
        let end = after.find(quote)?;
        specs.push(after[..end].to_owned());
        rest = &after[end + 1..];
    }
    Some((kind, specs))
}

/// A change to be noted.
pub(super) struct Entry<'a> {
    /// The command that made it.
    pub(super) command: &'a str,
    /// The channels in their order.
    pub(super) channels: &'a [String],
    /// The dependencies that were asked for by it.
    pub(super) asked: &'a [CondaSpec],
    /// The packages before.
    pub(super) before: &'a [RepoDataRecord],
    /// The packages after.
    pub(super) after: &'a [RepoDataRecord],
}

/// Adds a change to the history of the environment at `prefix`.
pub(super) fn add(prefix: &Path, entry: &Entry) -> Result<(), CondaError> {
    let path = file(prefix);
    let failed = |source| CondaError::Io {
        path: path.clone(),
        source,
    };
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(failed(source)),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&written(entry));
    fs::write(&path, text).map_err(failed)
}

/// Begins the history of the environment at `prefix` with a change, whatever it says.
pub(super) fn begin(prefix: &Path, entry: &Entry) -> Result<(), CondaError> {
    let path = file(prefix);
    fs::write(&path, written(entry)).map_err(|source| CondaError::Io { path, source })
}

fn written(entry: &Entry) -> String {
    let distributions = |records: &[RepoDataRecord]| records.iter().map(distribution).collect::<BTreeSet<_>>();
    let (before, after) = (distributions(entry.before), distributions(entry.after));
    let mut text = format!("{HEAD}\n# cmd: {}\n", entry.command);
    let lines = entry.asked.iter().map(|spec| Line::Asked {
        spec: spec.text.clone(),
        file: std::path::absolute(&spec.file).unwrap_or_else(|_| spec.file.clone()),
        line: spec.line,
    });
    let channels = Line::Channels {
        channels: entry.channels.to_owned(),
    };
    for line in lines.chain([channels]) {
        // Both kinds hold nothing but text and numbers.
        if let Ok(json) = serde_json::to_string(&line) {
            let _ = writeln!(text, "{MARK}{json}");
        }
    }
    for gone in before.difference(&after) {
        let _ = writeln!(text, "-{gone}");
    }
    for new in after.difference(&before) {
        let _ = writeln!(text, "+{new}");
    }
    if !entry.asked.is_empty() {
        let specs = entry.asked.iter().map(|spec| {
            let quote = if spec.text.contains('\'') { '"' } else { '\'' };
            format!("{quote}{}{quote}", spec.text)
        });
        let _ = writeln!(text, "# update specs: [{}]", specs.collect::<Vec<_>>().join(", "));
    }
    text
}

/// `conda-forge/noarch::tzdata-2024a-h0c530f3_0`
fn distribution(record: &RepoDataRecord) -> String {
    let channel = record.channel.as_deref().and_then(|channel| channel.parse().ok());
    let channel = channel.map_or_else(
        || record.channel.clone().unwrap_or_default(),
        |url| channels::name(&url),
    );
    let package = &record.package_record;
    format!(
        "{channel}/{}::{}-{}-{}",
        package.subdir,
        package.name.as_normalized(),
        package.version,
        package.build
    )
}

fn file(prefix: &Path) -> PathBuf {
    prefix.join("conda-meta/history")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(history: &History) -> Vec<&str> {
        history.specs.iter().map(|spec| spec.text.as_str()).collect()
    }

    #[test]
    fn what_conda_was_asked_for_last_counts() {
        let text = "==> 2024-01-01 00:00:00 <==\n# cmd: conda create\n+conda-forge/linux-64::numpy-1.0-0\n\
                    # update specs: ['python=3.11', \"numpy[version='>=1']\"]\n\
                    ==> 2024-01-02 00:00:00 <==\n# update specs: ['numpy=2', 'scipy']\n\
                    ==> 2024-01-03 00:00:00 <==\n# remove specs: scipy\n";
        let history = parse(text, Path::new("history"));
        assert_eq!(texts(&history), ["python=3.11", "numpy=2"]);
    }

    #[test]
    fn what_floe_was_asked_for_holds_together_and_knows_its_place() {
        let asked = |text: &str, line| CondaSpec {
            text: text.to_owned(),
            file: PathBuf::from("/opt/environments/x/a.conda"),
            line: Some(line),
        };
        let entry = |asked| {
            written(&Entry {
                command: "env-update x a.conda",
                channels: &["conda-forge".to_owned()],
                asked,
                before: &[],
                after: &[],
            })
        };
        let text = entry(&[asked("numpy >=1", 1)]) + &entry(&[asked("numpy <2", 2)]);
        assert!(text.contains("# update specs: ['numpy <2']"), "{text}");
        let history = parse(&text, Path::new("history"));
        assert_eq!(history.specs, [asked("numpy >=1", 1), asked("numpy <2", 2)]);
        assert_eq!(history.channels, ["conda-forge"]);
    }
}
