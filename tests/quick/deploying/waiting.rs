//! `floe wait`.

use std::time::Duration;

use world::Ended;

use super::place::{LINES, Place, VERSION, hub};

#[test]
fn it_waits_for_the_image_the_roll_out_and_the_hub_and_says_why() {
    let place = Place::new(&[&format!(
        "name: staging, check: {{url: '{}'}}, {LINES}",
        hub("200 OK", VERSION)
    )]);
    let later = place.registry.image("hub/later", "2");
    place.names("staging", &later);
    place.commit();
    let mut waiting = place
        .repository
        .command(&["wait", "hub", "staging", "--timeout", "30s"]);
    let waiting = waiting
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let waiting = waiting.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    // The same image under the name that the stage has for it.
    assert_eq!(place.registry.image("hub/one", "2"), later);
    std::thread::sleep(Duration::from_secs(2));
    place.write("live", &format!("{}@{later}", place.registry.address("hub/one")));
    let ended = Ended::of(waiting.wait_with_output().unwrap()).expect(0);
    ended.says(&[
        "waiting for the image",
        "waiting for the roll-out",
        "JupyterHub 4.1.6 answers",
        "next: floe check hub staging",
    ]);
}

#[test]
fn at_the_end_of_the_time_the_last_reason_is_told() {
    let place = Place::new(&[&format!(
        "name: staging, check: {{url: '{}'}}, {LINES}",
        hub("503 No", "")
    )]);
    let wait = ["wait", "hub", "staging", "--timeout", "1s"];
    place
        .floe(&wait)
        .expect(75)
        .says(&["the roll-out was waited for, 1 s long: status: cat: live"]);
    place.write("live", "hub/one:0");
    place.floe(&wait).expect(75).says(&["it runs hub/one:0"]);
    place.write("live", &place.image());
    place
        .floe(&wait)
        .expect(75)
        .says(&["the hub was waited for", "answers 503", "waiting for the hub"]);
    place.names("staging", &format!("sha256:{}", "0".repeat(64)));
    place.commit();
    place
        .floe(&wait)
        .expect(75)
        .says(&["the image was waited for", "is not in its registry"]);
}

#[test]
fn what_answers_as_no_hub_does_is_waited_for_and_a_login_before_it_is_not() {
    for (status, body, code, says) in [
        ("200 OK", "<html>", 75, "not as a hub does"),
        ("403 Forbidden", "", 102, "answers 403"),
    ] {
        let place = Place::new(&[&format!(
            "name: staging, check: {{url: '{}'}}, driver: git",
            hub(status, body)
        )]);
        place
            .floe(&["wait", "hub", "staging", "--timeout", "1s"])
            .expect(code)
            .says(&[says]);
    }
    let place = Place::new(&["name: staging, check: {url: hub.example.org}"]);
    place
        .floe(&["wait", "hub", "staging"])
        .expect(3)
        .says(&["no address of a hub"]);
    let place = Place::new(&["name: staging"]);
    place
        .floe(&["wait", "hub", "staging"])
        .expect(0)
        .says(&["has no status line", "no check.url"]);
}

#[test]
fn a_registry_that_lets_nobody_in_is_not_waited_for() {
    let place = Place::new(&["name: staging"]);
    let closed = world::LocalRegistry::start_for_a_user();
    let text = format!(
        "singleuser: {{image: '{}:1@{}'}}\n",
        closed.address("hub/one"),
        place.digest
    );
    place.write("deployments/hub/config/staging.yaml", &text);
    place.commit();
    place
        .floe(&["wait", "hub", "staging"])
        .expect(102)
        .says(&["docker login"]);
}
