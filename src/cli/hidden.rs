//! Which values nothing shows.
//!
//! Credentials in the settings' addresses, and what environment variables hold whose names say that it is a secret.
//! A value that is a file's path is none: the file holds the secret.

use std::path::Path;

use crate::address;
use crate::config::Settings;
use crate::event::redact::Hidden;

/// How the names of variables end that hold secrets.
const ENDINGS: [&str; 6] = ["TOKEN", "PASSWORD", "PASSWD", "SECRET", "API_KEY", "ACCESS_KEY"];

/// The hidden values of the settings and of the environment.
#[must_use]
pub fn of(settings: &Settings) -> Hidden {
    let site = &settings.site;
    let addresses = [&site.pip_index, &site.conda_mirror, &site.apt_mirror];
    let addresses = addresses.into_iter().flatten().chain(site.proxies.values());
    let addresses = addresses
        .chain(&site.conda_channels)
        .chain(&settings.secrets.repository);
    let credentials = addresses.flat_map(|address| address::credentials(address));
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        is_hidden(&name, &value).then_some(value)
    });
    let password = Some(settings.signing.password.clone());
    Hidden::new(credentials.chain(variables).chain(password))
}

/// What is shown of the value of a setting: nothing of a secret, and no credentials of an address.
#[must_use]
pub fn shown(name: &str, value: &str) -> String {
    if is_hidden(name, value) && !value.is_empty() {
        return "***".to_owned();
    }
    address::without_credentials(value)
}

fn is_hidden(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending)) && !Path::new(value).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_a_hidden_value_by_its_name_unless_it_names_a_file() {
        assert!(is_hidden("GITHUB_TOKEN", "ghp_0123456789"));
        assert!(is_hidden("db_password", "correct horse"));
        assert!(is_hidden("AWS_SECRET_ACCESS_KEY", "abcdefgh"));
        assert!(!is_hidden("KEYBOARD", "qwertyuiop"));
        assert!(!is_hidden("HOME_SECRET", "/"));
        assert!(!is_hidden("TOKENIZERS_PARALLELISM", "false"));
    }
}
