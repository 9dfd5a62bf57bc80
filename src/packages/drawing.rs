//! A graph as a picture: packages in columns, what needs them to the left, what they need to the right.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Graph, Manager};

/// How many packages a column shows.
const MOST: usize = 24;

/// How many columns a picture of a whole environment has.
const COLUMNS: i32 = 4;

/// The measures, in pixels.
const ROW: usize = 30;
const HEIGHT: usize = 22;
const GAP: usize = 110;
const MARGIN: usize = 16;
const LETTER: usize = 7;

/// The colours, in light and dark.
const STYLE: &str = "\
svg{font:12px system-ui,sans-serif;--ink:#1f2328;--quiet:#656d76;--line:#afb8c1;--box:#f6f8fa;--mark:#0969da;--paper:#fff}\
@media(prefers-color-scheme:dark){svg{--ink:#e6edf3;--quiet:#8d96a0;--line:#484f58;--box:#161b22;--mark:#4493f8;--paper:#0d1117}}\
.paper{fill:var(--paper)}rect{fill:var(--box);stroke:var(--line)}text{fill:var(--ink)}.quiet{fill:var(--quiet)}\
path{fill:none;stroke:var(--line)}path.near{stroke:var(--mark);stroke-width:1.3}\
.asked rect{stroke:var(--ink)}.middle rect{stroke:var(--mark);stroke-width:2}.middle text{font-weight:600}";

/// The graph as SVG. Where a column would be too long, those that lines ask for and many need are shown, and how many are not is
/// said.
#[must_use]
pub fn svg(graph: &Graph) -> String {
    let (shown, mut left_out) = graph.bounded(MOST);
    let deep = |layer: i32| graph.around.is_none() && layer >= COLUMNS;
    let beyond = graph.nodes.iter().filter(|node| deep(node.layer)).count();
    left_out.retain(|layer, _| !deep(*layer));
    let mut columns = BTreeMap::<i32, Vec<usize>>::new();
    for (index, node) in shown.nodes.iter().enumerate() {
        if !deep(node.layer) {
            columns.entry(node.layer).or_default().push(index);
        }
    }
    let label = |index: usize| {
        let node = &shown.nodes[index];
        let pip = if node.manager == Manager::Pip { " pip" } else { "" };
        (node.name.clone(), format!("{}{pip}", node.version))
    };
    order(&mut columns, &shown);
    let tallest = columns
        .iter()
        .map(|(layer, nodes)| nodes.len() + usize::from(left_out.contains_key(layer)))
        .max();
    let tallest = tallest.unwrap_or_default();
    let mut places = BTreeMap::new();
    let mut boxes = String::new();
    let mut left = MARGIN;
    for (layer, nodes) in &columns {
        let length = |&index: &usize| {
            let (name, version) = label(index);
            name.chars().count() + version.chars().count() + 1
        };
        let width = nodes.iter().map(length).max().unwrap_or_default() * LETTER + 18;
        let rows = nodes.len() + usize::from(left_out.contains_key(layer));
        let mut top = MARGIN + ROW + (tallest - rows) * ROW / 2;
        for &index in nodes {
            let node = &shown.nodes[index];
            let class = match (graph.around.is_some() && node.layer == 0, node.asked) {
                (true, _) => "middle",
                (false, true) => "asked",
                (false, false) => "other",
            };
            let (name, version) = label(index);
            let _ = writeln!(
                boxes,
                "<g class=\"{class}\"><rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{HEIGHT}\" rx=\"5\"/>\
                 <text x=\"{}\" y=\"{}\">{} <tspan class=\"quiet\">{}</tspan></text></g>",
                left + 9,
                top + 15,
                escaped(&name),
                escaped(&version)
            );
            places.insert(index, (left, top + HEIGHT / 2, width));
            top += ROW;
        }
        if let Some(count) = left_out.get(layer) {
            let _ = writeln!(
                boxes,
                "<text class=\"quiet\" x=\"{}\" y=\"{}\">and {count} more</text>",
                left + 9,
                top + 15
            );
        }
        left += width + GAP;
    }
    let width = (left - GAP.min(left)).max(360) + MARGIN;
    let note = match (&graph.around, beyond) {
        (Some(name), _) => format!("what needs {name}, and what it needs, in {}", graph.environment),
        (None, 0) => graph.environment.clone(),
        (None, beyond) => format!("{}, without {beyond} packages that lie deeper", graph.environment),
    };
    let height = MARGIN * 2 + ROW + tallest * ROW;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\">\n<title>{0}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" stroke=\"none\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"quiet\" x=\"{MARGIN}\" y=\"{1}\">{0}</text>\n{2}{boxes}</svg>\n",
        escaped(&note),
        MARGIN + 12,
        lines(&shown, &places),
    )
}

/// Puts each column into the order of what it is connected with in the columns before.
fn order(columns: &mut BTreeMap<i32, Vec<usize>>, graph: &Graph) {
    let mut rows = BTreeMap::<usize, usize>::new();
    // From the middle, or from what begins, outwards.
    let mut layers = columns.keys().copied().collect::<Vec<_>>();
    layers.sort_by_key(|layer| layer.abs());
    for layer in layers {
        let Some(nodes) = columns.get_mut(&layer) else { continue };
        let mean = |index: usize| {
            let near = graph
                .edges
                .iter()
                .filter_map(|edge| match (edge.from == index, edge.to == index) {
                    (true, _) => rows.get(&edge.to),
                    (_, true) => rows.get(&edge.from),
                    _ => None,
                });
            let near = near.copied().collect::<Vec<_>>();
            (near.iter().sum::<usize>() * 100)
                .checked_div(near.len())
                .unwrap_or(usize::MAX)
        };
        nodes.sort_by_key(|&index| (mean(index), graph.nodes[index].name.clone()));
        rows.extend(nodes.iter().enumerate().map(|(row, &index)| (index, row)));
    }
}

/// The lines between boxes, from the left to the right only. What is said of the version is their title.
fn lines(graph: &Graph, places: &BTreeMap<usize, (usize, usize, usize)>) -> String {
    let mut lines = String::new();
    for edge in &graph.edges {
        let (from, to) = (&graph.nodes[edge.from], &graph.nodes[edge.to]);
        let (Some(&(left, top, width)), Some(&(right, bottom, _))) = (places.get(&edge.from), places.get(&edge.to))
        else {
            continue;
        };
        // What leads past the package in the middle says nothing of it.
        let leads_past = graph.around.is_some() && to.layer - from.layer > 1;
        if from.layer >= to.layer || leads_past {
            continue;
        }
        let near = graph.around.is_some() && (from.layer == 0 || to.layer == 0);
        let class = if near { " class=\"near\"" } else { "" };
        let start = left + width;
        let bend = (right.saturating_sub(start)) / 2;
        let _ = writeln!(
            lines,
            "<path{class} d=\"M{start} {top}C{} {top} {} {bottom} {right} {bottom}\"><title>{} needs {} {}</title></path>",
            start + bend,
            right - bend,
            escaped(&from.name),
            escaped(&to.name),
            escaped(&edge.constraint)
        );
    }
    lines
}

/// A text as XML reads it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
