//! The safe part of the shell's language that `setup-env` is written in.
//!
//! Comments, and `export NAME=value` (or `NAME=value`) with single quotes, double quotes, `\` escapes and `${NAME}`.
//! Whatever a shell would do beyond that (commands, substitutions, conditions) is an error with its line, because floe
//! reading something else than the shell does would be worse than not reading it.
//!
//! The wrappers in `scripts/` do not source it: a sourced file would win over the environment. No crate stands in its
//! place: dotenv files are another language.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A value that `setup-env` gives a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The value, with quotes and references resolved.
    pub value: String,
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
}

/// A line that floe does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {reason}")]
pub struct SetupEnvError {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// Parses `text`, the content of `path`. `environment` resolves `${NAME}` where the file itself does not assign NAME.
pub fn parse(
    path: &Path,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Assignment>, SetupEnvError> {
    let mut assigned: BTreeMap<String, Assignment> = BTreeMap::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let lookup = |name: &str| {
            assigned
                .get(name)
                .map(|a| a.value.clone())
                .or_else(|| environment(name))
        };
        let parsed = assignment(line.trim(), &lookup).map_err(|reason| SetupEnvError {
            path: path.to_owned(),
            line: index + 1,
            reason,
        })?;
        if let Some((name, value)) = parsed {
            let assignment = Assignment {
                value,
                path: path.to_owned(),
                line: index + 1,
            };
            assigned.insert(name, assignment);
        }
    }
    Ok(assigned)
}

/// The assignment on one line; `None` for a blank line or a comment.
fn assignment(line: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Option<(String, String)>, String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let body = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    };
    let (name, rest) = body
        .split_once('=')
        .ok_or_else(|| format!("expected `export NAME=value`, found {line:?}; floe reads no other commands"))?;
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err(format!(
            "{name:?} is not the name of a variable; write `export NAME=value`"
        ));
    }
    Ok(Some((name.to_owned(), value(rest, lookup)?)))
}

/// The value of a shell word: quotes removed, references resolved, up to a comment or the end.
fn value(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => loop {
                match chars.next() {
                    Some('\'') => break,
                    Some(c) => out.push(c),
                    None => return Err("a ' is not closed on this line".to_owned()),
                }
            },
            '"' => loop {
                match chars.next() {
                    Some('"') => break,
                    Some('\\') => match chars.next() {
                        Some(c @ ('"' | '\\' | '$' | '`')) => out.push(c),
                        Some(c) => out.extend(['\\', c]),
                        None => return Err("a \" is not closed on this line".to_owned()),
                    },
                    Some('$') => out.push_str(&reference(&mut chars, lookup)?),
                    Some('`') => return Err(refused('`')),
                    Some(c) => out.push(c),
                    None => return Err("a \" is not closed on this line".to_owned()),
                }
            },
            '$' => out.push_str(&reference(&mut chars, lookup)?),
            '\\' => out.push(chars.next().ok_or("a line cannot be continued with \\")?),
            ' ' | '\t' => {
                let rest = chars.collect::<String>();
                let rest = rest.trim_start();
                return if rest.is_empty() || rest.starts_with('#') {
                    Ok(out)
                } else {
                    Err(format!("{rest:?} follows the value; put a value with blanks in quotes"))
                };
            }
            '`' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => return Err(refused(c)),
            '~' if out.is_empty() => return Err("write ${HOME} in place of ~".to_owned()),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The value of `${NAME}` or `$NAME`, the `$` being read already.
fn reference(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let braced = chars.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(c) = chars.next_if(|&c| c.is_ascii_alphanumeric() || c == '_') {
        name.push(c);
    }
    if name.is_empty() || (braced && chars.next() != Some('}')) {
        return Err("after $ only a ${NAME} is read; floe runs no commands and knows no ${NAME:-default}".to_owned());
    }
    lookup(&name).ok_or_else(|| format!("${{{name}}} is set neither above this line nor in the environment"))
}

fn refused(c: char) -> String {
    format!("{c} means something to a shell that floe does not do; put the value in single quotes if it is meant")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Vec<(String, String)>, String> {
        let home = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let parsed = parse("setup-env".as_ref(), text, &home).map_err(|error| error.to_string())?;
        Ok(parsed.into_iter().map(|(name, a)| (name, a.value)).collect())
    }

    #[test]
    fn quotes_references_and_comments_mean_what_a_shell_means() {
        let text = "#! /bin/bash\n\n  # note\nexport A=1 # one\nexport B='a $A \"b\"'\n\
                    export C=\"${A}/$A \\\" \\$A\"x\nD=${HOME}/ca.pem\r\nexport E=\nexport F=a\\ b#c\n";
        let expected = [
            ("A", "1"),
            ("B", "a $A \"b\""),
            ("C", "1/1 \" $Ax"),
            ("D", "/home/me/ca.pem"),
            ("E", ""),
            ("F", "a b#c"),
        ];
        let expected = expected.map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(parse_text(text).unwrap(), expected);
    }

    #[test]
    fn what_only_a_shell_could_carry_out_is_refused_with_its_line() {
        for line in [
            "source other",
            "export A=$(date)",
            "export A=`date`",
            "export A=${B:-1}",
            "export A=1; rm x",
            "export A=1 B=2",
            "export A=$UNSET",
            "if true; then",
            "export A='x",
            "export A=\"x",
            "export 1A=x",
            "export A=~/x",
            "export A",
        ] {
            let error = parse_text(&format!("export OK=1\n{line}\n")).unwrap_err();
            assert!(error.starts_with("setup-env:2: "), "{line}: {error}");
        }
    }

    #[test]
    fn floe_and_bash_read_the_same_values() {
        let text = "export A='it is'\nexport B=\"${A} so\"x'$A'\nexport C=p\\$q\nexport D=$B-${C}#no # yes\n";
        let ours = parse_text(text).unwrap();
        let script = format!("{text}\nprintf '%s\\n' \"$A\" \"$B\" \"$C\" \"$D\"");
        let output = std::process::Command::new("bash")
            .args(["-c", &script])
            .output()
            .unwrap();
        let theirs = String::from_utf8(output.stdout).unwrap();
        let ours = ours.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>();
        assert_eq!(ours, theirs.lines().collect::<Vec<_>>());
    }
}
