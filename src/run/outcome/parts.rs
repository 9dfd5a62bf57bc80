//! Whether the runs that are read as one are the whole of something: a run by itself, or every part of a divided one.
//!
//! A part that is lost leaves no trace in the others, so what is there must prove that nothing is missing: the parts
//! are of one image and of the same definitions, each of them is there exactly once, and their tests together are those
//! that were asked for.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::event::RunStarted;
use crate::reference::TestId;

/// What is wrong with `runs` as a whole, mission by mission. `complete` says whether a single part must have the others
/// beside it.
pub(super) fn problems(runs: &[RunStarted], complete: bool) -> Vec<String> {
    let missions = runs.iter().map(|run| run.mission.as_str()).collect::<BTreeSet<_>>();
    let mut problems = Vec::new();
    for mission in missions {
        let runs = runs.iter().filter(|run| run.mission == mission).collect::<Vec<_>>();
        if runs.len() > 1 || complete {
            problems.extend(of_mission(mission, &runs));
        }
    }
    problems
}

fn of_mission(mission: &str, runs: &[&RunStarted]) -> Vec<String> {
    let mut problems = Vec::new();
    let parts = runs.iter().filter_map(|run| run.part).collect::<Vec<_>>();
    if parts.is_empty() && runs.len() == 1 {
        return problems;
    }
    let names = || list(runs.iter().map(|run| &run.run));
    if parts.len() < runs.len() {
        problems.push(format!("runs of {mission} that are no parts of one run: {}", names()));
        return problems;
    }
    let sides = [
        (
            "have different numbers of parts",
            sides(runs, |run| run.part.map(|part| part.of)),
        ),
        ("tested different images", sides(runs, |run| Some(&run.image))),
        (
            "had different test definitions",
            sides(runs, |run| run.definitions.as_ref()),
        ),
        (
            "were asked for different tests",
            sides(runs, |run| run.selected.as_ref()),
        ),
    ];
    for (how, sides) in sides.into_iter().filter(|(_, sides)| sides.len() > 1) {
        problems.push(format!("the parts of {mission} {how}: {}", sides.join(" against ")));
    }
    let of = parts.iter().map(|part| part.of).max().unwrap_or_default();
    let times = |index: u32| parts.iter().filter(|part| part.index == index).count();
    for (what, wrong) in [
        (
            "missing",
            (1..=of).filter(|&index| times(index) == 0).collect::<Vec<_>>(),
        ),
        (
            "there more than once",
            (1..=of).filter(|&index| times(index) > 1).collect(),
        ),
    ] {
        if !wrong.is_empty() {
            problems.push(format!("parts of {mission} that are {what}: {} of {of}", list(&wrong)));
        }
    }
    let together = TestId::digest(runs.iter().flat_map(|run| &run.expected));
    if problems.is_empty() && runs[0].selected.as_ref() != Some(&together) {
        problems.push(format!(
            "the parts of {mission} together are not the tests that were asked for"
        ));
    }
    problems
}

/// The runs that agree with each other, by their names: one entry where all do, else the most first.
fn sides<'a, T: PartialEq>(runs: &[&'a RunStarted], of: impl Fn(&'a RunStarted) -> T) -> Vec<String> {
    let mut sides = Vec::<(T, Vec<&str>)>::new();
    for run in runs {
        let value = of(run);
        match sides.iter_mut().find(|(known, _)| *known == value) {
            Some((_, side)) => side.push(&run.run),
            None => sides.push((value, vec![&run.run])),
        }
    }
    sides.sort_by_key(|(_, side)| std::cmp::Reverse(side.len()));
    sides.into_iter().map(|(_, side)| list(side)).collect()
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items = items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>();
    items.join(", ")
}
