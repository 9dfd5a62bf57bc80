//! Notebooks: what fails one, and what is kept of it.

use std::time::Duration;

use floe::event::{CauseKind, Verdict};
use serde_json::json;

use super::case::{Case, cause, code, tagged};

#[tokio::test]
async fn a_notebook_passes_and_keeps_its_outputs() {
    let case = Case::new();
    case.notebook("x.ipynb", &["print('one')\nprint('two')", "1 + 1"]);
    let run = case.run().await;
    let finished = run.finished("cal::notebooks::x.ipynb");
    assert_eq!(finished.verdict, Verdict::Passed);
    assert_eq!(finished.notebook.as_deref(), Some("notebooks/cal/x.ipynb"));
    assert_eq!(finished.output, "one\ntwo\n");
    assert!(finished.peak_memory.is_some_and(|bytes| bytes > 10_000_000));
    let notebook = run.notebook("cal::notebooks::x.ipynb");
    let stream = json!([{"output_type": "stream", "name": "stdout", "text": "one\ntwo\n"}]);
    assert_eq!(notebook["cells"][0]["outputs"], stream);
    assert_eq!(notebook["cells"][1]["outputs"][0]["data"]["text/plain"], "2");
    assert_eq!(notebook["cells"][1]["execution_count"], 2);
    assert!(case.is_clean());
}

#[tokio::test]
async fn an_exception_is_told_with_its_cell_and_traceback() {
    let case = Case::new();
    let title = json!({"cell_type": "markdown", "metadata": {}, "source": "# Title"});
    case.notebook_of("x.ipynb", &[title, code("\nx = 0\n1 / x"), code("print('unreached')")]);
    let run = case.run().await;
    let finished = run.finished("cal::notebooks::x.ipynb");
    let failure = cause(finished, CauseKind::Error);
    assert_eq!(failure.message, "ZeroDivisionError: division by zero");
    assert_eq!(failure.cell, Some(2));
    assert_eq!(failure.line, Some(3));
    assert!(
        failure.detail.starts_with("cell 2, line 3: 1 / x\n"),
        "{}",
        failure.detail
    );
    assert!(failure.detail.contains("\u{1b}["), "{}", failure.detail);
    assert_eq!(finished.output, "");
    let outputs = &run.notebook("cal::notebooks::x.ipynb")["cells"][1]["outputs"];
    assert_eq!(outputs[0]["ename"], "ZeroDivisionError");
}

#[tokio::test]
async fn a_kernel_that_exits_with_code_0_does_not_pass() {
    let finished = Case::one(&["import os; os._exit(0)", "1"]).await;
    let failure = cause(&finished, CauseKind::EarlyExit);
    assert_eq!(failure.message, "the kernel ended early, with exit code 0");
    assert_eq!(failure.cell, Some(1));
}

#[tokio::test]
async fn sys_exit_hides_no_later_cell() {
    let finished = Case::one(&["import sys; sys.exit(0)", "1 / 0"]).await;
    let failure = cause(&finished, CauseKind::EarlyExit);
    assert_eq!(failure.message, "the cell called sys.exit(0)");
}

#[tokio::test]
async fn quit_is_an_early_exit() {
    let finished = Case::one(&["quit()", "1 / 0"]).await;
    assert_eq!(
        cause(&finished, CauseKind::EarlyExit).message,
        "the cell asked the kernel to exit"
    );
}

#[tokio::test]
async fn an_unknown_magic_fails() {
    for magic in ["%nosuch", "%%nosuch\nx"] {
        let finished = Case::one(&[magic]).await;
        let message = &cause(&finished, CauseKind::Error).message;
        assert!(message.starts_with("UsageError: "), "{message}");
    }
}

#[tokio::test]
async fn printing_what_looks_like_a_failed_magic_passes() {
    let finished = Case::one(&["import sys; print('UsageError: no', file=sys.stderr)"]).await;
    assert_eq!(finished.verdict, Verdict::Passed);
}

#[tokio::test]
async fn an_exception_swallowed_by_a_cell_magic_fails() {
    let finished = Case::one(&["%%capture\n1 / 0"]).await;
    assert_eq!(
        cause(&finished, CauseKind::Error).message,
        "ZeroDivisionError: division by zero"
    );
}

#[tokio::test]
async fn a_cell_that_must_raise_fails_when_it_does_not() {
    let case = Case::new();
    case.notebook_of("raises.ipynb", &[tagged("1 / 0", &["raises-exception"]), code("1")]);
    case.notebook_of("quiet.ipynb", &[tagged("1", &["raises-exception"])]);
    let run = case.run().await;
    assert!(run.passed("cal::notebooks::raises.ipynb"));
    let quiet = cause(run.finished("cal::notebooks::quiet.ipynb"), CauseKind::Error);
    assert_eq!(quiet.message, "the cell is tagged raises-exception, but raised nothing");
}

#[tokio::test]
async fn a_cell_tagged_skip_execution_is_not_executed() {
    let case = Case::new();
    case.notebook_of("x.ipynb", &[tagged("1 / 0", &["skip-execution"]), code("1")]);
    assert!(case.run().await.passed("cal::notebooks::x.ipynb"));
}

#[tokio::test]
async fn a_crash_is_told_by_its_signal() {
    let finished = Case::one(&["import os; os.kill(os.getpid(), 11)"]).await;
    assert_eq!(
        cause(&finished, CauseKind::KernelDied).message,
        "the kernel was killed: signal 11 (SIGSEGV, segmentation fault)"
    );
}

#[tokio::test]
async fn an_endless_cell_is_interrupted_and_no_later_result_is_lost() {
    let mut case = Case::new();
    case.options.cell_timeout = Duration::from_secs(1);
    case.options.jobs = 1;
    case.notebook("a.ipynb", &["while True: pass"]);
    case.notebook("b.ipynb", &["print('after')"]);
    let run = case.run().await;
    let finished = run.finished("cal::notebooks::a.ipynb");
    assert_eq!(
        cause(finished, CauseKind::Timeout).message,
        "the cell took longer than 1 s"
    );
    assert!(run.passed("cal::notebooks::b.ipynb"));
    assert_eq!((run.summary.passed, run.summary.failed), (1, 1));
}

#[tokio::test]
async fn a_cell_that_ignores_the_interrupt_is_killed() {
    let mut case = Case::new();
    case.options.grace = Duration::from_millis(300);
    let mut cell = code("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass");
    cell["metadata"]["floe"] = json!({"timeout": 0.3});
    case.notebook_of("x.ipynb", &[cell]);
    let run = case.run().await;
    assert_eq!(
        cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Timeout).message,
        "the cell took longer than 0.3 s, ignored the interrupt and was killed"
    );
}

#[tokio::test]
async fn the_limit_of_a_notebook_holds_across_cells() {
    let mut case = Case::new();
    case.options.notebook_timeout = Duration::from_secs(10);
    case.notebook("x.ipynb", &["import time", "while True: time.sleep(0.01)"]);
    let run = case.run().await;
    assert_eq!(
        cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Timeout).message,
        "the notebook took longer than 10 s"
    );
}

#[tokio::test]
async fn a_cell_that_asks_for_input_says_so() {
    let finished = Case::one(&["input('name? ')"]).await;
    assert_eq!(
        cause(&finished, CauseKind::Error).message,
        "the cell asks for input, which nobody can give in a test"
    );
}

#[tokio::test]
async fn a_missing_kernel_lists_those_there_are() {
    let mut case = Case::new();
    case.options.kernels.0.clear();
    case.notebook("x.ipynb", &["1"]);
    let run = case.run().await;
    assert_eq!(
        cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Error).message,
        r#"no kernel is named "cal"; there are: none"#
    );
}

#[tokio::test]
async fn no_line_of_much_output_is_lost() {
    let case = Case::new();
    case.notebook("x.ipynb", &["for i in range(20000): print(i, flush=True)"]);
    let run = case.run().await;
    let text = &run.notebook("cal::notebooks::x.ipynb")["cells"][0]["outputs"][0]["text"];
    let numbers = text.as_str().unwrap().lines().map(|line| line.parse::<i32>().unwrap());
    assert!(numbers.eq(0..20000));
}

#[tokio::test]
async fn an_executed_notebook_is_bounded_and_says_so() {
    let mut case = Case::new();
    case.options.notebook_output = 1000;
    case.notebook("x.ipynb", &["for i in range(1000): print('x' * 1000)"]);
    let run = case.run().await;
    assert!(run.passed("cal::notebooks::x.ipynb"));
    let outputs = &run.notebook("cal::notebooks::x.ipynb")["cells"][0]["outputs"];
    assert_eq!(outputs[0]["text"].as_str().unwrap().len(), 1000);
    let note = outputs[1]["text"].as_str().unwrap();
    assert!(note.contains("1000000 bytes of output are not kept"), "{note}");
    assert!(run.finished("cal::notebooks::x.ipynb").output.len() < 200_000);
}

#[tokio::test]
async fn odd_bytes_in_output_lose_no_verdict() {
    let cell = "import os, sys\nos.write(1, b'\\xff\\x00\\x1b]]>')\nprint('\\x00\\x1b[31m]]>\\ud800')";
    let finished = Case::one(&[cell, "1 / 0"]).await;
    assert_eq!(cause(&finished, CauseKind::Error).cell, Some(2));
}

#[tokio::test]
async fn notebooks_that_write_the_same_file_do_not_meet() {
    let case = Case::new();
    let cells = ["import os\nassert not os.path.exists('out')\nopen('out', 'w').close()\nopen('data').read()"];
    case.file("data", "shared");
    case.notebook("a.ipynb", &cells);
    case.notebook("b.ipynb", &cells);
    let run = case.run().await;
    assert_eq!(run.summary.passed, 2, "{:#?}", run.events);
    assert_ne!(
        run.finished("cal::notebooks::a.ipynb").notebook,
        run.finished("cal::notebooks::b.ipynb").notebook
    );
}

#[tokio::test]
async fn a_notebook_in_a_subdirectory_finds_its_neighbours() {
    let case = Case::new();
    case.file("notebooks", "sub/x.ipynb\n");
    case.file("sub/near", "");
    case.file("far", "");
    case.notebook("sub/x.ipynb", &["open('near'); open('../far')"]);
    assert!(case.run().await.passed("cal::notebooks::sub/x.ipynb"));
}

#[tokio::test]
async fn a_file_that_is_no_notebook_fails_with_its_reason() {
    let case = Case::new();
    case.file("empty.ipynb", "");
    case.file(
        "truncated.ipynb",
        r#"{"nbformat": 4, "nbformat_minor": 5, "cells": [{"cell_type": "co"#,
    );
    case.file("older.ipynb", r#"{"nbformat": 1, "cells": []}"#);
    let run = case.run().await;
    for name in ["empty", "truncated", "older"] {
        cause(run.finished(&format!("cal::notebooks::{name}.ipynb")), CauseKind::Error);
    }
    let older = cause(run.finished("cal::notebooks::older.ipynb"), CauseKind::Error);
    assert!(older.message.contains("format 1"), "{}", older.message);
}

#[tokio::test]
async fn notebooks_of_earlier_formats_run() {
    let case = Case::new();
    for format in [2, 3] {
        let cells = json!([{"cell_type": "code", "language": "python", "input": ["a = 1\n", "a / 0"], "outputs": []}]);
        let notebook = json!({"nbformat": format, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]});
        case.file(&format!("v{format}.ipynb"), &notebook.to_string());
    }
    let run = case.run().await;
    for name in ["v2", "v3"] {
        let id = format!("cal::notebooks::{name}.ipynb");
        let failure = cause(run.finished(&id), CauseKind::Error);
        assert_eq!((failure.cell, failure.line), (Some(1), Some(2)));
        let executed = run.notebook(&id);
        assert_eq!(executed["nbformat"], 4);
        assert_eq!(executed["cells"][0]["outputs"][0]["ename"], "ZeroDivisionError");
    }
}

#[tokio::test]
async fn a_notebook_that_only_its_schema_refuses_runs() {
    let case = Case::new();
    let cells = json!([{"cell_type": "code", "source": "1 / 0", "id": 7}, {"cell_type": "odd", "source": []}]);
    case.file(
        "x.ipynb",
        &json!({"nbformat": 4, "cells": cells, "extra": 1}).to_string(),
    );
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Error);
    assert_eq!(failure.message, "ZeroDivisionError: division by zero");
}
