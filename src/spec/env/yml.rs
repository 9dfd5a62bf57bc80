//! `environment.yml` as people have them: what conda accepts, and what editors leave behind.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Value;

use super::{CondaSpec, SpecError};

/// What an `environment.yml` asks for.
///
/// A `prefix` is left out: it says where the file was exported, not where the environment belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// The name in the file. The name of the environment's directory is what counts.
    pub name: Option<String>,
    /// The channels in their order, `nodefaults` among them.
    pub channels: Vec<String>,
    /// The conda dependencies.
    pub conda: Vec<CondaSpec>,
    /// The lines of the pip list, in the syntax of requirements files.
    pub pip: Vec<String>,
    /// Variables to set when the environment is in use.
    pub variables: BTreeMap<String, String>,
}

impl EnvironmentSpec {
    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, SpecError> {
        let bytes = fs::read(path).map_err(|source| SpecError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&String::from_utf8_lossy(&bytes), path)
    }

    /// Parses `text`; `path` is the file that errors name.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SpecError> {
        let text = without_stray_tabs(text.trim_start_matches('\u{feff}'));
        let document = document(&text).map_err(|error| SpecError::Malformed {
            path: path.to_owned(),
            line: error.location().map(|location| location.line()),
            message: error.to_string(),
        })?;
        let mut spec = Self {
            name: document.name,
            channels: document.channels.map(|channels| channels.0).unwrap_or_default(),
            variables: document
                .variables
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (name, value.into_text()))
                .collect(),
            ..Self::default()
        };
        for dependency in document.dependencies.into_iter().flatten().flatten() {
            match dependency {
                Dependency::Conda(text) => spec.conda.push(CondaSpec {
                    text: text.trim().to_owned(),
                    file: path.to_owned(),
                    line: None,
                }),
                Dependency::Pip(lines) => spec.pip.extend(
                    lines
                        .iter()
                        .map(|line| line.trim().to_owned())
                        .filter(|line| !line.is_empty()),
                ),
            }
        }
        for dependency in &mut spec.conda {
            dependency.line = line_of(&text, &dependency.text);
        }
        Ok(spec)
    }
}

#[derive(Default, Deserialize)]
struct Document {
    name: Option<String>,
    channels: Option<OneOrMany>,
    dependencies: Option<Vec<Option<Dependency>>>,
    variables: Option<BTreeMap<String, Scalar>>,
}

struct OneOrMany(Vec<String>);

enum Dependency {
    Conda(String),
    Pip(Vec<String>),
}

// By hand, since an error of an untagged enum would name the line of the whole list and not that of the item.
impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Channels;
        impl<'de> Visitor<'de> for Channels {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of channels, or the name of one")
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![one.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(item) = items.next_element::<Option<String>>()? {
                    many.extend(item);
                }
                Ok(OneOrMany(many))
            }
        }
        deserializer.deserialize_any(Channels)
    }
}

impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Item;
        impl<'de> Visitor<'de> for Item {
            type Value = Dependency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a package, or `pip:` and a list")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Dependency, E> {
                Ok(Dependency::Conda(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Dependency, A::Error> {
                let mut lines = Vec::new();
                while let Some(key) = entries.next_key::<String>()? {
                    if key != "pip" {
                        return Err(de::Error::custom(format!(
                            "`{key}:` is no kind of dependency; only `pip:` is"
                        )));
                    }
                    lines.extend(entries.next_value::<Option<Vec<Option<String>>>>()?.unwrap_or_default());
                }
                Ok(Dependency::Pip(lines.into_iter().flatten().collect()))
            }
        }
        deserializer.deserialize_any(Item)
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a variable must be a text, a number or a truth value")]
enum Scalar {
    Truth(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Truth(truth) => truth.to_string(),
            Self::Whole(whole) => whole.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

fn document(text: &str) -> Result<Document, serde_yaml::Error> {
    // Merging needs the value form, which loses the lines of errors: only where the file merges.
    let document: Option<Document> = if text.contains("<<:") {
        let mut value: Value = serde_yaml::from_str(text)?;
        value.apply_merge()?;
        serde_yaml::from_value(value)?
    } else {
        serde_yaml::from_str(text)?
    };
    Ok(document.unwrap_or_default())
}

/// The same lines, where those that hold only a tab or a comment behind one are empty: YAML forbids what editors leave there.
pub(in crate::spec) fn without_stray_tabs(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let rest = line.trim_start();
        let indent = &line[..line.len() - rest.len()];
        if indent.contains('\t') && (rest.is_empty() || rest.starts_with('#')) {
            ""
        } else {
            line
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The line of the list item `item`, counted from 1.
pub(crate) fn line_of(text: &str, item: &str) -> Option<usize> {
    let found = text.lines().position(|line| {
        let Some(rest) = line.trim_start().strip_prefix('-') else {
            return false;
        };
        let rest = rest.trim_start().trim_start_matches(['"', '\'']);
        let after = rest.strip_prefix(item);
        after.is_some_and(|after| after.is_empty() || after.starts_with(['"', '\'', ' ', '\t', '#']))
    });
    found.map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> EnvironmentSpec {
        EnvironmentSpec::parse(text, Path::new("roman.yml")).unwrap()
    }

    fn conda(spec: &EnvironmentSpec) -> Vec<&str> {
        spec.conda.iter().map(|c| c.text.as_str()).collect()
    }

    #[test]
    fn every_shape_that_people_write_is_read() {
        type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);
        let cases: &[Case] = &[
            (
                "a scalar channel",
                "channels: conda-forge\ndependencies: [numpy]\n",
                &["conda-forge"],
                &["numpy"],
                &[],
            ),
            (
                "nodefaults",
                "channels:\n  - conda-forge\n  - nodefaults\n",
                &["conda-forge", "nodefaults"],
                &[],
                &[],
            ),
            (
                "pip without a list",
                "dependencies:\n- python=3.11\n- pip:\n",
                &[],
                &["python=3.11"],
                &[],
            ),
            ("pip: null", "dependencies:\n- pip: null\n", &[], &[], &[]),
            (
                "an item without a value",
                "dependencies:\n-\n- numpy\n- pip:\n  -\n  - requests\n",
                &[],
                &["numpy"],
                &["requests"],
            ),
            (
                "a prefix",
                "name: x\nprefix: /home/me/envs/x\ndependencies:\n- numpy\n",
                &[],
                &["numpy"],
                &[],
            ),
            (
                "an anchor",
                "x-pins: &pins\n- numpy>=1.2,<2\ndependencies: *pins\n",
                &[],
                &["numpy>=1.2,<2"],
                &[],
            ),
            (
                "a merge",
                "shared: &shared\n  channels: [a]\n  dependencies: [numpy]\n<<: *shared\n",
                &["a"],
                &["numpy"],
                &[],
            ),
            (
                "Windows line ends",
                "channels:\r\n- a\r\ndependencies:\r\n- numpy\r\n",
                &["a"],
                &["numpy"],
                &[],
            ),
            (
                "a byte order mark",
                "\u{feff}name: x\ndependencies:\n- numpy\n",
                &[],
                &["numpy"],
                &[],
            ),
            (
                "tabs before and in comments",
                "dependencies:\n\t# tools\n- numpy\t# with\ttabs\n\t\n- scipy  \n",
                &[],
                &["numpy", "scipy"],
                &[],
            ),
            (
                "a pip list",
                "dependencies:\n- pip\n- pip:\n  - -r other.txt\n  - git+https://example.org/x@main\n  - \"a[b]>=1 ; python_version < '3.12'\"\n",
                &[],
                &["pip"],
                &[
                    "-r other.txt",
                    "git+https://example.org/x@main",
                    "a[b]>=1 ; python_version < '3.12'",
                ],
            ),
            ("nothing but a comment", "# later\n", &[], &[], &[]),
        ];
        for (what, text, channels, conda_specs, pip) in cases {
            let spec = parse(text);
            assert_eq!(spec.channels, *channels, "{what}");
            assert_eq!(conda(&spec), *conda_specs, "{what}");
            assert_eq!(spec.pip, *pip, "{what}");
        }
    }

    #[test]
    fn variables_of_any_scalar_type_become_text() {
        let spec = parse("variables: {A: 1, B: true, C: x, D: 1.5}\n");
        let pairs = spec
            .variables
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect::<Vec<_>>();
        assert_eq!(pairs, ["A=1", "B=true", "C=x", "D=1.5"]);
    }

    #[test]
    fn a_dependency_knows_its_line() {
        let spec = parse("name: x\ndependencies:\n  - numpy-base\n  - \"numpy\"  # exact\n  - pip:\n    - scipy\n");
        let lines = spec.conda.iter().map(|c| c.line).collect::<Vec<_>>();
        assert_eq!(lines, [Some(3), Some(4)]);
    }

    #[test]
    fn an_error_names_the_file_and_the_line() {
        for (text, line) in [
            ("name: x\ndependencies:\n- numpy\n- pip: [a\n", 5),
            ("name: x\ndependencies:\n- numpy\n- 3.11\n", 4),
            ("name: x\ndependencies:\n- numpy\n- pip: requests\n", 4),
            ("name: x\nchannels:\n  a: b\n", 3),
        ] {
            let error = EnvironmentSpec::parse(text, Path::new("roman.yml")).unwrap_err();
            let SpecError::Malformed { line: found, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(*found, Some(line), "{text}: {error}");
            assert!(error.to_string().starts_with("roman.yml:"), "{error}");
        }
    }
}
