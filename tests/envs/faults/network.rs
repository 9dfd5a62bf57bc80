//! Servers and networks that fail.

use std::thread;
use std::time::Duration;

use world::channel::server::Fault;

use super::site::{DONE, FAILED, Form, Site, TEMPORARY};

const PACKAGE: &str = "fixlib-1.1-h1_0.tar.bz2";

/// How long floe may try for, where every answer is a failure that comes at once.
const PATIENCE: Duration = Duration::from_mins(1);

fn site(form: Form) -> Site {
    Site::new(form, &["fixlib=1.1", "fixact"])
}

/// Runs a test for each case, all at the same time: most of it is waiting.
fn each<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| test(case));
        }
    });
}

fn both<T: Copy>(faults: &[T]) -> Vec<(Form, T)> {
    let forms = [Form::Floating, Form::Frozen];
    forms
        .into_iter()
        .flat_map(|form| faults.iter().map(move |fault| (form, *fault)))
        .collect()
}

#[test]
fn a_server_that_keeps_failing_is_tried_a_few_times_and_can_be_tried_again_later() {
    let faults = [
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Truncate(700),
        Fault::Reset,
    ];
    each(both(&faults), |(form, fault)| {
        let site = site(form);
        site.server.fail(PACKAGE, fault);
        let ended = site.create().expect(TEMPORARY);
        let ended = ended.says(&[PACKAGE, &site.server.url(), "try again"]);
        assert!(ended.time < PATIENCE, "{form:?} {fault:?} took {:?}", ended.time);
        let asked = site.server.requests();
        let asked = asked.iter().filter(|request| request.path.contains(PACKAGE)).count();
        assert!((2..=8).contains(&asked), "{form:?} {fault:?}: asked {asked} times");
        site.expect_none();
        site.server.heal();
        site.expect_repaired();
    });
}

#[test]
fn a_channel_index_that_keeps_failing_can_be_tried_again_later() {
    let faults = [Fault::Status(500), Fault::Truncate(700), Fault::Reset];
    each(faults, |fault| {
        let site = site(Form::Floating);
        site.server.fail("linux-64/repodata.json", fault);
        let ended = site.create().expect(TEMPORARY);
        let ended = ended.says(&[&site.server.url(), "try again"]);
        assert!(ended.time < PATIENCE, "{fault:?} took {:?}", ended.time);
        site.expect_none();
        site.server.heal();
        site.expect_repaired();
    });
}

#[test]
fn a_server_that_recovers_is_not_even_mentioned() {
    let faults = [
        Fault::Status(429),
        Fault::Status(500),
        Fault::Truncate(700),
        Fault::Reset,
        Fault::Delay(Duration::from_secs(1)),
    ];
    each(both(&faults), |(form, fault)| {
        let site = site(form);
        site.server.fail_first(2, PACKAGE, fault);
        let ended = site.create().expect(DONE);
        assert!(!ended.said.contains("rror"), "{form:?} {fault:?}: {}", ended.said);
        site.expect_whole();
    });
}

#[test]
fn an_index_that_recovers_is_read() {
    let faults = [Fault::Status(500), Fault::Truncate(700), Fault::Reset];
    each(faults, |fault| {
        let site = site(Form::Floating);
        site.server.fail_first(2, "linux-64/repodata.json", fault);
        site.server.fail_first(1, "noarch/repodata.json", fault);
        site.expect_repaired();
    });
}

#[test]
fn a_server_that_says_nothing_is_given_up_after_the_time_that_conda_is_told_to_wait() {
    each(both(&[PACKAGE, "repodata.json"]), |(form, part)| {
        if form == Form::Frozen && part != PACKAGE {
            // No index is read.
            return;
        }
        let site = site(form);
        let condarc = format!(
            "channels: ['{}']\nremote_read_timeout_secs: 1\nremote_max_retries: 1\n",
            site.server.url()
        );
        site.write("condarc", &condarc);
        site.server.fail(part, Fault::Hang);
        let ended = site.create().expect(TEMPORARY);
        let ended = ended.says(&[&site.server.url(), "try again"]);
        assert!(ended.time < PATIENCE / 2, "{form:?} {part} took {:?}", ended.time);
        site.expect_none();
        site.server.heal();
        site.expect_repaired();
    });
}

#[test]
fn a_package_that_is_gone_is_named_and_not_asked_for_again() {
    each([Form::Floating, Form::Frozen], |form| {
        let site = site(form);
        site.server.fail(PACKAGE, Fault::Status(404));
        site.create()
            .expect(FAILED)
            .says(&["fixlib-1.1-h1_0", &site.server.url(), "hint"]);
        let asked = site.server.requests();
        let asked = asked.iter().filter(|request| request.path.contains(PACKAGE)).count();
        assert_eq!(asked, 1, "{form:?}");
        site.expect_none();
        site.server.heal();
        site.expect_repaired();
    });
}

#[test]
fn a_channel_that_is_not_there_is_named_with_what_to_check() {
    let site = site(Form::Floating);
    site.server.fail("repodata.json", Fault::Status(404));
    site.create()
        .expect(FAILED)
        .says(&["there is no channel", &site.server.url(), "CONDA_MIRROR"]);
    site.expect_none();
    site.server.heal();
    site.expect_repaired();
}

#[test]
fn a_host_without_an_address_and_a_port_without_a_server_can_be_tried_again_later() {
    each(["http://no-such-host.invalid/c", "http://127.0.0.1:9/c"], |channel| {
        let site = site(Form::Floating);
        site.write("condarc", &format!("channels: ['{channel}']\n"));
        let ended = site.create().expect(TEMPORARY).says(&[channel, "try again"]);
        assert!(ended.time < PATIENCE, "{channel} took {:?}", ended.time);
        site.expect_none();
    });
}

#[test]
fn an_update_that_fails_on_the_way_to_its_packages_leaves_the_environment_as_it_was() {
    each(both(&[Fault::Status(503), Fault::Status(404)]), |(form, fault)| {
        let site = Site::new(form, &["fixlib=1.1"]);
        site.expect_repaired();
        site.server.fail("fixpost-1.0", fault);
        site.write("more.conda", "fixpost\n");
        let update = ["env-update", "x", "more.conda"];
        let code = if fault == Fault::Status(404) { FAILED } else { TEMPORARY };
        site.floe(&update).expect(code).says(&["fixpost-1.0"]);
        site.expect_whole();
        site.server.heal();
        site.floe(&update).expect(DONE);
        site.expect_whole();
        assert!(site.prefix().join("share/fixpost/linked").exists());
    });
}
