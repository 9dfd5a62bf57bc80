//! The settings before they are parsed: what sets each of them.

use std::collections::BTreeMap;

use super::Origin;
use super::declared::{SETTINGS, Setting};
use super::setup_env::Assignment;

/// A setting as it stands before it is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced {
    /// Its name.
    pub name: &'static str,
    /// Its value where nothing sets it.
    pub default: &'static str,
    /// Its value.
    pub value: String,
    /// Where that comes from.
    pub origin: Origin,
}

/// Every setting as it stands, in the order of `setup-env.template`. The arguments are those of [`super::resolve`].
pub fn sourced(
    flags: &BTreeMap<&'static str, String>,
    environment: impl Fn(&str) -> Option<String>,
    file: &BTreeMap<String, Assignment>,
) -> Vec<Sourced> {
    let one = |setting: &Setting| {
        let (value, origin) = value(setting, flags, &environment, file);
        Sourced {
            name: setting.name,
            default: setting.default,
            value,
            origin,
        }
    };
    SETTINGS.iter().map(one).collect()
}

fn value(
    setting: &Setting,
    flags: &BTreeMap<&'static str, String>,
    environment: &impl Fn(&str) -> Option<String>,
    file: &BTreeMap<String, Assignment>,
) -> (String, Origin) {
    if let Some(text) = flags.get(setting.name) {
        (text.clone(), Origin::Flag)
    } else if let Some(text) = environment(setting.name) {
        (text, Origin::Environment)
    } else if let Some(assignment) = file.get(setting.name) {
        let origin = Origin::SetupEnv {
            path: assignment.path.clone(),
            line: assignment.line,
        };
        (assignment.value.clone(), origin)
    } else {
        (setting.default.to_owned(), Origin::Default)
    }
}
