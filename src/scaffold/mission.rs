//! A mission from nothing: one environment with a package and its test.

use super::Scaffold;
use crate::reference::{EnvironmentName, MissionName};
use crate::repository;

const LIST: &str = "\
# What this environment holds beside what all environments share: a requirement on each line.
tabulate
";

const IMPORTS: &str = "\
# The modules that must be importable: one on each line.
tabulate
";

/// The mission's own test: it runs those of all environments.
pub(super) const TEST: &str = "\
#! /bin/sh
# The tests of this image. Those of the environments are in their tests/ directories.
exec /opt/common-scripts/test-environments
";

/// A mission with an environment.
#[must_use]
pub fn mission(name: &MissionName, environment: &EnvironmentName) -> Scaffold {
    let mut scaffold = Scaffold {
        missions: vec![name.clone()],
        ..Scaffold::default()
    };
    let environments = repository::environments(name);
    let directory = environments.join(environment.as_str());
    scaffold.text(directory.join(format!("{environment}.pip")), LIST);
    scaffold.text(directory.join("tests/imports"), IMPORTS);
    scaffold.program(environments.join("test"), TEST);
    scaffold
}
