//! Layers of a large environment reach floe past the builder, where floe and the engine see the same files.

use std::fs;

use world::{Ended, PackageIndex, bridge_address};

use crate::counter::Counter;
use crate::workshop::{Workshop, docker};

/// More than what is worth a way of its own, and less than the packages of the missions here bring.
const LARGE: u64 = 256 << 20;

#[test]
fn layers_of_a_large_environment_lead_past_the_builder_where_it_sees_the_same_files() {
    let workshop = Workshop::new();
    let index = PackageIndex::of(&[("large-one", "1.0")], true);
    let list = format!(
        "--extra-index-url http://{}:{}/simple\nlarge-one\n",
        bridge_address(),
        index.server.port()
    );
    let temporary = workshop.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let counter = Counter::start(workshop.path());
    for (mission, seen) in [("seen", true), ("unseen", false)] {
        let directory = format!("missions/{mission}/environments/{mission}");
        workshop.write(&format!("{directory}/no-common"), "");
        workshop.write(&format!("{directory}/{mission}.pip"), &list);
        // So that what every mission's image lies on is there, and what is there of packages.
        workshop.floe(&["build", mission]).expect(0);
        docker(&["rmi", "--force", &image(&workshop, mission)]);
        let mut call = workshop.command(&["build", mission]);
        let mut call = counter.through(call.env("USE_FROZEN", "1"), &temporary, seen);
        counter.answered();
        let built = Ended::of(call.output().unwrap()).expect(0);
        let built = built.says(&["layers of packages, "]);
        let answered = counter.answered();
        assert_eq!(answered < LARGE / 4, seen, "{answered}: {}", built.stderr);
        assert_eq!(answered > LARGE, !seen, "{answered}: {}", built.stderr);
        let large = format!("/opt/conda/envs/{mission}/bin/python -c 'import large_one'");
        docker(&["run", "--rm", &image(&workshop, mission), "sh", "-c", &large]);
    }
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "nothing is left");
}

fn image(workshop: &Workshop, mission: &str) -> String {
    let told = workshop.floe(&["image", mission]).expect(0).stdout;
    told.split_whitespace().next().unwrap().to_owned()
}
