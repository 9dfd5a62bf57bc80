//! What a failed step has printed: whether another attempt may succeed, and which trouble it met.

use super::Trouble;
use super::words::WORDS;
use crate::fault::is_temporary_status;

impl Trouble {
    /// What may be gone at the next attempt, of an error message or the last lines that a failed step printed; `None` where
    /// they name something lasting, or nothing that is known.
    ///
    /// What names a lasting cause (an unsatisfiable specification, a missing package, a full disk) decides against what names
    /// a passing one, since tools also report the attempts that they mended themselves. The last line that tells a passing
    /// one counts: those before are of attempts that were made again.
    #[must_use]
    pub fn passing(words: &str) -> Option<Self> {
        let words = words.to_lowercase();
        if is_lasting(&words) {
            return None;
        }
        words.lines().rev().find_map(|line| {
            let told = WORDS.iter().find(|row| row.trouble.may_pass() && row.is_told_in(line));
            told.map(|row| row.trouble)
                .or_else(|| passing_status(line).and_then(Self::of_status))
        })
    }
}

/// Whether another attempt will meet the same fault.
fn is_lasting(words: &str) -> bool {
    LASTING.iter().any(|word| words.contains(word))
        || WORDS.iter().any(|row| !row.trouble.may_pass() && row.is_told_in(words))
        || lacks_a_known_version(words)
}

/// Words of definitions that nothing satisfies, and of what they name and nobody has.
const LASTING: &[&str] = &[
    "dockerfile parse error",
    "unknown instruction",
    "unsatisfiable",
    "nothing provides",
    "packagesnotfounderror",
    "no solution found when resolving",
    "cannot solve the request",
    "resolutionimpossible",
    "unable to locate package",
    "404 not found",
    "404  not found",
    "http error 404",
    "error: 404",
    "x509:",
    "error: command 'gcc' failed",
    "error: command 'g++' failed",
];

/// pip names the versions that it found. Where it found some, the index was reached and the request is at fault; where
/// it found none, the lines before say why.
fn lacks_a_known_version(words: &str) -> bool {
    words
        .split("(from versions: ")
        .skip(1)
        .any(|found| !found.starts_with("none"))
}

/// A status that may be gone at the next attempt. A number is one only right after a word that makes it one: `http/1.1 503`,
/// `returned error: 429`.
fn passing_status(line: &str) -> Option<u16> {
    let words = line
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>();
    words.iter().enumerate().find_map(|(at, word)| {
        // The digits of HTTP's own version stand between.
        let before = words[..at].iter().rev().find(|word| word.parse::<u8>().is_err())?;
        let makes_one = matches!(*before, "http" | "status" | "error" | "code" | "response");
        let status = word.parse().ok().filter(|_| word.len() == 3 && makes_one)?;
        is_temporary_status(status).then_some(status)
    })
}

#[cfg(test)]
mod tests;
