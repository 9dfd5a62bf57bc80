//! Addresses as people write them, and the credentials that they may hold.
//!
//! Settings hold addresses with and without a scheme, one or several in a row, well formed or not. Whatever an error or a
//! log shows of them goes through here.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;

/// What stands in the place of credentials.
const MASK: &str = "***";

/// The text that a percent-encoded one stands for.
#[must_use]
pub fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The address without user and password.
#[must_use]
pub fn without_user(mut url: Url) -> Url {
    // These fail only for addresses that have no host, and so no user either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// What the addresses in `text` hold of credentials, as it is written and as it is meant: each password, or the user where
/// there is no password, who may be a token.
#[must_use]
pub fn credentials(text: &str) -> Vec<String> {
    let found = words(text).filter_map(|word| Some(user_info(word)?.1));
    let values = found.map(|user| match user.split_once(':') {
        Some((_, password)) if !password.is_empty() => password,
        _ => user.trim_end_matches(':'),
    });
    values
        .filter(|value| !value.is_empty())
        .flat_map(|value| [value.to_owned(), decoded(value)])
        .collect()
}

/// The text with `***` for the user and password of each address in it.
#[must_use]
pub fn without_credentials(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find(|c: char| !is_separator(c)).unwrap_or(rest.len());
        let (between, after) = rest.split_at(start);
        let end = after.find(is_separator).unwrap_or(after.len());
        let (word, after) = after.split_at(end);
        shown.push_str(between);
        shown.push_str(&masked(word));
        rest = after;
    }
    shown
}

fn masked(word: &str) -> Cow<'_, str> {
    match user_info(word) {
        Some((before, _, after)) => format!("{before}{MASK}@{after}").into(),
        None => word.into(),
    }
}

/// What stands before the user of an address, the user with the password, and what stands behind the `@`.
///
/// A word without a scheme is an address with credentials where a password stands before the `@`: `git@host:path` and
/// `name@1.0` are none.
fn user_info(word: &str) -> Option<(&str, &str, &str)> {
    let (start, has_scheme) = match word.find("://") {
        Some(at) => (at + "://".len(), true),
        None => (0, false),
    };
    let (before, rest) = word.split_at(start);
    // A password may hold what ends an authority, where nobody encoded it: then the last `@` of all counts.
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = rest[..end].rfind('@').or_else(|| {
        let unencoded = rest[..end].contains(':') && !rest[..end].starts_with('[');
        rest.rfind('@').filter(|_| unencoded && !is_port(&rest[..end]))
    })?;
    let (user, after) = (&rest[..at], &rest[at + 1..]);
    (!user.is_empty() && (has_scheme || user.contains(':'))).then_some((before, user, after))
}

/// Whether an authority ends in a port, so that what follows it is a path.
fn is_port(authority: &str) -> bool {
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_separator).filter(|word| !word.is_empty())
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '"' | '\'' | '`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credentials_of_an_address_are_found_as_written_and_as_meant() {
        assert_eq!(credentials("https://me:p%40ss@host/simple"), ["p%40ss", "p@ss"]);
        assert_eq!(credentials("https://token123@host"), ["token123", "token123"]);
        assert_eq!(credentials("me:secret@host:8080/simple"), ["secret", "secret"]);
        assert_eq!(
            credentials("a https://x:one@h/c, y:two@h/d"),
            ["one", "one", "two", "two"]
        );
        for none in [
            "https://host/a@b",
            "conda-forge",
            "git@host:a/b",
            "https://host:8080/a@b",
            "numpy@1.0",
        ] {
            assert_eq!(credentials(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn no_error_shows_the_credentials_of_an_address_well_formed_or_not() {
        for (written, shown) in [
            ("https://me:secret@host/simple", "https://***@host/simple"),
            ("me:secret@host/simple", "***@host/simple"),
            ("ftp://me:secret@host", "ftp://***@host"),
            ("https://me:sec/ret@host/simple", "https://***@host/simple"),
            ("https://me:secret@host:port/x", "https://***@host:port/x"),
            ("c1 https://t0ken@host/c2, x:y@h", "c1 https://***@host/c2, ***@h"),
            ("https://host:8080/a@b", "https://host:8080/a@b"),
            ("name@1.0", "name@1.0"),
        ] {
            assert_eq!(without_credentials(written), shown);
        }
    }
}
