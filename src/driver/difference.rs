//! What differs between the manifests of a release: the one that is installed, and the one that would be. The contents of
//! Secrets are not shown; that they change is.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_yaml::Value;
use similar::TextDiff;

/// The difference as a unified diff with three lines around each change; empty if there is none.
pub(super) fn of(old: &str, new: &str) -> String {
    let (old, new) = (documents(old), documents(new));
    let mut secrets = BTreeMap::new();
    for document in &old {
        if let Some(name) = &document.secret {
            secrets.insert(name.clone(), document.text.as_str());
        }
    }
    let (old, new) = (shown(&old, &BTreeMap::new()), shown(&new, &secrets));
    let diff = TextDiff::from_lines(&old, &new);
    diff.unified_diff()
        .context_radius(3)
        .header("installed", "to be installed")
        .to_string()
}

/// A document of a manifest.
struct Document {
    text: String,
    /// Namespace and name, if it is a Secret.
    secret: Option<(String, String)>,
}

fn documents(manifest: &str) -> Vec<Document> {
    let mut texts = vec![String::new()];
    for line in manifest.lines() {
        if line.trim_end() == "---" {
            texts.push(String::new());
        } else if let Some(text) = texts.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    texts.retain(|text| !text.trim().is_empty());
    let document = |text: String| {
        let value = parsed(&text);
        // What cannot be read may be one.
        let is_secret = value.as_ref().is_none_or(|value| value["kind"] == "Secret");
        let of = |key: &str| {
            let text = value.as_ref().and_then(|value| value["metadata"][key].as_str());
            text.unwrap_or_default().to_owned()
        };
        let secret = is_secret.then(|| (of("namespace"), of("name")));
        Document { text, secret }
    };
    texts.into_iter().map(document).collect()
}

fn parsed(text: &str) -> Option<Value> {
    Value::deserialize(serde_yaml::Deserializer::from_str(text)).ok()
}

/// The documents as they are shown. Of a Secret that was another one before, each value says so.
fn shown(documents: &[Document], before: &BTreeMap<(String, String), &str>) -> String {
    let mut text = String::new();
    for document in documents {
        text.push_str("---\n");
        match &document.secret {
            None => text.push_str(document.text.trim()),
            Some(name) => {
                let before = before.get(name).and_then(|text| parsed(text));
                text.push_str(masked(&document.text, before.as_ref()).trim_end());
            }
        }
        text.push('\n');
    }
    text
}

/// A Secret without its values.
fn masked(text: &str, before: Option<&Value>) -> String {
    let Some(mut secret) = parsed(text) else {
        return "(a document that cannot be read)".to_owned();
    };
    for part in ["data", "stringData"] {
        let Some(entries) = secret.get_mut(part).and_then(Value::as_mapping_mut) else {
            continue;
        };
        for (key, value) in entries {
            let other = before.and_then(|before| before.get(part)?.get(key));
            let changed = before.is_some() && other != Some(&*value);
            *value = Value::from(if changed { "*** (changed)" } else { "***" });
        }
    }
    serde_yaml::to_string(&secret).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_changes_is_told_and_not_shown() {
        let manifest = |image: &str, word: &str| {
            format!(
                "---\n# Source: hub/templates/x.yaml\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: {word}, b: same}}\n\
                 ---\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n  image: {image}\n"
            )
        };
        let (old, new) = (manifest("one", "hunter2"), manifest("two", "hunter3"));
        assert_eq!(of(&old, &old), "");
        let diff = of(&old, &new);
        for line in [
            "-  image: one",
            "+  image: two",
            "-  a: '***'",
            "+  a: '*** (changed)'",
            "   b: '***'",
        ] {
            assert!(diff.lines().any(|other| other == line), "{line:?} is not in:\n{diff}");
        }
        assert!(!diff.contains("hunter"), "{diff}");
    }
}
