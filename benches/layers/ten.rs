//! A mission of ten environments with a suite of notebooks each, of which one changes.

use std::process::Command;
use std::time::Duration;

use world::{Repository, notebook, run};

use crate::measure::{Bar, Row, medians, time};

/// The mission.
const OWN: &str = "bench-ten";

/// How many environments it has.
const ENVIRONMENTS: usize = 10;

/// What each of the notebooks of an environment does.
const CELL: &str = "import time\ntime.sleep(5)";

/// The tests after a change beside all of them.
pub fn measure(rounds: usize) -> Vec<Row> {
    let ten = Ten::new();
    let mut round = 0;
    let [[all], [carried]] = medians(
        rounds,
        [&mut || [ten.test_all()], &mut || {
            round += 1;
            [ten.test_changed(round)]
        }],
    );
    vec![Row::new(
        "the tests after one of ten environments changed",
        carried,
        ("all of them", all),
        Some(Bar::Times(0.2)),
    )]
}

struct Ten(Repository);

impl Ten {
    /// Needs the engine, and the network for packages.
    pub fn new() -> Self {
        let ten = Self(Repository::with_engine());
        for number in 0..ENVIRONMENTS {
            let directory = format!("missions/{OWN}/environments/env-{number}");
            let spec = "dependencies:\n  - python\n  - pip:\n      - ipykernel\n";
            ten.0.write(&format!("{directory}/env-{number}.yml"), spec);
            ten.0.write(&format!("{directory}/no-common"), "");
            for name in ["one", "two"] {
                ten.0
                    .write(&format!("{directory}/tests/{name}.ipynb"), &notebook(&[CELL]));
            }
        }
        run(&mut ten.command("build", &[]));
        ten
    }

    /// How long all tests take.
    pub fn test_all(&self) -> Duration {
        time(&mut self.command("test", &["--all-tests"]))
    }

    /// How long it takes to know of all tests after a file of one environment has changed, the image being there.
    pub fn test_changed(&self, round: usize) -> Duration {
        self.0.write(
            &format!("missions/{OWN}/environments/env-3/tests/round"),
            &round.to_string(),
        );
        run(&mut self.command("build", &[]));
        time(&mut self.command("test", &[]))
    }

    fn command(&self, what: &str, options: &[&str]) -> Command {
        let mut command = self.0.command(&[&[what, OWN], options].concat());
        command.env("USE_FROZEN", "0").env("TEST_SERVER", "0");
        command
    }
}
