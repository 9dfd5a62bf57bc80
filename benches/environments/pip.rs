//! A pip list alone, installed into an environment of python and pip, beside pip itself.

use std::path::Path;

use world::run;

use super::measure::{Bar, Row, medians, time, time_to_last_word};
use super::specs;
use super::workplace::{Workplace, copy, remove};

/// All resolve the pins, find them in their caches and install them; pip compiles what it installs, and floe whatever in
/// the environment is not compiled, as the last that it does.
pub fn measure(workplace: &Workplace, rounds: usize) -> Vec<Row> {
    let sample = workplace.sample("piped", &["python=3.11", "pip"], &[]);
    let (prefix, kept) = (sample.prefix, workplace.prefix("piped-kept"));
    run(&mut copy(&prefix, &kept));
    let list = workplace.file("piped.pip", specs::PINS);
    let fresh = || {
        remove(&prefix);
        run(&mut copy(&kept, &prefix));
    };
    let python = prefix.join("bin/python");
    let install = |program: &Path, words: &[&str]| {
        fresh();
        let mut command = workplace.command(program);
        time(command.args(words).arg("--requirement").arg(&list))
    };
    let ours = &mut || {
        fresh();
        time_to_last_word(&mut workplace.floe(&["env-update", sample.name, list.to_str().unwrap()]))
    };
    let pip = &mut || {
        let words = ["-m", "pip", "install", "--quiet"];
        let installed = install(&python, &[&words[..], &["--no-compile"]].concat());
        [installed, install(&python, &words)]
    };
    let uv = &mut || {
        let words = ["pip", "install", "--quiet", "--python", python.to_str().unwrap()];
        [install(&workplace.uv(), &words); 2]
    };
    let [[ours_installed, ours], [pip_installed, pip], [uv, _]] = medians(rounds, [ours, pip, uv]);
    vec![
        Row::new(
            format!("env-update, {} pip packages", specs::PINS.lines().count()),
            ours,
            ("pip install", pip),
            Some(Bar::Times(0.2)),
        ),
        Row::new(
            "  without bytecode".to_owned(),
            ours_installed,
            ("pip install --no-compile", pip_installed),
            Some(Bar::Times(0.2)),
        ),
        Row::new(
            "  without bytecode, beside uv".to_owned(),
            ours_installed,
            ("uv pip install", uv),
            None,
        ),
    ]
}
