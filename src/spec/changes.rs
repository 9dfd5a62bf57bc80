//! The difference between two frozen specs: which packages came, went, rose, fell or were rebuilt.

mod rendering;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::Serialize;

use super::frozen::{CondaPackage, Frozen, PipPackage, normalized};

/// All that differs between two environments: python first, then the packages in the order of names, then variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(pub Vec<Change>);

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The package's or variable's name.
    pub name: String,
    /// What it is.
    pub of: Part,
    /// What happened to it.
    pub kind: Kind,
    /// What it was; `None` if it was not there.
    pub from: Option<String>,
    /// What it is now; `None` if it is gone.
    pub to: Option<String>,
}

/// What an environment consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The python of a venv.
    Python,
    /// A conda package.
    Conda,
    /// A pip package.
    Pip,
    /// A variable that is set when the environment is in use.
    Variable,
}

/// What happened to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its version is higher.
    Up,
    /// Its version is lower.
    Down,
    /// It has the same version, but another build, digest or source.
    Rebuilt,
    /// It is another one, and neither is the higher.
    Changed,
}

impl Kind {
    /// All kinds, in the order in which they are counted up.
    pub const ALL: [Self; 6] = [
        Self::Added,
        Self::Removed,
        Self::Up,
        Self::Down,
        Self::Rebuilt,
        Self::Changed,
    ];

    /// The kind in one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Up => "up",
            Self::Down => "down",
            Self::Rebuilt => "rebuilt",
            Self::Changed => "changed",
        }
    }
}

impl Changes {
    /// What is to be done to `from` to make it `to`.
    #[must_use]
    pub fn between(from: &Frozen, to: &Frozen) -> Self {
        let python = compare(
            Part::Python,
            &from
                .python
                .iter()
                .map(|version| ("python".to_owned(), version))
                .collect(),
            &to.python.iter().map(|version| ("python".to_owned(), version)).collect(),
            String::clone,
            |one: &String, other| versions::<pep440_rs::Version>(one, other),
        );
        let conda = compare(
            Part::Conda,
            &by(&from.conda, |package| package.name.clone()),
            &by(&to.conda, |package| package.name.clone()),
            |package| package.version.clone(),
            conda,
        );
        let pip = compare(
            Part::Pip,
            &by(&from.pip, |package| normalized(&package.name)),
            &by(&to.pip, |package| normalized(&package.name)),
            version_or_address,
            pip,
        );
        let variables = compare(
            Part::Variable,
            &from
                .variables
                .iter()
                .map(|(name, value)| (name.clone(), value))
                .collect(),
            &to.variables.iter().map(|(name, value)| (name.clone(), value)).collect(),
            String::clone,
            |one, other| (one != other).then(|| (Kind::Changed, one.clone(), other.clone())),
        );
        let mut packages = conda;
        packages.extend(pip);
        packages.sort_by(|a, b| (&a.name, a.of).cmp(&(&b.name, b.of)));
        Self(python.into_iter().chain(packages).chain(variables).collect())
    }

    /// Whether the two are the same environment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many changes are of that kind.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.0.iter().filter(|change| change.kind == kind).count()
    }
}

/// What happened, and both sides as they are to be shown.
type Difference = (Kind, String, String);

fn by<T>(packages: &[T], name: impl Fn(&T) -> String) -> BTreeMap<String, &T> {
    packages.iter().map(|package| (name(package), package)).collect()
}

fn compare<T>(
    of: Part,
    from: &BTreeMap<String, &T>,
    to: &BTreeMap<String, &T>,
    shown: impl Fn(&T) -> String,
    difference: impl Fn(&T, &T) -> Option<Difference>,
) -> Vec<Change> {
    let names = from.keys().chain(to.keys()).collect::<BTreeSet<_>>();
    let change = |name: &String| {
        let (kind, from, to) = match (from.get(name), to.get(name)) {
            (None, None) => return None,
            (None, Some(to)) => (Kind::Added, None, Some(shown(to))),
            (Some(from), None) => (Kind::Removed, Some(shown(from)), None),
            (Some(from), Some(to)) => {
                let (kind, from, to) = difference(from, to)?;
                (kind, Some(from), Some(to))
            }
        };
        Some(Change {
            name: name.clone(),
            of,
            kind,
            from,
            to,
        })
    };
    names.into_iter().filter_map(change).collect()
}

fn conda(from: &CondaPackage, to: &CondaPackage) -> Option<Difference> {
    versions::<rattler_conda_types::Version>(&from.version, &to.version).or_else(|| {
        if from.build == to.build {
            return digests(&from.version, from.sha256.as_ref(), to.sha256.as_ref());
        }
        let shown = |package: &CondaPackage| format!("{}={}", package.version, package.build);
        Some((Kind::Rebuilt, shown(from), shown(to)))
    })
}

fn pip(from: &PipPackage, to: &PipPackage) -> Option<Difference> {
    // A yml without its lock does not tell the version of what is at an address.
    let known = !from.version.is_empty() && !to.version.is_empty();
    let ordered = known
        .then(|| versions::<pep440_rs::Version>(&from.version, &to.version))
        .flatten();
    ordered.or_else(|| {
        if source(from) == source(to) {
            let shown = version_or_address(from);
            return digests(&shown, from.sha256.as_ref(), to.sha256.as_ref());
        }
        Some((Kind::Rebuilt, source(from), source(to)))
    })
}

/// How two versions differ. The same version in other words is another one, since an index may have both.
fn versions<V: FromStr + Ord>(from: &str, to: &str) -> Option<Difference> {
    if from == to {
        return None;
    }
    let order = from
        .parse::<V>()
        .ok()
        .zip(to.parse::<V>().ok())
        .map(|(from, to)| from.cmp(&to));
    let kind = match order {
        Some(Ordering::Less) => Kind::Up,
        Some(Ordering::Greater) => Kind::Down,
        Some(Ordering::Equal) | None => Kind::Changed,
    };
    Some((kind, from.to_owned(), to.to_owned()))
}

/// How two archives of the same version differ. One whose digest is not known may be the same.
fn digests(version: &str, from: Option<&String>, to: Option<&String>) -> Option<Difference> {
    let (from, to) = from.zip(to).filter(|(from, to)| from != to)?;
    let shown = |digest: &String| format!("{version} sha256:{}", digest.get(..12).unwrap_or(digest));
    Some((Kind::Rebuilt, shown(from), shown(to)))
}

/// Where the package comes from: its address, or its version in an index.
fn source(package: &PipPackage) -> String {
    match package.requirement.split_once('@') {
        Some((_, address)) => address.trim().to_owned(),
        None => package.version.clone(),
    }
}

fn version_or_address(package: &PipPackage) -> String {
    if package.version.is_empty() {
        source(package)
    } else {
        package.version.clone()
    }
}

#[cfg(test)]
mod tests;
