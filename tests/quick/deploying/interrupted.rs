//! Interrupts reach what a driver has started.

use std::process::Stdio;
use std::time::{Duration, Instant};

use world::Ended;

use super::place::Place;

#[test]
fn an_interrupt_reaches_the_driver_which_ends_in_its_own_way() {
    let apply = "trap \"echo undone > word; exit 1\" INT TERM; echo ready > live; while :; do sleep 0.05; done";
    let stage = serde_json::json!(apply);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let place = Place::new(&[&format!("name: staging, driver: {{command: {{apply: {stage}}}}}")]);
        let mut command = place.repository.command(&["deploy", "hub", "staging"]);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        while place.live().is_none() {
            assert!(began.elapsed() < Duration::from_mins(1), "it does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = process.id().to_string();
        world::run(std::process::Command::new("sh").args(["-c", &format!("kill -s {signal} {pid}")]));
        let ended = Ended::of(process.wait_with_output().unwrap()).expect(code);
        ended.says(&["asked to stop"]);
        let word = std::fs::read_to_string(place.path().join("word")).unwrap();
        assert_eq!(word, "undone\n");
    }
}
