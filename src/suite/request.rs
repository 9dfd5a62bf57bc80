//! What a host asks of the agent, which is the first process of a container: what to run there, and how.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::options::RunOptions;
use super::selection::Selection;
use crate::fault::{Explained, Kind};
use crate::image::variable::{self, TESTS};
use crate::reference::TestId;

/// The longest value that a variable gets: Linux refuses 128 KiB.
const LONGEST: usize = 96 * 1024;

/// What a run is asked for. What it does not say, the agent decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// Which tests to run.
    pub selection: Selection,
    /// How to run them.
    pub options: RunOptions,
    /// What earlier runs tell of tests.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub known: BTreeMap<TestId, Expected>,
    /// What the container is for.
    pub duty: Duty,
    /// The image's own entrypoint, which everything but the agent runs behind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// What tests must not change below, since others run with it: absolute paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<PathBuf>,
}

/// What a container is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Duty {
    /// To run the tests of the environments.
    #[default]
    Suite,
    /// To run the mission's own script, which is this test itself and asks for others.
    Script(TestId),
    /// To run the image's server, for these tests.
    Server {
        /// The tests.
        tests: Vec<TestId>,
        /// How many seconds the server may take until it answers.
        start_timeout: u64,
        /// The command that starts the server.
        command: Vec<String>,
    },
}

/// What a test is expected to take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Wall-clock seconds.
    #[serde(rename = "s")]
    pub seconds: f64,
    /// Resident memory in bytes, where it is known.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// A request that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is of another floe's making.
    #[error("{TESTS} holds no request that this floe reads: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// There is none.
    #[error("{TESTS} is not set: what to run is what a host asks for")]
    Missing,
}

impl Explained for RequestError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn hint(&self) -> Option<String> {
        let unreadable = matches!(self, Self::Unreadable(_));
        unreadable.then(|| "the image's floe is another than the host's; build the image again".to_owned())
    }
}

impl Request {
    /// The variables that carry the request.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<String, String> {
        // A request holds strings, numbers and maps with string keys only: serialization cannot fail.
        let text = serde_json::to_string(self).unwrap_or_default();
        let mut rest = text.as_str();
        let mut variables = BTreeMap::new();
        for number in 1.. {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(LONGEST));
            variables.insert(variable::tests(number), piece.to_owned());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        variables
    }

    /// The request that variables carry; `None` if there is none.
    pub fn of_variables(read: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, RequestError> {
        let text = (1..)
            .map_while(|number| read(&variable::tests(number)))
            .collect::<String>();
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&text)?))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::quantity::MemoryLimit;

    fn sent(request: &Request) -> Request {
        let variables = request.variables();
        assert!(variables.keys().all(|name| variable::is_between_host_and_agent(name)));
        assert!(variables.values().all(|value| value.len() <= LONGEST));
        Request::of_variables(|name| variables.get(name).cloned())
            .unwrap()
            .unwrap()
    }

    #[test]
    fn a_request_arrives_as_it_was_sent_however_long_it_is() {
        let known = (0..5000).map(|number| {
            let id = TestId::notebook("environment", &format!("a/notebook/é with a name/{number}.ipynb"));
            let seconds = f64::from(number);
            (
                id,
                Expected {
                    seconds,
                    memory: Some(1 << 30),
                },
            )
        });
        let request = Request {
            selection: Selection::of_filters(vec!["numpy".to_owned()]),
            options: RunOptions {
                jobs: NonZeroUsize::new(4),
                memory: Some(MemoryLimit::Percent(80)),
                fail_fast: true,
                retries: Some(0),
                slow: Some("30s".parse().unwrap()),
                run_timeout: Some("1h".parse().unwrap()),
                ..RunOptions::default()
            },
            known: known.collect(),
            duty: Duty::Server {
                tests: vec![TestId::server("m", "api")],
                start_timeout: 120,
                command: vec!["start.sh".to_owned()],
            },
            entrypoint: vec!["tini".to_owned(), "--".to_owned()],
            fixed: vec!["/opt/conda".into()],
        };
        assert!(request.variables().len() > 1);
        assert_eq!(sent(&request), request);
        assert_eq!(sent(&Request::default()), Request::default());
    }

    #[test]
    fn what_is_no_request_is_told_from_none() {
        assert_eq!(Request::of_variables(|_| None).unwrap(), None);
        let error = Request::of_variables(|name| (name == TESTS).then(|| r#"{"jbos": 1}"#.to_owned()));
        assert!(error.unwrap_err().to_string().contains("jbos"));
    }
}
