//! Which version of a package is in which environment.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Asked, Environment, Links, Package};
use crate::quantity::bytes;
use crate::spec::frozen::normalized;

/// The packages of environments, one by one.
#[derive(Debug, Serialize)]
pub struct Listing<'a> {
    /// The packages, by name, then in the order of the environments.
    pub packages: Vec<Row<'a>>,
    /// The environments whose packages are not known, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Unknown<'a>>,
}

/// A package where it is.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    /// Whose the environment is, and its name.
    pub environment: String,
    /// The package.
    #[serde(flatten)]
    pub package: &'a Package,
    /// Whether conda and pip both claim it in this environment.
    pub claimed_twice: bool,
    /// The lines that ask for it or limit it.
    pub asked: Vec<&'a Asked>,
    /// The names of what needs it.
    pub needed_by: Vec<&'a str>,
}

/// An environment whose packages are not known.
#[derive(Debug, Serialize)]
pub struct Unknown<'a> {
    /// Whose the environment is, and its name.
    pub environment: String,
    /// Why they are not known.
    pub reason: &'a str,
    /// The lines of its spec files that ask for what is looked for.
    pub asked: Vec<&'a Asked>,
}

impl<'a> Listing<'a> {
    /// The packages that one of `names` stands for; all of them, if there is none.
    #[must_use]
    pub fn of(environments: &'a [Environment], names: &[String]) -> Self {
        let mut packages = Vec::new();
        let mut unknown = Vec::new();
        for environment in environments {
            if let Some(reason) = &environment.unknown {
                let is_meant = |line: &&Asked| {
                    let mut names = names.iter();
                    names.any(|name| normalized(name) == normalized(&line.name))
                };
                unknown.push(Unknown {
                    environment: environment.shown(),
                    reason,
                    asked: environment.asked.iter().filter(is_meant).collect(),
                });
                continue;
            }
            let links = Links::of(environment);
            let twice = environment.claimed_twice();
            for (index, package) in environment.packages.iter().enumerate() {
                if !names.is_empty() && !names.iter().any(|name| package.is_called(name)) {
                    continue;
                }
                let claimed_twice = twice.contains(&normalized(&package.name).as_str());
                packages.push(Self::row(&links, index, claimed_twice));
            }
        }
        packages.sort_by(|a, b| (&a.package.name, &a.environment).cmp(&(&b.package.name, &b.environment)));
        Self { packages, unknown }
    }

    /// A package of an environment.
    pub(super) fn row(links: &Links<'a>, index: usize, claimed_twice: bool) -> Row<'a> {
        let packages = &links.environment.packages;
        let needed_by = links.needed_by[index].iter();
        Row {
            environment: links.environment.shown(),
            package: &packages[index],
            claimed_twice,
            asked: links.asked[index].clone(),
            needed_by: needed_by.map(|link| packages[link.package].name.as_str()).collect(),
        }
    }

    /// Puts the largest first.
    pub fn sort_by_size(&mut self) {
        self.packages.sort_by_key(|row| std::cmp::Reverse(row.package.size));
    }

    /// A line for each, in columns.
    #[must_use]
    pub fn to_text(&self) -> String {
        let rows = self.packages.iter().map(|row| {
            let twice = if row.claimed_twice { ", and twice" } else { "" };
            [
                row.package.name.clone(),
                row.package.shown_version().to_owned(),
                format!("{}{twice}", row.package.manager.word()),
                row.package.size.map(bytes).unwrap_or_default(),
                row.environment.clone(),
                row.why(),
            ]
        });
        columns(&rows.collect::<Vec<_>>())
    }
}

impl Row<'_> {
    /// In a few words who wants it.
    pub(super) fn why(&self) -> String {
        let asked = self.asked.iter().find(|line| !line.limits);
        match (asked, self.needed_by.as_slice()) {
            (Some(line), _) => {
                let others = self.asked.iter().filter(|line| !line.limits).count() - 1;
                let others = if others > 0 {
                    format!(" and {others} more")
                } else {
                    String::new()
                };
                format!("{}{others}", line.place())
            }
            (None, []) => String::new(),
            (None, [one]) => format!("needed by {one}"),
            (None, [one, two]) => format!("needed by {one} and {two}"),
            (None, [one, two, others @ ..]) => format!("needed by {one}, {two} and {} more", others.len()),
        }
    }
}

/// The rows as lines whose columns begin below each other.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths = (0..N).map(width).collect::<Vec<_>>();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
