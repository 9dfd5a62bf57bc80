//! Notebooks by floe, by papermill one after the other, and by pytest with nbmake and xdist.

use std::time::Duration;

use world::run;

use super::measure::{Bar, Row, medians, spent};
use super::workplace::{Notebooks, Workplace};

const COUNT: usize = 20;

/// Nothing that takes time but the kernel itself.
const TINY: &[&str] = &["x = 1 + 1", "print(x)", "assert x == 2"];

/// What most notebooks of a science platform begin with.
const SCIENCE: &[&str] = &[
    "import numpy as np\nimport pandas as pd\nimport matplotlib.pyplot as plt",
    "frame = pd.DataFrame({'x': np.arange(100), 'y': np.random.default_rng(1).normal(size=100)})\nframe.describe()",
    "plt.plot(frame.x, frame.y)\nplt.show()",
];

/// Beside both of the others, by the clock and by what the processors did.
pub fn tiny(workplace: &Workplace, rounds: usize) -> Vec<Row> {
    let notebooks = Notebooks::new(COUNT, TINY);
    let [[warm, warm_work], [cold, _], [papermill, papermill_work], [nbmake, _]] = medians(
        rounds,
        [
            &mut || floe(workplace, &notebooks, &[]),
            &mut || floe(workplace, &notebooks, &["--cold"]),
            &mut || papermill(workplace, &notebooks),
            &mut || nbmake(workplace, &notebooks),
        ],
    );
    let what = format!("{COUNT} tiny notebooks, 2 at a time");
    let papermill = ("papermill, one by one", papermill);
    vec![
        Row::new(&what, warm, papermill, Some(Bar::Times(0.15))),
        Row::new("  beside nbmake", warm, ("nbmake -n 2", nbmake), Some(Bar::Times(0.3))),
        Row::new(
            "  work of the processors",
            warm_work,
            ("papermill, one by one", papermill_work),
            Some(Bar::Times(0.3)),
        ),
        Row::new("  each from a cold kernel", cold, papermill, None),
    ]
}

/// Beside nbmake.
pub fn science(workplace: &Workplace, rounds: usize) -> Vec<Row> {
    let notebooks = Notebooks::new(COUNT, SCIENCE);
    let [[ours, _], [theirs, _]] = medians(
        rounds,
        [&mut || floe(workplace, &notebooks, &[]), &mut || {
            nbmake(workplace, &notebooks)
        }],
    );
    vec![Row::new(
        format!("{COUNT} notebooks with numpy, pandas and matplotlib"),
        ours,
        ("nbmake -n 2", theirs),
        Some(Bar::Times(0.5)),
    )]
}

fn floe(workplace: &Workplace, notebooks: &Notebooks, flags: &[&str]) -> [Duration; 2] {
    let words = ["test-notebooks"].iter().chain(flags).chain(&["base"]);
    let words = words.copied().chain(notebooks.names()).collect::<Vec<_>>();
    let mut command = workplace.floe(&words);
    spent(|| run(command.current_dir(notebooks.path())))
}

fn papermill(workplace: &Workplace, notebooks: &Notebooks) -> [Duration; 2] {
    let out = tempfile::tempdir().unwrap();
    spent(|| {
        for name in notebooks.names() {
            let mut command = workplace.command("papermill");
            command
                .args(["--no-progress-bar", name])
                .arg(out.path().join(name))
                .current_dir(notebooks.path());
            run(&mut command);
        }
    })
}

fn nbmake(workplace: &Workplace, notebooks: &Notebooks) -> [Duration; 2] {
    let mut command = workplace.command("pytest");
    command
        .args(["-q", "-n", "2", "--nbmake", "."])
        .current_dir(notebooks.path());
    spent(|| run(&mut command))
}
