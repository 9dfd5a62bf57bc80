//! All packages of an image as one HTML page that needs nothing else, and no script: what a hub can link to.
//!
//! What packages say of themselves is theirs. The template escapes whatever it prints, the page's policy allows its own style
//! alone, and an address is linked only where it is one of the web.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tera::{Context, Tera};

use super::{Environment, Links, Listing, Manager, Package};
use crate::quantity::bytes;
use crate::spec::changes::{Changes, Kind};
use crate::spec::frozen::{CondaPackage, Frozen, PipPackage};

const TEMPLATE: &str = include_str!("page/page.html");

/// The look of the report of a run, and what tables of packages need beside it.
const STYLE: &str = concat!(include_str!("../report/html/style.css"), include_str!("page/style.css"));

/// What the page is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The mission, or the image.
    pub title: String,
    /// What is known of it: a name, what it is, and whether that is code.
    pub facts: Vec<(&'static str, String, bool)>,
}

/// An environment as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The commit that held it.
    pub commit: String,
    /// What it held.
    pub environment: Environment,
}

#[derive(Serialize)]
struct Fact {
    name: &'static str,
    value: String,
    code: bool,
}

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
struct Section {
    anchor: String,
    name: String,
    shared: bool,
    about: String,
    unknown: Option<String>,
    twice: Option<String>,
    since: bool,
    summary: String,
    changes: Vec<Changed>,
    /// Whether the licence of any package is known.
    licensed: bool,
    /// Whether it is known what wants any package.
    explained: bool,
    /// Whether it is known how large any package is.
    sized: bool,
    packages: Vec<Row>,
}

#[derive(Serialize)]
struct Changed {
    kind: &'static str,
    name: String,
    versions: String,
}

#[derive(Serialize)]
struct Row {
    name: String,
    manager: &'static str,
    version: String,
    license: String,
    size: String,
    homepage: Option<String>,
    why: String,
}

/// The page of these environments, each with what it was before, where that is known.
pub fn page(about: &About, environments: &[(Environment, Option<Before>)]) -> Result<String, tera::Error> {
    let sections = environments
        .iter()
        .zip(1..)
        .map(|((environment, before), number)| section(environment, before.as_ref(), number));
    let sections = sections.collect::<Vec<_>>();
    let count = sections.iter().map(|section| section.packages.len()).sum::<usize>();
    let facts = about.facts.iter().map(|(name, value, code)| Fact {
        name,
        value: visible(value),
        code: *code,
    });
    let policy = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let mut context = Context::new();
    context.insert("title", &visible(&about.title));
    context.insert(
        "counts",
        &format!(
            "{} in {}",
            amount(count, "package"),
            amount(sections.len(), "environment")
        ),
    );
    context.insert("facts", &facts.collect::<Vec<_>>());
    context.insert("environments", &sections);
    context.insert("style", STYLE);
    context.insert(
        "policy",
        &format!("default-src 'none'; style-src 'sha256-{policy}'; base-uri 'none'; form-action 'none'"),
    );
    context.insert("version", env!("CARGO_PKG_VERSION"));
    Tera::one_off(TEMPLATE, &context, true)
}

fn section(environment: &Environment, before: Option<&Before>, number: usize) -> Section {
    let of = |manager| {
        environment
            .packages
            .iter()
            .filter(move |package| package.manager == manager)
            .count()
    };
    let python = environment.python().map(|python| format!("python {python}"));
    let counts = [(Manager::Conda, "of conda"), (Manager::Pip, "of pip")].map(|(manager, word)| (of(manager), word));
    let counts = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"));
    let twice = environment.claimed_twice();
    let changes = before.map(|before| Changes::between(&outline(&before.environment), &outline(environment)));
    let summary = before.zip(changes.as_ref()).map(|(before, changes)| {
        let short = before.commit.get(..12).unwrap_or(&before.commit);
        let kinds = Kind::ALL.iter().map(|kind| (changes.count(*kind), kind.word()));
        let kinds = kinds
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"));
        let kinds = kinds.collect::<Vec<_>>();
        let kinds = if kinds.is_empty() {
            "nothing".to_owned()
        } else {
            kinds.join(", ")
        };
        format!("Changed since the image before (commit {short}): {kinds}")
    });
    let links = Links::of(environment);
    let rows = environment.packages.iter().enumerate().map(|(index, package)| Row {
        name: visible(&package.name),
        manager: package.manager.word(),
        version: visible(package.shown_version()),
        license: visible(package.license.as_deref().unwrap_or_default()),
        size: package.size.map(bytes).unwrap_or_default(),
        homepage: package.homepage.clone().filter(|address| is_of_the_web(address)),
        why: visible(&Listing::row(&links, index, false).why()),
    });
    let mut rows = rows.collect::<Vec<_>>();
    rows.sort_by(|a, b| (a.name.to_lowercase(), a.manager).cmp(&(b.name.to_lowercase(), b.manager)));
    Section {
        anchor: format!("e{number}"),
        name: visible(environment.name.as_str()),
        shared: environment.mission.is_none(),
        about: python
            .into_iter()
            .chain(counts)
            .chain(environment.size.map(bytes))
            .collect::<Vec<_>>()
            .join(", "),
        unknown: environment.unknown.as_deref().map(visible),
        twice: (!twice.is_empty()).then(|| visible(&twice.join(", "))),
        since: before.is_some(),
        summary: summary.unwrap_or_default(),
        changes: changes.iter().flat_map(|changes| &changes.0).map(changed).collect(),
        licensed: rows.iter().any(|row| !row.license.is_empty()),
        sized: rows.iter().any(|row| !row.size.is_empty()),
        explained: rows.iter().any(|row| !row.why.is_empty()),
        packages: rows,
    }
}

fn changed(change: &crate::spec::changes::Change) -> Changed {
    let versions = match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{from} → {to}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    };
    Changed {
        kind: change.kind.word(),
        name: visible(&change.name),
        versions: visible(&versions),
    }
}

/// What of an environment is compared: names, versions and builds.
fn outline(environment: &Environment) -> Frozen {
    let mut frozen = Frozen::default();
    for package in &environment.packages {
        let Package {
            name,
            version,
            build,
            origin,
            ..
        } = package;
        match package.manager {
            Manager::Venv => frozen.python = Some(version.clone()),
            Manager::Conda => frozen.conda.push(CondaPackage {
                name: name.clone(),
                version: version.clone(),
                build: build.clone().unwrap_or_default(),
                sha256: None,
                record: None,
            }),
            Manager::Pip => frozen.pip.push(PipPackage {
                name: name.clone(),
                version: version.clone(),
                requirement: match origin {
                    Some(origin) => format!("{name} @ {origin}"),
                    None => format!("{name}=={version}"),
                },
                url: None,
                sha256: None,
                requires: Vec::new(),
            }),
        }
    }
    frozen
}

fn amount(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn is_of_the_web(address: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| address.starts_with(scheme))
}

/// The text without what is seen by nobody or turns others around.
fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}
