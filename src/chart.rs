//! Charts of Helm: which others a chart depends on, and which values it knows.
//!
//! What a chart knows, its schema says (`values.schema.json`), which Helm itself goes by. What the schema leaves open, or
//! where there is none, a key is known that the chart's own values or templates name. Charts that it depends on know theirs,
//! under the name that it gives them.

mod files;
mod schema;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use self::files::Files;
use self::schema::Verdict;
use crate::values::{self, Entry, Field, Node, Remark, Step, Value, is_near};

/// A chart that another one depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// The name that the other one gives it, if it gives one.
    pub alias: Option<String>,
    /// The version, or the range of versions; empty if there is none.
    pub version: String,
    /// The fields of the other one's values that switch it on and off.
    conditions: Vec<String>,
}

impl Dependency {
    /// The key that its values stand under.
    #[must_use]
    pub fn key(&self) -> &str {
        self.alias.as_ref().unwrap_or(&self.name)
    }

    /// The version, if it is one and no range.
    #[must_use]
    pub fn exact_version(&self) -> Option<&str> {
        let is_exact = |version: &str| version.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c));
        Some(self.version.as_str()).filter(|version| !version.is_empty() && is_exact(version))
    }
}

/// The charts that a chart depends on, as its `Chart.yaml` or `Chart.lock` lists them.
#[must_use]
pub fn dependencies(about: &Node) -> Vec<Dependency> {
    let listed = match about.get("dependencies").map(|node| &node.value) {
        Some(Value::List(listed)) => listed.as_slice(),
        _ => &[],
    };
    let text = |node: &Node, key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    let dependency = |node: &Node| {
        let conditions = text(node, "condition").unwrap_or_default();
        Some(Dependency {
            name: text(node, "name")?,
            alias: text(node, "alias"),
            version: text(node, "version").unwrap_or_default(),
            conditions: conditions.split(',').map(|path| path.trim().to_owned()).collect(),
        })
    };
    listed.iter().filter_map(dependency).collect()
}

/// A chart, as far as its values go.
#[derive(Debug)]
pub struct Chart {
    name: String,
    values: Option<Node>,
    schema: Option<serde_json::Value>,
    /// The words of its values file, comments included, and of its templates.
    words: BTreeSet<String>,
    /// The charts that it depends on by the keys of their values; `None` for one that is not at hand.
    children: Vec<(String, Option<Chart>)>,
}

/// The chart in a directory or an archive. `None` if there is none, or if it cannot be read.
#[must_use]
pub fn load(path: &Path) -> Option<Chart> {
    Chart::of(&Files::at(path)?)
}

impl Chart {
    fn of(files: &Files) -> Option<Self> {
        let read = |name: &str| {
            let text = files.text(name)?;
            values::read(&text, &Arc::from(Path::new(name))).ok()
        };
        let about = read("Chart.yaml")?;
        let dependencies = dependencies(&about);
        let mut words = files.words();
        words.extend(dependencies.iter().flat_map(|dependency| {
            let paths = dependency.conditions.iter();
            paths.flat_map(|path| path.split('.').map(str::to_owned))
        }));
        let mut there = files.children().iter().filter_map(Self::of).collect::<Vec<_>>();
        let mut children = Vec::new();
        for dependency in &dependencies {
            let found = there.iter().position(|chart: &Self| chart.name == dependency.name);
            children.push((dependency.key().to_owned(), found.map(|index| there.remove(index))));
        }
        // Those that nobody lists are charts below it all the same.
        children.extend(there.into_iter().map(|chart| (chart.name.clone(), Some(chart))));
        Some(Self {
            name: about.get("name").and_then(Node::text).unwrap_or_default().to_owned(),
            values: read("values.yaml"),
            schema: files
                .text("values.schema.json")
                .and_then(|text| serde_json::from_str(&text).ok()),
            words,
            children,
        })
    }

    fn child(&self, key: &str) -> Option<&Option<Self>> {
        let mut children = self.children.iter();
        children.find(|(name, _)| name == key).map(|(_, chart)| chart)
    }

    /// Whether it can be said of a field that nobody knows it: the chart that it belongs to is at hand.
    #[must_use]
    pub fn judges(&self, field: &Field) -> bool {
        let mut chart = self;
        for step in field.steps() {
            let Step::Key(key) = step else { break };
            match chart.child(key) {
                Some(Some(child)) => chart = child,
                // The key itself is known.
                Some(None) => return false,
                None => break,
            }
        }
        true
    }

    /// The keys of a values file that nobody knows, each with the known one that is nearly called so. Of the chart's own
    /// values only those for other charts can be such.
    #[must_use]
    pub fn unknown(&self, file: &Node) -> Vec<Remark> {
        let mut looking = Looking { found: Vec::new() };
        looking.chart(&Field::of(Vec::new()), self, file);
        looking.found
    }
}

struct Looking {
    found: Vec<Remark>,
}

/// What is known of a place in the values of a chart.
#[derive(Clone, Copy)]
struct Place<'a> {
    chart: &'a Chart,
    schemas: &'a [&'a serde_json::Value],
    defaults: Option<&'a Node>,
}

impl Looking {
    fn chart(&mut self, at: &Field, chart: &Chart, values: &Node) {
        let Value::Map(entries) = &values.value else {
            return;
        };
        let schemas = chart.schema.iter().collect::<Vec<_>>();
        let place = Place {
            chart,
            schemas: &schemas,
            defaults: chart.values.as_ref(),
        };
        for entry in entries {
            match chart.child(&entry.key) {
                Some(Some(child)) => self.chart(&at.key(&entry.key), child, &entry.node),
                Some(None) => {}
                // Helm's own, which every chart gets.
                None if ["global", "tags"].contains(&entry.key.as_str()) => {}
                None => self.key(&at.key(&entry.key), place, values, entry),
            }
        }
    }

    /// Looks at an entry of a map.
    fn key(&mut self, at: &Field, place: Place<'_>, map: &Node, entry: &Entry) {
        let (chart, Entry { key, at: written, node }) = (place.chart, entry);
        let verdict = chart.schema.as_ref();
        let verdict = verdict.map_or(Verdict::Silent, |root| schema::key(root, place.schemas, key));
        let default = place.defaults.and_then(|defaults| defaults.get(key));
        let (known, schemas) = match verdict {
            Verdict::Open => return,
            Verdict::Known(schemas) => (true, schemas),
            Verdict::Unknown => (false, Vec::new()),
            // The chart begins with nothing here, and takes anything.
            Verdict::Silent if place.schemas.is_empty() && place.defaults.is_none_or(is_empty) => return,
            Verdict::Silent => (default.is_some() || chart.words.contains(key), Vec::new()),
        };
        if known {
            let below = Place {
                schemas: &schemas,
                defaults: default,
                ..place
            };
            // A value of which nobody says anything may hold anything.
            if !schemas.is_empty() || default.is_some() {
                self.value(at, below, node);
            }
            return;
        }
        let mut names = place.names();
        names.retain(|name| map.get(name).is_none() && is_near(name, key));
        self.found.push(Remark::Unknown {
            field: at.clone(),
            by: written.clone(),
            meant: names.into_iter().next(),
        });
    }

    fn value(&mut self, at: &Field, place: Place<'_>, node: &Node) {
        match &node.value {
            Value::Map(entries) => {
                for entry in entries {
                    self.key(&at.key(&entry.key), place, node, entry);
                }
            }
            Value::List(listed) => {
                let Some(root) = &place.chart.schema else { return };
                let schemas = schema::items(root, place.schemas);
                if schemas.is_empty() {
                    return;
                }
                let place = Place {
                    schemas: &schemas,
                    defaults: None,
                    ..place
                };
                for (index, node) in listed.iter().enumerate() {
                    self.value(&at.index(index), place, node);
                }
            }
            _ => {}
        }
    }
}

/// Whether a value holds nothing that a key could stand beside.
fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => entries.is_empty(),
        _ => true,
    }
}

impl Place<'_> {
    /// The keys that are known here.
    fn names(&self) -> Vec<String> {
        let mut names = match self.defaults.map(|node| &node.value) {
            Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
            _ => Vec::new(),
        };
        if let Some(root) = &self.chart.schema {
            names.extend(schema::names(root, self.schemas));
        }
        names
    }
}

#[cfg(test)]
mod tests;
