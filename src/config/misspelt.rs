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
