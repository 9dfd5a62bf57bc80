//! A mission with two environments, beside two missions with one of them each, built one after the other.

use std::process::Command;

use world::{Repository, run};

use super::measure::{Bar, Row, medians, timed};

/// What the environments hold beside what all share.
const LIST: &str = "astropy\nsympy\n";

/// Every name of this benchmark's own begins with this.
const OWN: &str = "bench-";

const ENVIRONMENTS: &[&str] = &["bench-one", "bench-two"];

/// Needs the engine. Environments are built anew in every round, out of warm caches of packages.
pub fn measure(rounds: usize) -> Vec<Row> {
    let repository = Repository::with_engine();
    let build = |missions: &[(&str, &[&str])]| {
        for (mission, environments) in missions {
            for environment in *environments {
                // No step of an earlier round is taken for one of this round.
                let list = format!("# {}\n{LIST}", uuid::Uuid::new_v4());
                let path = format!("missions/{mission}/environments/{environment}/{environment}.pip");
                repository.write(&path, &list);
            }
        }
        let time = timed(|| {
            for (mission, _) in missions {
                repository.floe(&["build", mission]).expect(0);
            }
        });
        clean();
        time
    };
    // What both extend is there before the first round.
    build(&[("bench-pair", ENVIRONMENTS)]);
    let ours = &mut || [build(&[("bench-pair", ENVIRONMENTS)])];
    let theirs = &mut || {
        let (one, two) = ENVIRONMENTS.split_at(1);
        [build(&[("bench-one", one), ("bench-two", two)])]
    };
    let [[ours], [theirs]] = medians(rounds, [ours, theirs]);
    vec![Row::new(
        "build of a mission with 2 environments",
        ours,
        ("one after the other", theirs),
        Some(Bar::Times(0.65)),
    )]
}

/// Removes the images and the builder's steps of this benchmark, of which each round makes gigabytes.
fn clean() {
    let docker = |words: &[&str]| run(Command::new("docker").args(words));
    let listed = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let own = format!("floe/{OWN}");
    for image in listed.lines().filter(|image| image.starts_with(&own)) {
        docker(&["rmi", "--force", image]);
    }
    let steps = docker(&["system", "df", "--verbose", "--format", "{{json .BuildCache}}"]);
    let steps: Vec<serde_json::Value> = serde_json::from_str(&steps).unwrap();
    for step in steps {
        if let (Some(id), Some(text)) = (step["ID"].as_str(), step["Description"].as_str())
            && text.contains(OWN)
        {
            docker(&["builder", "prune", "--all", "--force", "--filter", &format!("id={id}")]);
        }
    }
}
