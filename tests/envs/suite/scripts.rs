//! Scripts, in their directory and environment.

use std::time::Duration;

use floe::event::{CauseKind, Verdict};

use super::case::{Case, cause};

#[tokio::test]
async fn a_script_runs_in_its_directory_with_the_environment_active() {
    let case = Case::new();
    case.file("data", "read me\n");
    case.script(
        "#!/bin/sh\ncat data\necho $CONDA_DEFAULT_ENV\ntest \"$(command -v python)\" = \"$CONDA_PREFIX/bin/python\"\n",
    );
    let run = case.run().await;
    let finished = run.finished("cal::test");
    assert_eq!(finished.verdict, Verdict::Passed);
    assert_eq!(finished.output, "read me\ncal\n");
}

#[tokio::test]
async fn a_failing_script_shows_its_code_and_output() {
    let case = Case::new();
    case.script("#!/bin/sh\necho broken >&2\nexit 9\n");
    let run = case.run().await;
    let finished = run.finished("cal::test");
    assert_eq!(
        cause(finished, CauseKind::Error).message,
        "the script failed with exit code 9"
    );
    assert_eq!(finished.output, "broken\n");
}

#[tokio::test]
async fn a_script_that_takes_too_long_ends_with_its_children() {
    let mut case = Case::new();
    case.options.script_timeout = Duration::from_millis(300);
    case.script("#!/bin/sh\nsleep 1000 &\nsleep 1000\n");
    let run = case.run().await;
    cause(run.finished("cal::test"), CauseKind::Timeout);
}
