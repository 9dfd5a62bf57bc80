//! Why a registry refuses, in its own words, and what they tell.

use reqwest::StatusCode;
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
