//! What surrounds a process: its environment variables and its working directory.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cli::failure::{ExitCode, Failure};
use crate::image::variable;

/// What surrounds a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    // A map with such keys is no JSON.
    variables: Vec<(OsString, OsString)>,
    /// The working directory.
    pub directory: PathBuf,
}

impl Place {
    /// What surrounds this process.
    pub fn here() -> Result<Self, Failure> {
        let directory = std::env::current_dir().map_err(|error| {
            Failure::new(
                ExitCode::Internal,
                format!("the working directory cannot be read: {error}"),
            )
        })?;
        Ok(Self {
            variables: std::env::vars_os().collect(),
            directory,
        })
    }

    /// The value of a variable.
    pub fn value(&self, name: &str) -> Option<&OsStr> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str())
    }

    /// The value of a variable that is set to some text.
    pub fn setting(&self, name: &str) -> Option<String> {
        let value = self.value(name)?.to_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The variables that tests inherit. What host and agent say to each other concerns no test.
    pub fn of_tests(&self) -> BTreeMap<OsString, OsString> {
        let others = self.variables.iter().filter(|(name, _)| !is_between(name));
        others.cloned().collect()
    }

    /// This place without a variable.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// This place, with what `agent` was told by its host, and nothing else of that kind.
    pub fn as_told(&self, agent: &Self) -> Self {
        let told = agent.variables.iter().filter(|(name, _)| is_between(name));
        Self {
            variables: self.of_tests().into_iter().chain(told.cloned()).collect(),
            directory: self.directory.clone(),
        }
    }
}

fn is_between(name: &OsStr) -> bool {
    name.to_str().is_some_and(variable::is_between_host_and_agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &[(&str, &str)]) -> Place {
        Place {
            variables: variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            directory: "/home/user".into(),
        }
    }

    #[test]
    fn a_script_says_what_surrounds_its_tests_and_never_what_the_host_asked_for() {
        let agent = place(&[("HOME", "/root"), ("FLOE_TESTS", "{}"), ("FLOE_EVENTS", "key")]);
        let script = place(&[
            ("HOME", "/home/user"),
            ("FLOE_TESTS", "{\"selection\": 1}"),
            ("FLOE_AGENT", "x"),
        ]);
        let both = script.as_told(&agent);
        assert_eq!(both.setting("HOME").as_deref(), Some("/home/user"));
        assert_eq!(both.setting("FLOE_TESTS").as_deref(), Some("{}"));
        assert_eq!(both.setting("FLOE_EVENTS").as_deref(), Some("key"));
        assert_eq!(both.setting("FLOE_AGENT"), None);
        assert_eq!(both.of_tests().len(), 1);
    }

    #[test]
    fn a_place_arrives_as_it_was_sent_whatever_its_variables_hold() {
        use std::os::unix::ffi::OsStringExt as _;
        let mut place = place(&[("A", "b")]);
        place
            .variables
            .push(("B".into(), OsString::from_vec(vec![0xff, b'\n'])));
        let sent = serde_json::to_string(&place).unwrap();
        assert_eq!(serde_json::from_str::<Place>(&sent).unwrap(), place);
    }
}
