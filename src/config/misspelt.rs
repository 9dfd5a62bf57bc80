//! Names that somebody nearly got right.

use super::declared::SETTINGS;

/// Names that nearly are a setting's, with that: a letter or two off, or in another case. `names` are those that `setup-env`
/// and the environment set.
pub fn misspelt<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, &'static str)> {
    /// Short names are near to too many others: `SESSION` is two letters off `MISSION`.
    const SHORTEST: usize = 6;
    const SHORT: usize = 8;
    let known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name);
    let near = |name: &'a str| {
        let upper = name.to_ascii_uppercase();
        let mut settings = SETTINGS.iter().map(|setting| setting.name);
        let meant = settings.find(|setting| {
            // Programs read these in both cases.
            let both = setting.ends_with("_PROXY");
            let near = if setting.len() > SHORT { 2 } else { 1 };
            setting.len() >= SHORTEST && !both && strsim::levenshtein(&upper, setting) <= near
        })?;
        Some((name, meant))
    };
    names.into_iter().filter(|name| !known(name)).filter_map(near).collect()
}

/// The names that the original framework's `setup-env` sets, with what stands for each here.
const ORIGINAL: &[(&str, &str)] = &[
    ("DEPLOYMENT_NAME", "MISSION"),
    ("OWNER", "BASE_IMAGE"),
    ("BASE_NOTEBOOK", "BASE_IMAGE"),
    ("ROOT_IMAGE", "BASE_IMAGE"),
    ("GITHUB_REG", "REGISTRY"),
    ("GITHUB_ORG", "REGISTRY"),
    ("GITHUB_REPO", "REGISTRY"),
    ("SP_HOME", "HOME_MOUNT"),
    ("NBW_PANTRY", "DATA_MOUNTS"),
    ("IMAGE_RUN_PARS", "HOME_MOUNT and DATA_MOUNTS"),
    ("FREEZE", "USE_FROZEN"),
];

/// Names of the original framework among `names`, which `setup-env` sets, with what stands for each here. In the environment
/// they may be anybody's.
pub fn original<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, &'static str)> {
    let known = |name: &'a str| {
        let (_, here) = ORIGINAL.iter().find(|(original, _)| *original == name)?;
        Some((name, *here))
    };
    names.into_iter().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_the_original_framework_is_a_setting_and_what_stands_for_it_is_one() {
        for (name, here) in ORIGINAL {
            assert!(!SETTINGS.iter().any(|setting| setting.name == *name), "{name}");
            for here in here.split(" and ") {
                assert!(SETTINGS.iter().any(|setting| setting.name == here), "{here}");
            }
        }
        assert_eq!(original(["SP_HOME", "HOME"]), [("SP_HOME", "HOME_MOUNT")]);
    }
}
