//! What an encrypted file looks like: whether sops has encrypted it, and what stands in it in plain text all the same.

use std::path::Path;

use regex::Regex;
use serde::Deserialize as _;
use serde_yaml::{Mapping, Value};

use super::SopsError;

/// Where sops keeps what it must know of a file.
const METADATA: &str = "sops";

/// Whether this is the text of a file that sops has encrypted: YAML or JSON with its record and checksum, dotenv or INI.
///
/// That does not say that no value of it is plain; [`plain_values`] does.
#[must_use]
pub fn is_encrypted(text: &str) -> bool {
    match documents(text) {
        Ok(documents) if !documents.is_empty() && documents.iter().all(Value::is_mapping) => {
            documents.iter().all(|document| record(document).is_some())
        }
        _ => is_flat(text),
    }
}

/// The values in the text of an encrypted file that are in plain text although its own rules say that they are encrypted:
/// somebody wrote them there without sops. Each by its path, e.g. `hub.token`; none where the text is not encrypted at all.
#[must_use]
pub fn plain_values(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for document in documents(text).unwrap_or_default() {
        let Some(record) = record(&document) else { continue };
        let rules = Rules::of(record);
        let Some(document) = document.as_mapping() else {
            continue;
        };
        for (key, value) in document.iter().filter(|(key, _)| key.as_str() != Some(METADATA)) {
            collect(value, &mut vec![name(key)], &rules, &mut found);
        }
    }
    found
}

/// Why a text that is not encrypted is not: it is plain, or it cannot be read.
pub(super) fn unreadable(path: &Path, text: &str) -> SopsError {
    let path = path.to_owned();
    let conflict = text.lines().position(|line| line.starts_with("<<<<<<< "));
    match (conflict, documents(text)) {
        (Some(line), _) => SopsError::Conflict { path, line: line + 1 },
        (None, Err(error)) if text.contains("ENC[") => SopsError::Damaged {
            path,
            line: error.location().map(|at| at.line()),
        },
        _ => SopsError::Plain { path },
    }
}

/// JSON is YAML, too.
fn documents(text: &str) -> Result<Vec<Value>, serde_yaml::Error> {
    serde_yaml::Deserializer::from_str(text)
        .map(Value::deserialize)
        .collect()
}

/// sops's record in a document, if it is one with a checksum.
fn record(document: &Value) -> Option<&Mapping> {
    let record = document.as_mapping()?.get(METADATA)?.as_mapping()?;
    let sealed = record.get("mac").and_then(Value::as_str).is_some_and(is_sealed);
    sealed.then_some(record)
}

/// In dotenv and INI, the record stands in lines of its own.
fn is_flat(text: &str) -> bool {
    let seals = |line: &str| {
        let (name, value) = line.split_once('=').unwrap_or_default();
        ["sops_mac", "mac"].contains(&name.trim()) && is_sealed(value.trim())
    };
    text.lines().any(seals)
}

fn is_sealed(value: &str) -> bool {
    value.starts_with("ENC[") && value.ends_with(']')
}

fn name(key: &Value) -> String {
    match key {
        Value::String(name) => name.clone(),
        other => serde_yaml::to_string(other).unwrap_or_default().trim().to_owned(),
    }
}

fn collect(value: &Value, path: &mut Vec<String>, rules: &Rules, found: &mut Vec<String>) {
    match value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                path.push(name(key));
                collect(value, path, rules, found);
                path.pop();
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, path, rules, found)),
        Value::Tagged(tagged) => collect(&tagged.value, path, rules, found),
        // sops leaves what is empty as it is.
        Value::Null => {}
        Value::String(text) if text.is_empty() || is_sealed(text) => {}
        _ if rules.cover(path) => found.push(path.join(".")),
        _ => {}
    }
}

/// Which values are encrypted, by the names on the way to them. Of several rules the last one in this order counts, as in
/// `shouldBeEncrypted` of sops's source.
struct Rules {
    unencrypted_suffix: Option<String>,
    encrypted_suffix: Option<String>,
    unencrypted_regex: Option<Regex>,
    encrypted_regex: Option<Regex>,
    /// Which values are encrypted is told by comments, which are not read here.
    by_comments: bool,
}

impl Rules {
    fn of(record: &Mapping) -> Self {
        let text = |name: &str| Some(record.get(name)?.as_str()?.to_owned()).filter(|text| !text.is_empty());
        let pattern = |name: &str| Regex::new(&text(name)?).ok();
        Self {
            unencrypted_suffix: text("unencrypted_suffix"),
            encrypted_suffix: text("encrypted_suffix"),
            unencrypted_regex: pattern("unencrypted_regex"),
            encrypted_regex: pattern("encrypted_regex"),
            by_comments: text("unencrypted_comment_regex")
                .or_else(|| text("encrypted_comment_regex"))
                .is_some(),
        }
    }

    fn cover(&self, path: &[String]) -> bool {
        let ends = |suffix: &String| path.iter().any(|name| name.ends_with(suffix));
        let fits = |pattern: &Regex| path.iter().any(|name| pattern.is_match(name));
        let rules = [
            self.unencrypted_suffix.as_ref().map(|suffix| !ends(suffix)),
            self.encrypted_suffix.as_ref().map(ends),
            self.unencrypted_regex
                .as_ref()
                .and_then(|pattern| fits(pattern).then_some(false)),
            self.encrypted_regex.as_ref().map(fits),
        ];
        !self.by_comments && rules.into_iter().flatten().last().unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "sops:\n  mac: ENC[AES256_GCM,data:x,type:str]\n";

    #[test]
    fn a_file_is_encrypted_by_the_record_of_sops_with_its_checksum() {
        assert!(is_encrypted(&format!("a: ENC[x]\n{RECORD}")));
        assert!(is_encrypted(r#"{"a": "ENC[x]", "sops": {"mac": "ENC[x]"}}"#));
        assert!(is_encrypted("A=ENC[x]\nsops_mac=ENC[x]\n"));
        for plain in [
            "",
            "a: b",
            "sops: ENC[x]",
            "sops:\n  mac: x",
            "- ENC[x]",
            "a: b\n---\nsops:\n  mac: ENC[x]",
            "A=b\n",
        ] {
            assert!(!is_encrypted(plain), "{plain}");
        }
    }

    #[test]
    fn a_value_that_somebody_wrote_into_an_encrypted_file_is_found() {
        let text = format!(
            "a: ENC[x]\nhub:\n  token: t\n  list:\n    - ENC[x]\n    - 1\nempty: ''\nnone: null\nx_plain: v\n{RECORD}"
        );
        assert_eq!(plain_values(&text), ["hub.token", "hub.list", "x_plain"]);
        assert_eq!(plain_values("a: b"), [""; 0]);
    }

    #[test]
    fn what_the_files_own_rules_leave_plain_is_no_mistake() {
        let values = |rule: &str| plain_values(&format!("a:\n  b_un: 1\n  pass: 2\n{RECORD}  {rule}\n"));
        assert_eq!(values("unencrypted_suffix: _un"), ["a.pass"]);
        assert_eq!(values("encrypted_regex: ^pass$"), ["a.pass"]);
        assert_eq!(values("encrypted_suffix: _un"), ["a.b_un"]);
        assert_eq!(values("unencrypted_regex: ^a$"), [""; 0]);
        assert_eq!(values("encrypted_comment_regex: x"), [""; 0]);
    }
}
