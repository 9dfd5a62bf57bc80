//! Imports, each in a process of its own.

use std::time::Duration;

use floe::event::{CauseKind, Summary};

use super::case::{Case, cause};

#[tokio::test]
async fn a_broken_import_hides_no_other() {
    let case = Case::new();
    case.file("imports", "json\nbroken\nnosuch_module\nxml.dom\n");
    case.module("broken", "def fail():\n    return 1 / 0\nfail()\n");
    case.script("#!/bin/sh\nexit 0\n");
    let run = case.run().await;
    assert_eq!(
        run.summary,
        Summary {
            carried: 0,
            passed: 3,
            failed: 2,
            skipped: 0
        }
    );
    let broken = cause(run.finished("cal::imports::broken"), CauseKind::Error);
    assert_eq!(broken.message, "ZeroDivisionError: division by zero");
    assert!(broken.detail.starts_with("Traceback"), "{}", broken.detail);
    assert!(broken.detail.contains("line 2, in fail"), "{}", broken.detail);
    assert!(!broken.detail.contains("importlib"), "{}", broken.detail);
    let missing = cause(run.finished("cal::imports::nosuch_module"), CauseKind::Error);
    assert_eq!(missing.message, "ModuleNotFoundError: No module named 'nosuch_module'");
}

#[tokio::test]
async fn a_module_that_exits_with_code_0_does_not_pass() {
    let case = Case::new();
    case.file("imports", "polite\nabrupt\n");
    case.module("polite", "import sys; sys.exit(0)");
    case.module("abrupt", "import os; os._exit(0)");
    let run = case.run().await;
    let polite = cause(run.finished("cal::imports::polite"), CauseKind::EarlyExit);
    assert_eq!(polite.message, "importing polite called sys.exit(0)");
    let abrupt = cause(run.finished("cal::imports::abrupt"), CauseKind::EarlyExit);
    assert_eq!(abrupt.message, "the import of abrupt ended early, with exit code 0");
}

#[tokio::test]
async fn many_failures_are_never_a_success() {
    let case = Case::new();
    let modules: Vec<String> = (0..256).map(|number| format!("nosuch{number}")).collect();
    case.file("imports", &modules.join("\n"));
    assert_eq!(case.run().await.summary.failed, 256);
}

#[tokio::test]
async fn a_crash_is_told_by_its_signal() {
    let case = Case::new();
    case.file("imports", "crash");
    case.module("crash", "import os; print('before'); os.kill(os.getpid(), 11)");
    let run = case.run().await;
    let failure = cause(run.finished("cal::imports::crash"), CauseKind::KernelDied);
    assert_eq!(
        failure.message,
        "the import of crash was killed: signal 11 (SIGSEGV, segmentation fault)"
    );
}

#[tokio::test]
async fn an_endless_import_is_stopped_with_its_children() {
    let mut case = Case::new();
    case.options.import_timeout = Duration::from_secs(1);
    case.file("imports", "endless");
    case.module("endless", "import subprocess; subprocess.run(['sleep', '1000'])");
    let run = case.run().await;
    let failure = cause(run.finished("cal::imports::endless"), CauseKind::Timeout);
    assert_eq!(failure.message, "the import of endless took longer than 1 s");
    assert!(case.is_clean());
}

#[tokio::test]
async fn an_import_does_not_see_what_another_left() {
    let case = Case::new();
    case.file("imports", "poison\nvictim\n");
    case.module(
        "poison",
        "import sys; sys.modules['json'] = None; open('left', 'w').close()",
    );
    case.module("victim", "import json, os; assert not os.listdir('.')");
    assert_eq!(case.run().await.summary.passed, 2);
}

#[tokio::test]
async fn a_thread_that_never_ends_does_not_hold_up_a_passed_import() {
    let case = Case::new();
    case.file("imports", "threads");
    let module = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\nprint('shown')";
    case.module("threads", module);
    let run = case.run().await;
    assert!(run.passed("cal::imports::threads"));
    assert_eq!(run.finished("cal::imports::threads").output, "shown\n");
}

#[tokio::test]
async fn an_import_tells_its_peak_memory() {
    let case = Case::new();
    case.file("imports", "large");
    case.module("large", "data = b'x' * 100_000_000");
    let run = case.run().await;
    let peak = run.finished("cal::imports::large").peak_memory.unwrap();
    assert!((100_000_000..1_000_000_000).contains(&peak), "{peak}");
}

#[tokio::test]
async fn a_comment_after_a_module_is_not_imported() {
    let case = Case::new();
    case.file("imports", "json  #xml\n# prose\n\nxml csv\n");
    let run = case.run().await;
    assert_eq!(run.summary.passed, 3, "{:#?}", run.events);
    assert_eq!(run.summary.failed, 0);
}

#[tokio::test]
async fn an_import_runs_in_the_activated_environment() {
    let case = Case::new();
    case.file("imports", "active");
    case.module(
        "active",
        "import os, sys, shutil\nassert os.environ['CONDA_DEFAULT_ENV'] == 'cal'\n\
         assert os.path.samefile(shutil.which('python'), os.environ['CONDA_PREFIX'] + '/bin/python')\n",
    );
    assert_eq!(case.run().await.summary.passed, 1);
}

#[tokio::test]
async fn whatever_an_exception_says_is_told() {
    let case = Case::new();
    case.file("imports", "odd\npoison\n");
    case.module(
        "odd",
        r#"raise ValueError("quote \" back \\ \x00\x1b ä 🜨 \ud800 tab\t")"#,
    );
    case.module("poison", "import sys; sys.modules['json'] = None; raise KeyError('x')");
    let run = case.run().await;
    let odd = cause(run.finished("cal::imports::odd"), CauseKind::Error);
    assert_eq!(odd.message, "ValueError: quote \" back \\ \0\u{1b} ä 🜨 \\ud800 tab");
    let poison = cause(run.finished("cal::imports::poison"), CauseKind::Error);
    assert_eq!(poison.message, "KeyError: 'x'");
}
