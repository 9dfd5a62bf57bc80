//! Missions of many small packages of an index of this benchmark's own, for what a package costs by itself.

use std::process::Command;
use std::time::Duration;

use world::{PackageIndex, Repository, bridge_address, run};

use crate::measure::{Bar, Row, medians, time};
use crate::mission::{Form, forget};

/// How many packages the missions have.
const COUNTS: [usize; 2] = [200, 800];

/// The larger mission beside the smaller one, in both forms.
pub fn measure(rounds: usize) -> Vec<Row> {
    let many = Many::new();
    let [few, most] = COUNTS;
    let [[few_assembled], [most_assembled], [few_staged], [most_staged]] = medians(
        rounds,
        [
            &mut || [many.build(few, Form::Assembled)],
            &mut || [many.build(most, Form::Assembled)],
            &mut || [many.build(few, Form::Staged)],
            &mut || [many.build(most, Form::Staged)],
        ],
    );
    let bar = Some(Bar::Times(4.0));
    vec![
        Row::new(
            format!("frozen spec to image, {most} small packages"),
            most_assembled,
            ("200 of them", few_assembled),
            bar,
        ),
        Row::new(
            "  by env-create, in a stage",
            most_staged,
            ("200 of them", few_staged),
            bar,
        ),
    ]
}

struct Many {
    repository: Repository,
    index: PackageIndex,
}

impl Many {
    /// Needs the engine, whose containers reach this machine by the bridge.
    fn new() -> Self {
        let most = COUNTS[COUNTS.len() - 1];
        let names = (0..most).map(|number| format!("small-{number:03}")).collect::<Vec<_>>();
        let packages = names.iter().map(|name| (name.as_str(), "1.0")).collect::<Vec<_>>();
        let many = Self {
            repository: Repository::with_engine(),
            index: PackageIndex::of(&packages, true),
        };
        let index = format!("http://{}:{}/simple", bridge_address(), many.index.server.port());
        for count in COUNTS {
            let mission = mission(count);
            let directory = format!("missions/{mission}/environments/{mission}");
            many.repository.write(&format!("{directory}/no-common"), "");
            let list = format!("--extra-index-url {index}\n{}\n", names[..count].join("\n"));
            many.repository.write(&format!("{directory}/{mission}.pip"), &list);
            run(many.command(count).env("USE_FROZEN", "0"));
        }
        many
    }

    /// How long a build takes, of an image that the engine has nothing of, of the mission of so many packages.
    fn build(&self, count: usize, form: Form) -> Duration {
        forget();
        let mut build = self.command(count);
        time(build.env("USE_FROZEN", "1").env("ASSEMBLE_LAYERS", form.setting()))
    }

    fn command(&self, count: usize) -> Command {
        self.repository.command(&["build", &mission(count)])
    }
}

fn mission(count: usize) -> String {
    format!("bench-layers-{count}")
}

impl Drop for Many {
    fn drop(&mut self) {
        forget();
    }
}
