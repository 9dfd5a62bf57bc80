//! The copy of a large environment that runs from its own place, beside a copy that does not.

use super::measure::{Bar, Row, medians, time};
use super::workplace::{Workplace, copy, remove};

/// Both copy out of the memory of the system.
pub fn measure(workplace: &Workplace, rounds: usize) -> Vec<Row> {
    let sample = workplace.large();
    let files = walkdir::WalkDir::new(&sample.prefix).into_iter().flatten();
    let files = files.filter(|entry| !entry.file_type().is_dir()).count();
    assert!(files >= 10_000, "{files} files are too few");
    let clone = workplace.prefix("cloned");
    let ours = &mut || {
        remove(&clone);
        [time(&mut workplace.floe(&["env-clone", sample.name, "cloned"]))]
    };
    let plain = workplace.prefix("copied");
    let theirs = &mut || {
        remove(&plain);
        [time(&mut copy(&sample.prefix, &plain))]
    };
    let [[ours], [theirs]] = medians(rounds, [ours, theirs]);
    let what = format!("env-clone, {files} files");
    vec![Row::new(what, ours, ("cp -a", theirs), Some(Bar::Times(2.0)))]
}
