//! Which values nothing shows.
//!
//! Credentials in the settings' addresses, and what environment variables hold whose names say that it is a secret.
//! A value that is a file's path is none: the file holds the secret.

use std::path::Path;

use crate::config::Settings;
use crate::event::redact::Hidden;

/// How the names of variables end that hold secrets.
const ENDINGS: [&str; 6] = ["TOKEN", "PASSWORD", "PASSWD", "SECRET", "API_KEY", "ACCESS_KEY"];

/// The hidden values of the settings and of the environment.
#[must_use]
pub fn of(settings: &Settings) -> Hidden {
    let site = &settings.site;
    let addresses = [
        &site.pip_index,
        &site.conda_mirror,
        &site.apt_mirror,
        &settings.registry,
    ];
    let addresses = addresses.into_iter().flatten().chain(site.proxies.values());
    let addresses = addresses.chain(&site.conda_channels);
    let credentials = addresses.flat_map(|address| credentials(address));
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        is_hidden(&name, &value).then_some(value)
    });
    Hidden::new(credentials.chain(variables))
}

fn is_hidden(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending)) && !Path::new(value).exists()
}

/// What an address holds of credentials: the password, as it is written and as it is meant; without one the user, who
/// may be a token.
fn credentials(address: &str) -> Vec<String> {
    let Some((_, rest)) = address.split_once("://") else {
        return Vec::new();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else {
        return Vec::new();
    };
    let value = match user.split_once(':') {
        Some((_, password)) if !password.is_empty() => password,
        _ => user.trim_end_matches(':'),
    };
    vec![value.to_owned(), decoded(value)]
}

/// The text that a percent-encoded one stands for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| byte == b'%');
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credentials_of_an_address_are_found_as_written_and_as_meant() {
        assert_eq!(credentials("https://me:p%40ss@host/simple"), ["p%40ss", "p@ss"]);
        assert_eq!(credentials("https://token123@host"), ["token123", "token123"]);
        assert_eq!(credentials("https://host/a@b"), [""; 0]);
        assert_eq!(credentials("conda-forge"), [""; 0]);
    }

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
