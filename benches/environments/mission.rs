//! A mission with two environments, beside two missions with one of them each, built one after the other.

use world::Repository;

use super::measure::{Bar, Row, engine, medians, timed};

/// What the environments hold beside what all share.
const LIST: &str = "astropy\nsympy\n";

/// The names of its images begin with this.
const OWN: &str = "floe/bench-";

const ENVIRONMENTS: &[&str] = &["bench-one", "bench-two"];

/// Needs the engine. In every round, the engine has nothing of the environments, and all that is kept of packages is
/// warm.
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
        engine::forget(&[OWN]);
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
