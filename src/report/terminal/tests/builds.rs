//! What the display prints of builds and pushes.

use super::*;

fn step(number: usize) -> (String, String, String) {
    let name = format!("[{number}/3] RUN step {number}");
    ("mission roman".to_owned(), number.to_string(), name)
}

fn step_started(number: usize) -> Event {
    let (image, step, name) = step(number);
    Event::StepStarted { image, step, name }
}

fn step_output(number: usize, text: &str) -> Event {
    let (image, step, _) = step(number);
    let text = text.to_owned();
    Event::StepOutput { image, step, text }
}

fn step_finished(number: usize, cached: bool, error: Option<&str>) -> Event {
    let (image, step, name) = step(number);
    Event::StepFinished {
        image,
        step,
        name,
        seconds: 12.5,
        cached,
        error: error.map(str::to_owned),
    }
}

fn failing_build() -> Vec<Event> {
    vec![
        Event::ImageUpToDate {
            image: "common".to_owned(),
            reference: "floe/common:0123456789ab".to_owned(),
        },
        Event::ImageStarted {
            image: "mission roman".to_owned(),
            reason: "common.pip changed".to_owned(),
        },
        step_started(1),
        step_finished(1, true, None),
        step_started(2),
        step_started(3),
        step_output(2, "all is "),
        step_output(3, "Collecting numpy\n10%\r"),
        step_output(2, "well\n"),
        step_finished(2, false, None),
        step_output(3, "20%\nERROR: no such package"),
        step_finished(
            3,
            false,
            Some("process \"/bin/sh -c step 3\" did not complete: exit code: 1"),
        ),
        Event::Warning {
            text: "the base image is old\nrun floe build --refresh".to_owned(),
        },
    ]
}

#[test]
fn a_failing_step_shows_its_last_output_and_others_do_not() {
    insta::assert_snapshot!(shown(PLAIN, &failing_build()), @r#"
        UP-TO-DATE common: floe/common:0123456789ab
          Building mission roman: common.pip changed
            CACHED [1/3] RUN step 1
              DONE [  12.500s] [2/3] RUN step 2
              FAIL [  12.500s] [3/3] RUN step 3
        ─── last output ───
          Collecting numpy
          20%
          ERROR: no such package
        ─── error ───
          process "/bin/sh -c step 3" did not complete: exit code: 1
           WARNING the base image is old
                   run floe build --refresh
        "#);
}

#[test]
fn a_verbose_build_shows_all_output_once() {
    let style = Style { verbose: true, ..PLAIN };
    let text = shown(style, &failing_build());
    for line in [
        "\u{2502} all is well\n",
        "\u{2502} 20%\n",
        "\u{2502} ERROR: no such package\n",
    ] {
        assert_eq!(text.matches(line).count(), 1, "{line:?} in {text}");
    }
    assert!(!text.contains("last output"), "{text}");
}

#[test]
fn a_step_that_prints_without_end_keeps_its_last_lines_only() {
    let mut events = vec![step_started(1)];
    events.extend((0..1000).map(|number| step_output(1, &format!("line {number}\n"))));
    events.push(step_finished(1, false, Some("failed")));
    let text = shown(PLAIN, &events);
    assert!(
        text.contains("    line 960\n") && text.contains("    line 999\n"),
        "{text}"
    );
    assert!(!text.contains("line 959\n"), "{text}");
}

#[test]
fn steps_are_told_apart_where_several_images_are_built() {
    let started = |image: &str| Event::ImageStarted {
        image: image.to_owned(),
        reason: "new".to_owned(),
    };
    let text = shown(
        PLAIN,
        &[
            started("mission roman"),
            started("mission tess"),
            step_finished(1, true, None),
        ],
    );
    assert!(
        text.ends_with("      CACHED mission roman: [1/3] RUN step 1\n"),
        "{text}"
    );
}

#[test]
fn a_step_is_named_without_its_mounts_and_the_builders_own_are_left_out() {
    let finished = |name: &str| Event::StepFinished {
        image: "common".to_owned(),
        step: name.to_owned(),
        name: name.to_owned(),
        seconds: 1.0,
        cached: false,
        error: None,
    };
    let events = [
        finished("[internal] load build context"),
        finished("[2/3] RUN --mount=type=secret,id=ca.crt,target=/x --mount=type=cache,target=/y make   it"),
    ];
    assert_eq!(shown(PLAIN, &events), "        DONE [   1.000s] [2/3] RUN make it\n");
    let verbose = Style { verbose: true, ..PLAIN };
    assert!(shown(verbose, &events).contains("[internal] load build context"));
}

#[test]
fn a_layer_is_told_of_once_when_it_is_pushed() {
    let push = |status: &str, sent| Event::PushProgress {
        layer: "0123456789ab".to_owned(),
        status: status.to_owned(),
        sent,
        total: 1000,
    };
    let events = [
        push("Preparing", 0),
        push("Compressing", 500),
        push("Compressed", 1000),
        push("Pushing", 500),
        push("Pushed", 1000),
        push("Pushed", 1000),
    ];
    assert_eq!(shown(PLAIN, &events), "      PUSHED 0123456789ab  1.00 kB\n");
}

#[test]
fn a_layer_of_an_environment_that_is_taken_over_in_no_time_has_no_line() {
    let finished = |name: &str, seconds: f64| Event::StepFinished {
        image: "mission roman".to_owned(),
        step: name.to_owned(),
        name: name.to_owned(),
        seconds,
        cached: false,
        error: None,
    };
    let events = [
        finished("[floe-finished 2/9] COPY --from=env-cal /floe/00/ /", 2.0),
        finished("[floe-finished 3/9] COPY --from=env-cal /floe/01/ /", 0.1),
        finished("[floe-finished 4/9] COPY --from=env-old /floe/ /", 0.1),
    ];
    let shown = shown(PLAIN, &events);
    assert!(shown.contains("/floe/00/") && shown.contains("/floe/ /"), "{shown}");
    assert!(!shown.contains("/floe/01/"), "{shown}");
}
