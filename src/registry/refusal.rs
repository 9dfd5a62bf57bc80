//! Why a registry refuses, in its own words, what they tell, and when it wants to be asked again.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use crate::fault::{Trouble, chain, words_of};

/// A registry's own words for why it refuses.
#[derive(Deserialize)]
struct Refusals {
    errors: Vec<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    code: String,
    #[serde(default)]
    message: String,
}

/// The words of an answer that is no success, and what they tell.
pub(super) fn told(status: StatusCode, body: &str) -> (String, Trouble) {
    let code = status.as_u16();
    match serde_json::from_str::<Refusals>(body) {
        Ok(Refusals { errors }) if !errors.is_empty() => {
            let words = errors.iter().map(|error| format!("{} {}", error.code, error.message));
            let words = short(&words.collect::<Vec<_>>().join("; "));
            let by_code = errors.iter().map(|error| refusal(&error.code)).max();
            let trouble = match Trouble::of_status(code) {
                Some(told @ (Trouble::Busy | Trouble::Broken | Trouble::Silent | Trouble::Unauthorized)) => told,
                // What is refused for several reasons needs what passes last.
                _ => by_code.unwrap_or(Trouble::Refusal),
            };
            (format!("{status}: {words}"), trouble)
        }
        _ => {
            let words = short(body);
            let words = if words.is_empty() {
                String::new()
            } else {
                format!(": {words}")
            };
            (format!("{status}{words}"), answered(code, body))
        }
    }
}

/// What an answer without a registry's own words tells.
fn answered(status: u16, body: &str) -> Trouble {
    let by_status = Trouble::of_status(status);
    match by_status {
        Some(Trouble::Busy | Trouble::Broken | Trouble::Silent | Trouble::Unauthorized) => by_status,
        _ => Trouble::of(body).filter(|told| *told == Trouble::Foreign).or(by_status),
    }
    .unwrap_or(Trouble::Refusal)
}

/// What a registry's own code tells.
fn refusal(code: &str) -> Trouble {
    match code.to_ascii_uppercase().as_str() {
        "TOOMANYREQUESTS" => Trouble::Busy,
        "UNAUTHORIZED" => Trouble::Unauthorized,
        "DENIED" => Trouble::Denied,
        "MANIFEST_UNKNOWN" | "NAME_UNKNOWN" | "BLOB_UNKNOWN" | "NOT_FOUND" => Trouble::Missing,
        _ => Trouble::Refusal,
    }
}

/// The words of a request that broke, and what they tell. Those at the bottom tell more than the address that was asked,
/// which may hold any word.
pub(super) fn broken(error: &reqwest::Error) -> (String, Trouble) {
    let innermost = chain(error).last().map(ToString::to_string).unwrap_or_default();
    let by_kind = || {
        if error.is_timeout() {
            Trouble::Silent
        } else {
            Trouble::Lost
        }
    };
    (words_of(error), Trouble::of(&innermost).unwrap_or_else(by_kind))
}

/// The beginning of an answer, in one line.
fn short(body: &str) -> String {
    let words = body.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(200).collect()
}

/// When a registry wants to be asked again: a number of seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(Timestamp::now())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_ask_again_is_read_as_seconds_or_as_a_date() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = Timestamp::now() + jiff::SignedDuration::from_secs(30);
        let soon = soon.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        assert!((28..=30).contains(&read(&soon).unwrap().as_secs()), "{soon}");
        assert_eq!(read("soon"), None);
    }
}
