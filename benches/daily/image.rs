//! What is done with an image all day: nothing, a test after an edit, a package tried.

use std::path::Path;
use std::time::Duration;

use crate::measure::{Bar, Row, medians, time};
use crate::packages::repository;

pub fn measure(uv: &Path, rounds: usize) -> Vec<Row> {
    let repository = repository(true);
    let path = format!("{}:{}", uv.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let floe = |words: &[&str]| -> Duration {
        let mut command = repository.command(words);
        command
            .env("PATH", &path)
            .env("USE_FROZEN", "1")
            .env("TEST_SERVER", "0");
        time(&mut command)
    };
    floe(&["all", "roman"]);
    let imports = "missions/roman/environments/roman-cal/tests/imports";
    let before = std::fs::read_to_string(repository.path().join(imports)).unwrap();
    let mut edits = 0;
    let one = ["-E", "test(=roman-cal::imports::romancal)"];
    let [[build], [all], [edited], [attempt]] = medians(
        rounds,
        [
            &mut || [floe(&["build", "roman"])],
            &mut || [floe(&["all", "roman"])],
            &mut || {
                edits += 1;
                repository.write(imports, &format!("{before}# edit {edits}\n"));
                [floe(&["test", "roman", one[0], one[1]])]
            },
            &mut || [floe(&["try", "roman-cal", "toolz", one[0], one[1]])],
        ],
    );
    let alone = |what: &str, ours: Duration, bar: Option<u64>| {
        Row::alone(
            what,
            ours,
            bar.map(|seconds| Bar::Within(Duration::from_secs(seconds).into())),
        )
    };
    vec![
        alone("build, nothing changed", build, None),
        alone("all, nothing changed", all, None),
        alone("one test after one edit, with the build", edited, None),
        alone("a package tried, to the first result", attempt, Some(5)),
    ]
}
