//! `floe status --live`: what really runs, beside what the files name.

use std::time::Instant;

use serde_json::{Value, json};

use super::place::{LINES, Place};

fn live(place: &Place, words: &[&str]) -> Vec<Value> {
    let words = [&["status", "--live", "--format", "json"], words].concat();
    let printed = place.floe(&words).expect(0).stdout;
    let status: Value = serde_json::from_str(&printed).unwrap();
    let stages = status["stages"].as_array().unwrap();
    stages.iter().map(|stage| stage["live"].clone()).collect()
}

#[test]
fn status_shows_what_runs_beside_what_the_files_name_where_it_is_asked_to() {
    let place = Place::new(&[&format!("name: staging, {LINES}"), "name: prod"]);
    let row = |stage: &str| {
        let shown = place.floe(&["status", "--live"]).expect(0).stdout;
        let row = shown.lines().find(|line| line.starts_with(&format!("hub/{stage} ")));
        (row.unwrap_or_default().to_owned(), shown.clone())
    };
    place.write("live", &place.image());
    assert!(row("staging").0.ends_with("  the same"), "{}", row("staging").1);
    assert!(row("prod").0.ends_with("  no status line"), "{}", row("prod").1);
    let stages = live(&place, &[]);
    assert_eq!(
        stages[0],
        json!({"state": "runs", "image": place.image(), "digest": place.digest, "as-wanted": true, "reason": null})
    );
    assert_eq!(stages[1]["state"], "no-status");
    place.write("live", "registry.example.org/hub/one:0\n");
    let (row, shown) = row("staging");
    assert!(row.ends_with("  one:0"), "{shown}");
    assert!(
        shown.contains("hub/staging: it runs registry.example.org/hub/one:0, which its files do not name"),
        "{shown}"
    );
    place
        .floe(&["status", "--live", "--verify"])
        .expect(102)
        .says(&["does not hold"]);
    place.write("live", "");
    assert_eq!(live(&place, &[])[0]["state"], "nothing");
    // Without the flag nobody is asked.
    let printed = place.floe(&["status"]).expect(0).stdout;
    assert!(
        !printed.contains("LIVE") && !printed.contains("nothing runs"),
        "{printed}"
    );
}

#[test]
fn a_driver_that_fails_hangs_or_belongs_to_another_account_is_told_in_its_row_and_fails_nothing() {
    let place = Place::new(&[
        "name: staging, driver: {command: {apply: 'true', status: 'echo no such cluster >&2; exit 1'}}",
        "name: prod, driver: {command: {apply: 'true', status: sleep 1000}}",
        "name: third, identity: {command: echo mallory, prints: alice}, driver: {command: {apply: 'true', status: touch asked}}",
    ]);
    place.write("deployments/hub/config/third.yaml", "{}\n");
    let begun = Instant::now();
    let shown = place.floe(&["status", "--live", "--timeout", "1s"]).expect(0).stdout;
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    for part in [
        "not known: status: no such cluster",
        "not known: no answer within 1 s",
        "mallory",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // That the third names no image is all that does not hold.
    place
        .floe(&["status", "--live", "--timeout", "1s", "--verify"])
        .expect(102)
        .says(&["1 thing does not hold"]);
    assert!(!place.path().join("asked").exists());
}

#[test]
fn drivers_are_asked_at_the_same_time() {
    // Each one ends only when all have been asked.
    let status = "touch live.$FLOE_STAGE; until [ $(ls live.* | wc -l) = 6 ]; do sleep 0.1; done; cat live";
    let stages = (1..=6).map(|n| format!("name: s{n}, driver: {{command: {{apply: 'true', status: '{status}'}}}}"));
    let stages = stages.collect::<Vec<_>>();
    let place = Place::new(&stages.iter().map(String::as_str).collect::<Vec<_>>());
    for n in 1..=6 {
        place.names(&format!("s{n}"), &place.digest);
    }
    place.write("live", &place.image());
    place.commit();
    for found in live(&place, &["--timeout", "20s"]) {
        assert_eq!(found["state"], "runs", "{found}");
    }
}
