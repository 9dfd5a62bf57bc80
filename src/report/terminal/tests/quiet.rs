//! Who wants it quiet.

use super::*;

#[test]
fn who_wants_it_quiet_sees_warnings_and_what_failed_alone() {
    let quiet = Style { quiet: true, ..PLAIN };
    let text = shown(quiet, &failing());
    assert!(
        text.contains("FAIL [") && text.contains("FAILED roman, image "),
        "{text}"
    );
    for label in ["PASS ", "Starting", "Testing"] {
        assert!(
            shown(PLAIN, &failing()).contains(label) && !text.contains(label),
            "{label}: {text}"
        );
    }
    let warning = || Event::Warning {
        text: "careful".to_owned(),
    };
    let good = TestFinished::new(TestId::import("e", "x"), Verdict::Passed);
    let output = Event::Output {
        text: "printed".to_owned(),
    };
    let passing = [
        suite(&[TestId::import("e", "x")]),
        warning(),
        output,
        Event::TestFinished(good),
        Event::SuiteFinished {
            summary: Summary {
                passed: 1,
                ..Summary::default()
            },
        },
    ];
    assert_eq!(shown(quiet, &passing), "     WARNING careful\n");
}

#[test]
fn whoever_wants_it_quiet_sees_which_of_several_missions_was_not_built() {
    let quiet = Style { quiet: true, ..PLAIN };
    let failed = Event::ImageFailed {
        image: "mission a".to_owned(),
        error: "it is odd".to_owned(),
    };
    assert_eq!(shown(quiet, &[failed]), "   NOT BUILT mission a: it is odd\n");
}
