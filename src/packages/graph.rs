//! What needs what, as a graph: around one package, or of a whole environment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde::Serialize;

use super::{Links, Manager, Package};

/// Packages and what they need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// Whose the environment is, and its name.
    pub environment: String,
    /// The package that the graph is around; `None` for a whole environment.
    pub around: Option<String>,
    /// The packages.
    pub nodes: Vec<Node>,
    /// Who needs whom, by the indexes of the nodes.
    pub edges: Vec<Edge>,
}

/// A package of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What installed it.
    pub manager: Manager,
    /// How many steps it is away: from what is asked for in a whole environment; else from the package in the middle, those that
    /// lead to it with less than 0.
    pub layer: i32,
    /// Whether a line of a spec file asks for it.
    pub asked: bool,
    /// How many packages of the environment need it.
    pub needed_by: usize,
}

/// One package needs another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// The node that needs.
    pub from: usize,
    /// The node that is needed.
    pub to: usize,
    /// What is said of its version; empty where nothing is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub constraint: String,
}

impl Graph {
    /// What is at most `depth` steps away from the package `index`, in either direction.
    #[must_use]
    pub fn around(links: &Links<'_>, index: usize, depth: usize) -> Self {
        let mut layers = BTreeMap::from([(index, 0)]);
        for (steps, sign) in [(&links.needed_by, -1), (&links.needs, 1)] {
            let mut due = VecDeque::from([(index, 0_i32)]);
            while let Some((at, layer)) = due.pop_front() {
                if layer.unsigned_abs() as usize == depth {
                    continue;
                }
                for link in &steps[at] {
                    layers.entry(link.package).or_insert_with(|| {
                        due.push_back((link.package, layer + sign));
                        layer + sign
                    });
                }
            }
        }
        let around = links.environment.packages[index].name.clone();
        Self::of_layers(links, &layers, Some(around))
    }

    /// The whole environment. What a line asks for, or nothing needs, begins.
    #[must_use]
    pub fn whole(links: &Links<'_>) -> Self {
        let count = links.environment.packages.len();
        let begins =
            |index: &usize| links.asked[*index].iter().any(|line| !line.limits) || links.needed_by[*index].is_empty();
        let mut layers = (0..count)
            .filter(begins)
            .map(|index| (index, 0))
            .collect::<BTreeMap<_, _>>();
        let mut due = layers.keys().copied().collect::<VecDeque<_>>();
        while let Some(at) = due.pop_front() {
            for link in &links.needs[at] {
                if !layers.contains_key(&link.package) {
                    layers.insert(link.package, layers[&at] + 1);
                    due.push_back(link.package);
                }
            }
        }
        Self::of_layers(links, &layers, None)
    }

    fn of_layers(links: &Links<'_>, layers: &BTreeMap<usize, i32>, around: Option<String>) -> Self {
        let mut nodes = Vec::new();
        let mut places = BTreeMap::new();
        for (&index, &layer) in layers {
            let Package {
                name, version, manager, ..
            } = &links.environment.packages[index];
            places.insert(index, nodes.len());
            nodes.push(Node {
                name: name.clone(),
                version: version.clone(),
                manager: *manager,
                layer,
                asked: links.asked[index].iter().any(|line| !line.limits),
                needed_by: links.needed_by[index].len(),
            });
        }
        let mut edges = Vec::new();
        for (&index, &from) in &places {
            for link in &links.needs[index] {
                if let Some(&to) = places.get(&link.package) {
                    edges.push(Edge {
                        from,
                        to,
                        constraint: link.constraint.clone(),
                    });
                }
            }
        }
        Self {
            environment: links.environment.shown(),
            around,
            nodes,
            edges,
        }
    }

    /// The same with at most `most` packages in each layer, those that lines ask for and many need before others; and how many
    /// are left out of each layer.
    #[must_use]
    pub fn bounded(&self, most: usize) -> (Self, BTreeMap<i32, usize>) {
        let mut layers = BTreeMap::<i32, Vec<usize>>::new();
        for (index, node) in self.nodes.iter().enumerate() {
            layers.entry(node.layer).or_default().push(index);
        }
        let mut left_out = BTreeMap::new();
        let mut kept = BTreeSet::new();
        for (layer, mut indexes) in layers {
            indexes.sort_by_key(|&index| {
                let node = &self.nodes[index];
                (!node.asked, std::cmp::Reverse(node.needed_by), node.name.clone())
            });
            if indexes.len() > most {
                left_out.insert(layer, indexes.len() - most);
            }
            kept.extend(indexes.into_iter().take(most));
        }
        let places = kept.iter().zip(0..).collect::<BTreeMap<_, usize>>();
        let edges = self.edges.iter().filter_map(|edge| {
            Some(Edge {
                from: *places.get(&edge.from)?,
                to: *places.get(&edge.to)?,
                constraint: edge.constraint.clone(),
            })
        });
        let bounded = Self {
            environment: self.environment.clone(),
            around: self.around.clone(),
            nodes: kept.iter().map(|&index| self.nodes[index].clone()).collect(),
            edges: edges.collect(),
        };
        (bounded, left_out)
    }

    /// The graph in Graphviz's language.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut text = format!(
            "digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n",
            quoted(&self.environment)
        );
        for (index, node) in self.nodes.iter().enumerate() {
            let style = match (self.around.as_ref() == Some(&node.name) && node.layer == 0, node.asked) {
                (true, _) => ", style=\"bold,filled\"",
                (false, true) => ", style=bold",
                (false, false) => "",
            };
            let label = quoted(&format!("{} {}", node.name, node.version));
            let _ = writeln!(text, "  n{index} [label={label}{style}];");
        }
        for edge in &self.edges {
            let label = match edge.constraint.as_str() {
                "" => String::new(),
                constraint => format!(" [label={}]", quoted(constraint)),
            };
            let _ = writeln!(text, "  n{} -> n{}{label};", edge.from, edge.to);
        }
        text.push_str("}\n");
        text
    }
}

/// A text as Graphviz reads it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
