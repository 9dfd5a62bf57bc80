//! Why a package is there, and why in this version: the ways from lines of spec files to it, and what limits it.

use std::collections::VecDeque;
use std::fmt::Write as _;

use serde::Serialize;

use super::{Asked, Links, Manager, Package};

/// How many ways the text shows; JSON has them all.
const SHOWN: usize = 6;

/// How many limits the text shows.
const LIMITS_SHOWN: usize = 12;

/// Why a package is in an environment.
#[derive(Debug, Serialize)]
pub struct Why<'a> {
    /// Whose the environment is, and its name.
    pub environment: String,
    /// The package.
    pub package: &'a Package,
    /// The lines that ask for it by its name.
    pub asked: Vec<&'a Asked>,
    /// The shortest way from each other package that a line asks for, the shortest first.
    pub ways: Vec<Way<'a>>,
    /// The packages that need it, where no line leads to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needed_by: Vec<&'a str>,
    /// What limits its version, the narrowest kinds first.
    pub limits: Vec<Limit>,
    /// The package of the same name that another manager installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also: Option<&'a Package>,
    /// Whether it is known which lines ask for packages of this environment.
    #[serde(skip)]
    lines_known: bool,
    /// Whether it is not known what pip packages need, since the lock is without it.
    pub needs_unknown: bool,
}

/// A way from a line of a spec file to a package.
#[derive(Debug, Serialize)]
pub struct Way<'a> {
    /// The lines that ask for the first package.
    pub asked: Vec<&'a Asked>,
    /// The packages on the way, the one that is asked for first, the one in question last.
    pub steps: Vec<Step<'a>>,
}

/// A package on a way.
#[derive(Debug, Serialize)]
pub struct Step<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// What the package before it says of its version.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub constraint: String,
}

/// What limits the version of a package.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Who: a package and its version, or a line of a spec file.
    pub by: String,
    /// What it says.
    pub constraint: String,
}

impl<'a> Why<'a> {
    /// Why the package `index` is in the environment of `links`.
    #[must_use]
    pub fn of(links: &Links<'a>, index: usize) -> Self {
        let environment = links.environment;
        let package = &environment.packages[index];
        let (asked, limiting): (Vec<_>, Vec<_>) = links.asked[index].iter().copied().partition(|line| !line.limits);
        let mut limits = asked
            .iter()
            .chain(&limiting)
            .filter(|line| !line.constraint.is_empty())
            .map(|line| Limit {
                by: line.place(),
                constraint: line.constraint.clone(),
            })
            .collect::<Vec<_>>();
        let others = links.needed_by[index].iter().chain(&links.limited_by[index]);
        limits.extend(others.filter(|link| !link.constraint.is_empty()).map(|link| {
            let by = &environment.packages[link.package];
            Limit {
                by: format!("{} {}", by.name, by.shown_version()),
                constraint: link.constraint.clone(),
            }
        }));
        limits.sort_by(|a, b| (narrowness(&a.constraint), &a.by).cmp(&(narrowness(&b.constraint), &b.by)));
        limits.dedup();
        let ways = ways(links, index);
        let needed_by = links.needed_by[index]
            .iter()
            .filter(|_| asked.is_empty() && ways.is_empty());
        let needed_by = needed_by
            .map(|link| environment.packages[link.package].name.as_str())
            .collect();
        let also = environment.called(&package.name).find(|other| *other != index);
        let mut pip = environment
            .packages
            .iter()
            .filter(|package| package.manager == Manager::Pip);
        let any_pip = pip.clone().next().is_some();
        Self {
            environment: environment.shown(),
            package,
            asked,
            ways,
            needed_by,
            limits,
            lines_known: !environment.asked.is_empty(),
            also: also.map(|other| &environment.packages[other]),
            needs_unknown: any_pip && pip.all(|package| package.needs.is_empty()),
        }
    }

    /// The reasons, for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let package = self.package;
        let manager = package.manager.word();
        let build = package
            .build
            .as_ref()
            .map(|build| format!(", {build}"))
            .unwrap_or_default();
        let mut text = format!(
            "{} {} in {} ({manager}{build})\n",
            package.name,
            package.shown_version(),
            self.environment
        );
        if let Some(also) = self.also {
            let _ = writeln!(
                text,
                "  claimed by {manager} and {}, which has {}: the one that was installed last is in use",
                also.manager.word(),
                also.shown_version()
            );
        }
        self.reasons(&mut text);
        if !self.limits.is_empty() {
            text.push_str("  limited by\n");
            let shown = self.limits.iter().take(LIMITS_SHOWN);
            let width = shown
                .clone()
                .map(|limit| limit.by.chars().count())
                .max()
                .unwrap_or_default();
            for limit in shown {
                let _ = writeln!(text, "    {:width$}  {}", limit.by, limit.constraint);
            }
            more(&mut text, self.limits.len(), LIMITS_SHOWN);
        }
        text
    }

    fn reasons(&self, text: &mut String) {
        if !self.asked.is_empty() {
            text.push_str("  asked for by\n");
            let width = self.asked.iter().map(|line| line.place().chars().count()).max();
            for line in &self.asked {
                let _ = writeln!(
                    text,
                    "    {:width$}  {}",
                    line.place(),
                    line.text,
                    width = width.unwrap_or_default()
                );
            }
        }
        if !self.ways.is_empty() {
            text.push_str("  needed by what is asked for\n");
            for way in self.ways.iter().take(SHOWN) {
                let place = way.asked.first().map(|line| line.place()).unwrap_or_default();
                let steps = way.steps.iter().map(|step| step.name).collect::<Vec<_>>();
                let _ = writeln!(text, "    {}  ({place})", steps.join(" → "));
            }
            more(text, self.ways.len(), SHOWN);
        }
        if !self.needed_by.is_empty() {
            let unasked = if self.lines_known {
                ", for which no line asks"
            } else {
                ""
            };
            let _ = writeln!(text, "  needed by {}{unasked}", self.needed_by.join(", "));
        }
        if self.asked.is_empty() && self.ways.is_empty() && self.needed_by.is_empty() {
            text.push_str(if self.needs_unknown {
                "  no line asks for it, and what pip packages need is not in the lock; `floe freeze` writes it there\n"
            } else {
                "  no line asks for it, and no package needs it\n"
            });
        }
    }
}

fn more(text: &mut String, count: usize, shown: usize) {
    if count > shown {
        let _ = writeln!(text, "    and {} more, which --format json lists", count - shown);
    }
}

/// Which constraints are likely to hold a package back: those with an upper end come first.
fn narrowness(constraint: &str) -> u8 {
    let clauses = constraint.split([',', '|']).map(str::trim);
    if constraint.contains('<') {
        0
    } else if clauses.into_iter().any(|clause| !clause.starts_with(['>', '!'])) {
        1
    } else {
        2
    }
}

/// The shortest way from each package that is asked for to `index`, which itself is left out.
fn ways<'a>(links: &Links<'a>, index: usize) -> Vec<Way<'a>> {
    let environment = links.environment;
    let packages = &environment.packages;
    // From each package that leads there, the next one on the shortest way, and what is said of that one.
    let mut next = vec![None; packages.len()];
    let mut due = VecDeque::from([index]);
    while let Some(at) = due.pop_front() {
        for link in &links.needed_by[at] {
            if link.package != index && next[link.package].is_none() {
                next[link.package] = Some((at, link.constraint.as_str()));
                due.push_back(link.package);
            }
        }
    }
    let mut ways = Vec::new();
    for (from, _) in next.iter().enumerate().filter(|(_, next)| next.is_some()) {
        let asked = links.asked[from]
            .iter()
            .copied()
            .filter(|line| !line.limits)
            .collect::<Vec<_>>();
        if asked.is_empty() {
            continue;
        }
        let step = |at: usize, constraint: &str| Step {
            name: &packages[at].name,
            version: &packages[at].version,
            constraint: constraint.to_owned(),
        };
        let mut steps = vec![step(from, "")];
        let mut at = from;
        while let Some((to, constraint)) = next[at] {
            steps.push(step(to, constraint));
            at = to;
        }
        ways.push(Way { asked, steps });
    }
    ways.sort_by(|a, b| (a.steps.len(), a.steps[0].name).cmp(&(b.steps.len(), b.steps[0].name)));
    ways
}
