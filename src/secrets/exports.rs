//! Secrets as variables for a shell: `eval "$(floe secrets exports)"`.

use std::fmt::Write as _;
use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::SecretsError;
use crate::sops::Plain;

/// Lines for a shell, and what is not among them.
#[derive(Debug, Default)]
pub struct Exports {
    /// A line `export NAME='value'` for each variable.
    pub lines: String,
    /// The names whose values are left out: no shell has a variable of that name.
    pub left_out: Vec<String>,
}

impl Exports {
    /// Adds a variable.
    pub fn add(&mut self, name: &str, value: &str) {
        if is_name(name) && !value.contains('\0') {
            let _ = writeln!(self.lines, "export {name}='{}'", value.replace('\'', r"'\''"));
        } else {
            self.left_out.push(name.to_owned());
        }
    }
}

/// The scalars at the top level of a decrypted file, or of the mapping `under` in it, as variables. `path` is the file's.
pub fn exports(plain: &Plain, under: Option<&str>, path: &Path) -> Result<Exports, SecretsError> {
    let document = serde_yaml::from_slice::<Value>(plain.as_bytes());
    let unusable = |under: &str| SecretsError::NoMapping {
        path: path.to_owned(),
        under: under.to_owned(),
    };
    let document = document.map_err(|_| unusable(""))?;
    let top = document.as_mapping().ok_or_else(|| unusable(""))?;
    let found = match under {
        Some(name) => top
            .get(name)
            .and_then(Value::as_mapping)
            .ok_or_else(|| unusable(name))?,
        None => top,
    };
    Ok(of(found))
}

fn of(mapping: &Mapping) -> Exports {
    let mut exports = Exports::default();
    for (name, value) in mapping {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => continue,
        };
        exports.add(name.as_str().unwrap_or_default(), &value);
    }
    exports
}

/// Whether a shell can have a variable of this name.
pub(super) fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_each_value_as_it_is() {
        let text = "A: it's \"$(touch /tmp/x)\" `b` \\\nN: 12\nB: true\nempty: ''\nlines: \"1\\n2\"\n\
                    no-name: x\n1st: x\nhub:\n  C: d\nlist: [1]\nnone: null\n";
        let value = serde_yaml::from_str::<Value>(text).unwrap();
        let exports = of(value.as_mapping().unwrap());
        assert_eq!(exports.left_out, ["no-name", "1st"]);
        let script = format!(
            "{}printf '%s|' \"$A\" \"$N\" \"$B\" \"$empty\" \"$lines\"",
            exports.lines
        );
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, "it's \"$(touch /tmp/x)\" `b` \\|12|true||1\n2|");
    }
}
