//! What a package says that it needs, taken apart.

use std::str::FromStr as _;

use pep508_rs::{ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, MarkerTree, VerbatimUrl};

/// A package that is needed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requirement {
    /// The name as it is written.
    pub name: String,
    /// The extras that are asked for: `x[y]`.
    pub extras: Vec<String>,
    /// What it says of the version; empty where it says nothing.
    pub constraint: String,
    /// When it holds: what follows a semicolon.
    pub marker: Option<String>,
}

impl Requirement {
    /// A requirement of a pip package: `x[y]>=1 ; python_version < '3.12'`.
    pub fn of_pip(text: &str) -> Option<Self> {
        let (text, marker) = match text.split_once(" ;").or_else(|| text.split_once(';')) {
            Some((text, marker)) => (text, Some(marker.trim().to_owned())),
            None => (text, None),
        };
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
        let (name, rest) = text.trim_start().split_at(end.unwrap_or(text.len()));
        if name.is_empty() {
            return None;
        }
        let (extras, rest) = match rest
            .trim_start()
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((extras, rest)) => (extras, rest),
            None => ("", rest),
        };
        let extras = extras.split(',').map(str::trim).filter(|extra| !extra.is_empty());
        let constraint = rest.trim().trim_start_matches('(').trim_end_matches(')');
        let options = constraint.find(" --").unwrap_or(constraint.len());
        Some(Self {
            name: name.to_owned(),
            extras: extras.map(str::to_owned).collect(),
            constraint: constraint[..options].trim().to_owned(),
            marker,
        })
    }

    /// A dependency of a conda package: `numpy >=1.2,<2 py312_*`.
    pub fn of_conda(text: &str) -> Option<Self> {
        let (name, constraint) = text.split_once(' ').unwrap_or((text, ""));
        // What the system offers is no package.
        let is_package = !name.is_empty() && !name.starts_with("__");
        is_package.then(|| Self {
            name: name.to_lowercase(),
            extras: Vec::new(),
            constraint: constraint.trim().trim_end_matches(" *").to_owned(),
            marker: None,
        })
    }

    /// Whether it holds on Linux with this python, given the extras that are asked for. What cannot be told holds.
    pub fn holds(&self, machine: Option<&MarkerEnvironment>, extras: &[ExtraName]) -> bool {
        let (Some(marker), Some(machine)) = (&self.marker, machine) else {
            return true;
        };
        MarkerTree::parse_str::<VerbatimUrl>(marker).map_or(true, |marker| marker.evaluate(machine, extras))
    }
}

/// The names of extras that are well formed.
pub(super) fn extras<'a>(names: impl Iterator<Item = &'a String>) -> Vec<ExtraName> {
    names.filter_map(|name| ExtraName::from_str(name).ok()).collect()
}

/// What markers see in an image with this python.
pub(super) fn machine(python: &str) -> Option<MarkerEnvironment> {
    let mut numbers = python.split('.');
    let short = format!("{}.{}", numbers.next()?, numbers.next()?);
    let machine = MarkerEnvironmentBuilder {
        implementation_name: "cpython",
        implementation_version: python,
        os_name: "posix",
        platform_machine: std::env::consts::ARCH,
        platform_python_implementation: "CPython",
        platform_release: "",
        platform_system: "Linux",
        platform_version: "",
        python_full_version: python,
        python_version: &short,
        sys_platform: "linux",
    };
    MarkerEnvironment::try_from(machine).ok()
}
