//! Kernels that are not ipykernel: what Jupyter runs on them, floe does.

use std::time::Duration;

use floe::event::CauseKind;
use serde_json::json;

use super::case::{Case, cause, code, tagged};

/// A case whose kernel is one of these packages.
fn case(name: &str) -> Case {
    let mut case = Case::with("kernels", &["xeus-python", "bash_kernel"]);
    let path = format!("{}:/usr/bin:/bin", case.options.conda_dir.join("bin").display());
    case.options.variables.insert("PATH".into(), path.into());
    case.kernel(&["python", "-m", name, "-f", "{connection_file}"]);
    case
}

#[tokio::test]
async fn kernels_that_listen_on_ports_alone_pass_and_fail_as_others_do() {
    let mut case = case("xpython_launcher");
    case.options.cell_timeout = Duration::from_secs(5);
    case.file("fails.py", "x = 1\nx / 0\n");
    case.notebook("passes.ipynb", &["print('one')", "1 + 1"]);
    case.notebook("fails.ipynb", &["x = 0\n1 / x"]);
    case.notebook("hides.ipynb", &["%run fails.py"]);
    case.notebook("gone.ipynb", &["import os; os._exit(0)"]);
    case.notebook("endless.ipynb", &["import time\nwhile True: time.sleep(.1)"]);
    let run = case.run().await;
    let finished = |name: &str| run.finished(&format!("cal::notebooks::{name}.ipynb"));
    assert!(run.passed("cal::notebooks::passes.ipynb"), "{:#?}", finished("passes"));
    assert!(finished("passes").output.starts_with("one\n"));
    for name in ["fails", "hides"] {
        let message = &cause(finished(name), CauseKind::Error).message;
        assert_eq!(message, "ZeroDivisionError: division by zero");
    }
    cause(finished("gone"), CauseKind::EarlyExit);
    let message = &cause(finished("endless"), CauseKind::Timeout).message;
    assert!(message.starts_with("the cell took longer than 5 s"), "{message}");
}

#[tokio::test]
async fn a_notebook_may_name_its_own_kernel_and_is_told_which_there_are() {
    let case = case("bash_kernel");
    let own = |name: &str, source: &str| {
        let metadata = json!({"kernelspec": {"name": name, "display_name": name}});
        json!({"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": [code(source)]}).to_string()
    };
    case.file("python.ipynb", &own("python3", "import sys; assert sys.prefix"));
    case.file("shell.ipynb", &own("cal", "test -n \"$BASH\""));
    case.file("old.ipynb", &own("py39_old", "1"));
    case.file("settings.yml", "own-kernels: true\n");
    let run = case.run().await;
    for name in ["python", "shell"] {
        let id = format!("cal::notebooks::{name}.ipynb");
        assert!(run.passed(&id), "{:#?}", run.finished(&id));
    }
    let message = &cause(run.finished("cal::notebooks::old.ipynb"), CauseKind::Error).message;
    assert_eq!(
        message,
        r#"no kernel is named "py39_old"; there are: cal, python3, xpython, xpython-raw"#
    );
}

#[tokio::test]
async fn a_shell_runs_notebooks_and_its_failures_read_as_reasons() {
    let case = case("bash_kernel");
    case.notebook("passes.ipynb", &["echo hi; ls", "x=1; echo $x", "echo 'é ☃'"]);
    case.notebook("fails.ipynb", &["true", "ls /nosuch"]);
    case.notebook_of("raises.ipynb", &[tagged("false", &["raises-exception"])]);
    let run = case.run().await;
    let finished = |name: &str| run.finished(&format!("cal::notebooks::{name}.ipynb"));
    assert!(run.passed("cal::notebooks::passes.ipynb"), "{:#?}", finished("passes"));
    assert!(run.passed("cal::notebooks::raises.ipynb"), "{:#?}", finished("raises"));
    let failure = cause(finished("fails"), CauseKind::Error);
    assert_eq!(
        (failure.message.as_str(), failure.cell),
        ("the cell ended with 2", Some(2))
    );
}
