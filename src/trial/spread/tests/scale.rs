//! A thousand shards, lost machines and slow ones: how long a run takes then, beside how long it would take at best.
//!
//! `docs/scale.md` has these figures; `just documents` writes them.

use std::fmt::Write as _;
use std::path::Path;

use super::engines::{Ran, Several};
use super::simulation::Time;
use super::*;
use crate::event::Record;

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Between 0 and 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of a normal distribution, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.unit().max(f64::MIN_POSITIVE), self.unit());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

/// The longest notebook, which is what a time limit leaves.
const LONGEST: f64 = 600.0;

/// So many notebooks: half take less than twenty seconds, and one in fifty more than two and a half minutes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "minutes, in milliseconds"
)]
fn notebooks(number: usize) -> Vec<(TestId, Time)> {
    let mut random = Random(12);
    let mut seconds = || (20.0 * random.normal().exp()).min(LONGEST);
    let numbers = 0..number;
    numbers
        .map(|number| {
            let id = TestId::notebook("e", &format!("{number:05}.ipynb"));
            (id, (seconds() * 1000.0) as Time)
        })
        .collect()
}

/// What befalls a run.
#[derive(Clone, Copy, Default)]
struct Fate {
    /// Whether nothing is known of how long tests take.
    unknown: bool,
    /// How many of a hundred machines go away at some moment, for good.
    lost: usize,
    /// How many times longer everything takes on one machine.
    slow: Option<Time>,
}

const GOOD: Fate = Fate {
    unknown: false,
    lost: 0,
    slow: None,
};

/// How long a container takes to start, as the simulated engines have it.
const START: Time = 1000;

/// What earlier runs tell of notebooks.
#[expect(clippy::cast_precision_loss, reason = "minutes, in milliseconds")]
fn known(tests: &[(TestId, Time)]) -> BTreeMap<TestId, Expected> {
    let known = tests.iter().map(|(id, time)| {
        let expected = Expected {
            seconds: *time as f64 / 1000.0,
            memory: Some(300 << 20),
        };
        (id.clone(), expected)
    });
    known.collect()
}

/// Runs notebooks on so many machines in so many shards.
fn run(tests: &[(TestId, Time)], machines: usize, shards: usize, fate: Fate) -> Ran {
    let known = if fate.unknown { BTreeMap::new() } else { known(tests) };
    let ideal = ideal(tests, machines);
    let mut random = Random(5);
    let mut engines = vec![(None, 1); machines];
    for engine in engines.iter_mut().take(machines * fate.lost / 100) {
        engine.0 = Some(random.next() % ideal);
    }
    if let (Some(slower), Some(engine)) = (fate.slow, engines.last_mut()) {
        engine.1 = slower;
    }
    let ran = Several::of(tests, shards, known, &engines, &[]).run();
    assert!(ran.outcome.passed, "{:?}", ran.outcome.problems);
    assert_eq!(ran.outcome.summary.passed, tests.len());
    assert!(ran.verdicts().values().all(|verdicts| *verdicts == 1));
    ran
}

/// How long it takes at best: no machine is ever idle, and the longest test is no shorter.
fn ideal(tests: &[(TestId, Time)], machines: usize) -> Time {
    let all = tests.iter().map(|(_, time)| time).sum::<Time>();
    let longest = tests.iter().map(|(_, time)| *time).max().unwrap_or(0);
    (all / machines as Time).max(longest)
}

#[expect(clippy::cast_precision_loss, reason = "hours, in milliseconds")]
fn ratio(time: Time, ideal: Time) -> f64 {
    time as f64 / ideal as f64
}

/// How long the longest of so many shards takes, about.
fn longest_shard(tests: &[(TestId, Time)], shards: usize) -> Time {
    ideal(tests, shards) + START
}

#[test]
fn a_thousand_shards_take_little_longer_than_work_that_is_divided_at_best() {
    let tests = notebooks(2000);
    let (machines, shards) = (100, 1000);
    let ideal = ideal(&tests, machines);
    let good = run(&tests, machines, shards, GOOD);
    let overhead = ratio(good.time, ideal);
    assert!(overhead < 1.15, "{overhead}");
    // A twentieth of the machines goes away: so much is left to the others, and a shard that was lost last runs again.
    let lost = run(&tests, machines, shards, Fate { lost: 5, ..GOOD });
    let shard = longest_shard(&tests, shards);
    let overhead = ratio(lost.time - shard.min(lost.time), good.time);
    assert!(overhead < 1.15, "{overhead}");
}

#[test]
fn a_slow_machine_holds_up_no_more_than_a_shard_of_its_own() {
    let tests = notebooks(2000);
    let (machines, shards) = (100, 1000);
    let good = run(&tests, machines, shards, GOOD);
    let slower = 5;
    let slow = run(
        &tests,
        machines,
        shards,
        Fate {
            slow: Some(slower),
            ..GOOD
        },
    );
    let all = tests.iter().map(|(_, time)| time).sum::<Time>();
    let longest = tests.iter().map(|(_, time)| *time).max().unwrap();
    let shard = (all / shards as Time).max(longest) + START;
    assert!(
        slow.time <= good.time + shard * slower,
        "{} and {}",
        slow.time,
        good.time
    );
}

#[test]
fn unknown_times_cost_less_the_more_shards_there_are() {
    let tests = notebooks(1000);
    let fate = Fate { unknown: true, ..GOOD };
    let [few, many] = [10, 100].map(|shards| run(&tests, 10, shards, fate).time);
    assert!(many < few, "{many} and {few}");
}

/// What `docs/scale.md` has of it.
fn table() -> String {
    let tests = notebooks(1000);
    let all = tests.iter().map(|(_, time)| time).sum::<Time>();
    let longest = tests.iter().map(|(_, time)| *time).max().unwrap();
    let mut table = format!(
        "1,000 notebooks that take {:.1} hours one after the other, the longest {} minutes; a container starts in {} s.\n\n\
         | machines | shards | at best | all is well | times unknown | 5 % of the machines lost | one machine 5 times slower |\n\
         |--:|--:|--:|--:|--:|--:|--:|\n",
        ratio(all, 3_600_000),
        longest / 60_000,
        START / 1000,
    );
    for machines in [10, 100] {
        let best = ideal(&tests, machines);
        for each in [1, 4, 10] {
            let shards = machines * each;
            let cell = |fate: Fate| minutes(run(&tests, machines, shards, fate).time);
            let _ = writeln!(
                table,
                "| {machines} | {shards} | {} | {} | {} | {} | {} |",
                minutes(best),
                cell(GOOD),
                cell(Fate { unknown: true, ..GOOD }),
                if machines < 100 {
                    "—".to_owned()
                } else {
                    cell(Fate { lost: 5, ..GOOD })
                },
                cell(Fate { slow: Some(5), ..GOOD }),
            );
        }
    }
    table
}

/// What many missions come to, by the work of one: a job for each, on as many machines as there are.
fn reckoned() -> String {
    let tests = notebooks(1000);
    let hours = |time: Time| ratio(time, 3_600_000);
    let work = hours(tests.iter().map(|(_, time)| time).sum());
    let longest = hours(tests.iter().map(|(_, time)| *time).max().unwrap());
    let mut table =
        "| missions | notebooks | hours of machines | on 10 machines | on 100 machines | on 1,000 machines |\n\
                     |--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
    for (missions, name, notebooks) in [
        (10.0, "10", "10,000"),
        (100.0, "100", "100,000"),
        (1000.0, "1,000", "1,000,000"),
    ] {
        let all = missions * (work + BUILD);
        let _ = write!(table, "| {name} | {notebooks} | {all:.0}");
        for machines in [10.0, 100.0, 1000.0] {
            let time = (all / machines * IDLE).max(longest + BUILD);
            let _ = match time {
                time if time < 48.0 => write!(table, " | {time:.1} h"),
                time => write!(table, " | {:.0} days", time / 24.0),
            };
        }
        table.push_str(" |\n");
    }
    table
}

/// How many hours the build and the pulls of a mission take, as the page says.
const BUILD: f64 = 1.0 / 6.0;

/// What is idle at the end of a run comes on top, as the page says.
const IDLE: f64 = 1.1;

/// What a run and a shard of a thousand notebooks come to in bytes.
fn sizes() -> String {
    let tests = notebooks(1000);
    let several = Several::of(&tests, 1, known(&tests), &[(None, 1)], &[]);
    let ran = several.run();
    let lines = ran.events.iter().map(|event| {
        let line = serde_json::to_string(&Record::now(event.clone()));
        line.unwrap().len() + 1
    });
    let part = several.trial.of(
        several.trial.expected.clone(),
        several.trial.stages[0].clone(),
        known(&tests),
    );
    let request = part.stages[0].request(&part.request).variables();
    let asked = request.values().map(String::len).sum::<usize>();
    format!(
        "\nThe log of a run has {} kB for a thousand notebooks that pass and print nothing. A shard is asked for a thousand of them in {} kB.\n",
        lines.sum::<usize>().div_ceil(10_000) * 10,
        asked.div_ceil(10_000) * 10,
    )
}

fn minutes(time: Time) -> String {
    format!("{:.1} min", ratio(time, 60_000))
}

#[test]
fn the_page_has_the_figures_of_the_simulation() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scale.md");
    world::document::assert_section(&page, "simulated", &(table() + &sizes()));
    world::document::assert_section(&page, "reckoned", &reckoned());
}
