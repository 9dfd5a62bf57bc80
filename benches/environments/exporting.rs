//! The frozen spec of a large environment, beside what `freeze` says of its pip packages alone.

use std::time::Duration;

use super::measure::{Bar, Row, medians, time};
use super::workplace::Workplace;

/// Without the digests that only an index knows, as they are asked for over the network.
pub fn measure(workplace: &Workplace, rounds: usize) -> Vec<Row> {
    let sample = workplace.large();
    let count = sample.frozen.conda.len() + sample.frozen.pip.len();
    assert!(count >= 100, "{count} packages are too few");
    let python = sample.prefix.join("bin/python");
    let ours = &mut || [time(&mut workplace.floe(&["env-export", sample.name]))];
    let pip = &mut || [time(workplace.command(&python).args(["-m", "pip", "freeze"]))];
    let uv = &mut || {
        let mut freeze = workplace.command(&workplace.uv());
        [time(freeze.args(["pip", "freeze", "--python"]).arg(&python))]
    };
    // Short times vary the more.
    let [[ours], [pip], [uv]] = medians(rounds * 3, [ours, pip, uv]);
    vec![
        Row::new(
            format!("env-export, {count} packages"),
            ours,
            ("pip freeze", pip),
            Some(Bar::Within(Duration::from_millis(50).into())),
        ),
        Row::new("  the same beside uv", ours, ("uv pip freeze", uv), None),
    ]
}
