//! A conda package as a list names it, as far as it can be judged without solving.

use std::path::{Path, PathBuf};

/// One conda dependency and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CondaSpec {
    /// The dependency as it was written, e.g. `conda-forge::numpy >=1.2,<2`.
    pub text: String,
    /// The file that names it.
    pub file: PathBuf,
    /// The line, counted from 1; `None` where the file reaches it by an alias or in another notation.
    pub line: Option<usize>,
}

impl CondaSpec {
    /// The file, and the line where it is known: `roman.yml:3`.
    #[must_use]
    pub fn place(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}{line}", self.file.display())
    }

    /// The package's name in lower case, without its channel.
    #[must_use]
    pub fn name(&self) -> String {
        self.split().0.to_lowercase()
    }

    /// What the dependency says of the version, without blanks and build; empty where it says nothing.
    ///
    /// A bracket (`python[version=">=3.8"]`) is kept whole, since it may say much more than a version.
    #[must_use]
    pub fn constraint(&self) -> String {
        let rest = self.split().1.trim();
        if rest.contains('[') {
            return rest.to_owned();
        }
        let compact = rest.split_whitespace().collect::<Vec<_>>();
        let operator_ends = |word: &str| word.ends_with(['<', '>', '=', '!', '~', ',', '|']);
        // `>= 3.8` is one constraint; in `3.8 h123_0` the second word is a build.
        let mut text = String::new();
        for word in compact {
            if text.is_empty() || operator_ends(&text) || word.starts_with(['<', '>', '=', '!', '~', ',', '|']) {
                text.push_str(word);
            } else {
                break;
            }
        }
        // `=3.8=h123_0` and `3.8=h123_0` name a build after the version.
        let operators = text.len() - text.trim_start_matches('=').len();
        match text[operators..].find('=') {
            Some(at) if !text[operators..][..at].ends_with(['<', '>', '!', '~', ',', '|']) && at > 0 => {
                text.truncate(operators + at);
            }
            _ => {}
        }
        text
    }

    fn split(&self) -> (&str, &str) {
        let text = self.text.rsplit_once("::").map_or(self.text.as_str(), |(_, rest)| rest);
        let end = text.find(|c: char| !(c.is_alphanumeric() || "_.-".contains(c)));
        text.split_at(end.unwrap_or(text.len()))
    }
}

/// The dependencies that the `*.conda` list `text`, read from `file`, names: one on each line, `#` begins a comment.
#[must_use]
pub fn list(text: &str, file: &Path) -> Vec<CondaSpec> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .enumerate()
        .map(|(index, line)| (index, line.split('#').next().unwrap_or_default().trim()))
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| CondaSpec {
            text: line.to_owned(),
            file: file.to_owned(),
            line: Some(index + 1),
        })
        .collect()
}

/// Whether `version`, e.g. `3.11.2`, is one that `constraint` allows. `None` where only a solver can say.
#[must_use]
pub fn allows(constraint: &str, version: &str) -> Option<bool> {
    let version = numbers(version)?;
    let mut any = false;
    for alternative in constraint.split('|') {
        let mut all = true;
        for clause in alternative.split(',') {
            all &= Clause::parse(clause)?.allows(&version)?;
        }
        any |= all;
    }
    Some(any)
}

/// The constraint as pip writes it, e.g. `==1.2.*` for `=1.2`. `None` where pip has no such constraint.
#[must_use]
pub fn for_pip(constraint: &str) -> Option<String> {
    let clauses = constraint.split(',').map(|clause| {
        Clause::parse(clause).map(|clause| match clause {
            Clause { version: "", .. } => String::new(),
            Clause { operator: "=", version } => format!("=={version}.*"),
            Clause { operator, version } => format!("{operator}{version}"),
        })
    });
    let clauses = clauses.collect::<Option<Vec<_>>>()?;
    Some(
        clauses
            .into_iter()
            .filter(|c| !c.is_empty())
            .collect::<Vec<_>>()
            .join(","),
    )
}

/// One comparison. The operator `=` compares as many numbers as are given; an empty version allows any.
struct Clause<'a> {
    operator: &'static str,
    version: &'a str,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let given = ["==", ">=", "<=", "!=", "~=", ">", "<", "="]
            .into_iter()
            .find(|o| text.starts_with(o));
        let version = text[given.unwrap_or_default().len()..].trim();
        let (version, star) = match version.strip_suffix('*') {
            Some(start) => (start.trim_end_matches('.'), true),
            None => (version, false),
        };
        let operator = match (given, star) {
            (None | Some("=="), true) => "=",
            (None, false) if version.is_empty() => "=",
            (None, false) => "==",
            // `!=3.9.*` excludes a whole series, which `!=` of a prefix would not say.
            (Some("!="), true) => return None,
            (Some(operator), _) => operator,
        };
        let plain = version
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+!-".contains(c));
        plain.then_some(Self { operator, version })
    }

    fn allows(&self, version: &[u64]) -> Option<bool> {
        let wanted = if self.version.is_empty() {
            Vec::new()
        } else {
            numbers(self.version)?
        };
        let order = padded(version, wanted.len()).cmp(&padded(&wanted, version.len()));
        Some(match self.operator {
            "=" => version.starts_with(&wanted),
            "==" => order.is_eq(),
            "!=" => order.is_ne(),
            ">=" => order.is_ge(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            "<" => order.is_lt(),
            _ => order.is_ge() && version.starts_with(&wanted[..wanted.len().saturating_sub(1)]),
        })
    }
}

/// The numbers of a release such as `3.11.2`; `None` for any other kind of version.
fn numbers(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

fn padded(version: &[u64], length: usize) -> Vec<u64> {
    let mut padded = version.to_vec();
    padded.resize(length.max(version.len()), 0);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> CondaSpec {
        CondaSpec {
            text: text.to_owned(),
            file: PathBuf::from("x.conda"),
            line: None,
        }
    }

    #[test]
    fn the_name_and_the_constraint_are_told_apart() {
        for (text, name, constraint) in [
            ("numpy", "numpy", ""),
            ("conda-forge::fftw", "fftw", ""),
            ("Python=3.11", "python", "=3.11"),
            ("python 3.11.* h123_0", "python", "3.11.*"),
            ("python=3.11.2=h123_0", "python", "=3.11.2"),
            ("python==3.11.2", "python", "==3.11.2"),
            ("numpy >=1.2, <2", "numpy", ">=1.2,<2"),
            ("numpy >= 1.2", "numpy", ">=1.2"),
            ("ruamel.yaml>=0.17", "ruamel.yaml", ">=0.17"),
            ("pkg[build=cuda*]", "pkg", "[build=cuda*]"),
        ] {
            assert_eq!(
                (spec(text).name().as_str(), spec(text).constraint().as_str()),
                (name, constraint),
                "{text}"
            );
        }
    }

    #[test]
    fn a_version_is_held_against_a_constraint() {
        for (constraint, expected) in [
            ("", Some(true)),
            ("*", Some(true)),
            ("=3.11", Some(true)),
            ("=3.1", Some(false)),
            ("3.11.*", Some(true)),
            ("3.11", Some(false)),
            ("==3.11.2", Some(true)),
            (">=3.10", Some(true)),
            (">=3.10,<3.11", Some(false)),
            ("3.9.*|3.11.*", Some(true)),
            ("~=3.10", Some(true)),
            ("!=3.11.2", Some(false)),
            (">=3.12", Some(false)),
            (">=3.11.2", Some(true)),
            ("[build=x]", None),
        ] {
            assert_eq!(allows(constraint, "3.11.2"), expected, "{constraint}");
        }
    }

    #[test]
    fn a_constraint_is_rewritten_for_pip() {
        for (constraint, expected) in [
            ("", Some("")),
            ("=1.2", Some("==1.2.*")),
            ("1.2.*", Some("==1.2.*")),
            (">=1.2,<2", Some(">=1.2,<2")),
            ("1.2|1.4", None),
        ] {
            assert_eq!(for_pip(constraint).as_deref(), expected, "{constraint}");
        }
    }

    #[test]
    fn a_list_skips_comments_and_counts_its_lines() {
        let specs = list(
            "\u{feff}# tools\r\n\r\nnumpy >=1.2,<2  # bounds\r\n",
            Path::new("x.conda"),
        );
        assert_eq!(specs.len(), 1);
        assert_eq!((specs[0].text.as_str(), specs[0].line), ("numpy >=1.2,<2", Some(3)));
    }
}
