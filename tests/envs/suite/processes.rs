//! Processes: kernels that die, hang or flood, and what tests leave behind.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use floe::event::{CauseKind, Verdict};

use super::case::{Case, cause};

#[tokio::test]
async fn a_kernel_that_dies_before_it_is_ready_shows_its_last_words() {
    let mut case = Case::new();
    case.kernel(&["/bin/sh", "-c", "echo no libzmq here >&2; exit 7"]);
    case.notebook("x.ipynb", &["1"]);
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::KernelDied);
    assert_eq!(failure.message, "kernel \"cal\" died before it was ready: exit code 7");
    assert_eq!(failure.detail, "no libzmq here\n");
}

#[tokio::test]
async fn a_kernel_that_dies_while_it_is_connected_to_shows_its_last_words() {
    // It dies at one point or another of the first conversation.
    for (place, name) in [
        ("_publish_status", "publishing"),
        ("kernel_info_request", "asked"),
        ("do_execute", "watched"),
    ] {
        let mut case = Case::new();
        let die = format!(
            "import os, sys\nfrom ipykernel.ipkernel import IPythonKernel\n\
             from ipykernel.kernelapp import launch_new_instance\n\
             words = os.dup(2)\n\
             def die(*_, **__):\n    os.write(words, b'no room for me\\n'); os._exit(7)\n\
             IPythonKernel.{place} = die\nlaunch_new_instance(kernel_class=IPythonKernel)\n"
        );
        case.module(name, &die);
        case.kernel(&["python", "-m", name, "-f", "{connection_file}"]);
        case.notebook("x.ipynb", &["1"]);
        let run = case.run().await;
        let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::KernelDied);
        assert_eq!(failure.message, "kernel \"cal\" died before it was ready: exit code 7");
        assert!(
            failure.detail.contains("no room for me\n"),
            "{place}: {}",
            failure.detail
        );
    }
}

#[tokio::test]
async fn a_kernel_that_closes_its_sockets_shows_its_words() {
    let mut case = Case::new();
    let script = "import json, select, socket, sys\n\
        path = json.load(open(sys.argv[1]))['ip']\n\
        sockets = [socket.socket(socket.AF_UNIX) for _ in range(5)]\n\
        for port, own in enumerate(sockets, 1):\n    own.bind(f'{path}-{port}'); own.listen()\n\
        print('no protocol here', flush=True)\n\
        while True:\n    for own in select.select(sockets, [], [])[0]: own.accept()[0].close()\n";
    let python = case.options.conda_dir.join("bin/python");
    let argv = [
        python.to_str().unwrap(),
        "-c",
        script,
        "{connection_file}",
        "-m",
        "ipykernel",
    ];
    case.kernel(&argv);
    case.options.ready_timeout = Duration::from_secs(5);
    case.notebook("x.ipynb", &["1"]);
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Infra);
    assert_eq!(failure.detail, "no protocol here\n");
}

#[tokio::test]
async fn a_kernel_that_an_interrupt_ends_ran_out_of_time() {
    for ends in [
        "signal.signal(signal.SIGINT, signal.SIG_DFL)",
        "signal.signal(signal.SIGINT, lambda *_: os._exit(0))",
    ] {
        let mut case = Case::new();
        case.options.cell_timeout = Duration::from_secs(1);
        let cell = format!("import os, signal, time\n{ends}\nwhile True: time.sleep(.1)");
        case.notebook("x.ipynb", &[&cell]);
        let run = case.run().await;
        let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Timeout);
        assert_eq!(failure.message, "the cell took longer than 1 s");
    }
}

#[tokio::test]
async fn a_kernel_that_never_answers_is_given_up() {
    let mut case = Case::new();
    case.kernel(&["/bin/sh", "-c", "sleep 1000 & sleep 1000"]);
    case.options.ready_timeout = Duration::from_millis(300);
    case.notebook("x.ipynb", &["1"]);
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Timeout);
    assert_eq!(failure.message, "kernel \"cal\" was not ready after 0.3 s");
}

#[tokio::test]
async fn a_daemon_that_a_notebook_left_is_killed_and_named() {
    let case = Case::new();
    case.notebook(
        "x.ipynb",
        &["import subprocess\np = subprocess.Popen(['sleep', '1000'], start_new_session=True)\nprint(p.pid)"],
    );
    let run = case.run().await;
    let finished = run.finished("cal::notebooks::x.ipynb");
    let message = &cause(finished, CauseKind::Leak).message;
    assert_eq!(message, "left behind in a session of its own, and killed: sleep");
    let (pid, note) = finished.output.split_once('\n').unwrap();
    assert_eq!(note, "[floe: left behind and killed: sleep]\n");
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

#[tokio::test]
async fn a_scratch_directory_with_a_long_path_does_not_matter() {
    let (mut case, directory) = (Case::new(), tempfile::tempdir().unwrap());
    let long = directory.path().join("x".repeat(120));
    fs::create_dir(&long).unwrap();
    case.options.scratch = long;
    case.notebook("x.ipynb", &["1"]);
    assert!(case.run().await.passed("cal::notebooks::x.ipynb"));
}

#[tokio::test]
async fn a_link_to_a_parent_directory_is_not_followed() {
    let case = Case::new();
    let notebook = case.file("data/x", "");
    symlink("..", notebook.with_file_name("loop")).unwrap();
    case.notebook("x.ipynb", &["open('data/x')"]);
    assert!(case.run().await.passed("cal::notebooks::x.ipynb"));
}

#[tokio::test]
async fn a_kernel_that_listens_elsewhere_is_given_up() {
    let mut case = Case::new();
    let elsewhere = "--IPKernelApp.shell_port=99";
    case.kernel(&[
        "python",
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
        elsewhere,
    ]);
    case.options.ready_timeout = Duration::from_secs(3);
    case.notebook("x.ipynb", &["1"]);
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Timeout);
    assert_eq!(failure.message, "kernel \"cal\" was not ready after 3 s");
}

#[tokio::test]
async fn a_reply_without_the_report_that_the_cell_ended_is_a_failure() {
    let mut case = Case::new();
    case.module(
        "mute",
        "from ipykernel.kernelapp import launch_new_instance\nfrom ipykernel.kernelbase import Kernel\n\
         publish = Kernel._publish_status\n\
         def mute(self, status, *args, **kwargs):\n    \
             if status != 'idle' or self.shell.execution_count == 1: publish(self, status, *args, **kwargs)\n\
         Kernel._publish_status = mute\nlaunch_new_instance()\n",
    );
    case.kernel(&["python", "-m", "mute", "-f", "{connection_file}"]);
    case.options.settle = Duration::from_secs(1);
    case.notebook("x.ipynb", &["1", "2"]);
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Timeout);
    assert_eq!(
        failure.message,
        "the kernel replied, but did not say within 1 s that the cell had ended"
    );
    assert_eq!(failure.cell, Some(1));
}

#[tokio::test]
async fn a_kernel_that_is_killed_mid_cell_is_told_by_its_signal() {
    let finished = Case::one(&[
        "1",
        // What is flushed is with the kernel's own sender, which the kill must not overtake.
        "import os, time; print('before', flush=True); time.sleep(1); os.kill(os.getpid(), 9)",
        "3",
    ])
    .await;
    let failure = cause(&finished, CauseKind::KernelDied);
    assert_eq!(failure.message, "the kernel was killed: signal 9 (SIGKILL)");
    assert_eq!(failure.cell, Some(2));
    assert!(finished.output.starts_with("before\n"), "{}", finished.output);
}

#[tokio::test]
async fn a_segmentation_fault_is_told_by_its_signal() {
    let finished = Case::one(&["import ctypes; ctypes.string_at(0)"]).await;
    let failure = cause(&finished, CauseKind::KernelDied);
    assert_eq!(
        failure.message,
        "the kernel was killed: signal 11 (SIGSEGV, segmentation fault)"
    );
}

#[tokio::test]
async fn code_that_never_looks_at_signals_is_killed() {
    let mut case = Case::new();
    case.options.cell_timeout = Duration::from_secs(1);
    case.options.grace = Duration::from_secs(1);
    case.notebook("x.ipynb", &["sum(range(10**15))"]);
    let run = case.run().await;
    assert_eq!(
        cause(run.finished("cal::notebooks::x.ipynb"), CauseKind::Timeout).message,
        "the cell took longer than 1 s, ignored the interrupt and was killed"
    );
}

#[tokio::test]
async fn a_child_that_holds_the_output_open_delays_nobody() {
    let case = Case::new();
    case.notebook(
        "x.ipynb",
        &["import subprocess\n_ = subprocess.run(['sh', '-c', 'sleep 1000 & echo started'])"],
    );
    let run = case.run().await;
    let finished = run.finished("cal::notebooks::x.ipynb");
    assert_eq!(finished.verdict, Verdict::Passed);
    let note = "[floe: left behind and killed: sleep]\n";
    assert!(finished.output.ends_with(note), "{}", finished.output);
}

#[tokio::test]
async fn hundreds_of_processes_are_all_killed() {
    let case = Case::new();
    let bomb = "import os, time\nfor i in range(300):\n    if not os.fork():\n        if i % 2: os.setsid()\n        \
                if i % 3: os.setpgid(0, 0) if not i % 2 else None\n        time.sleep(1000)\n";
    case.notebook("x.ipynb", &[bomb, "import resource\nprint(resource.getrlimit(10)[0])"]);
    let run = case.run().await;
    let finished = run.finished("cal::notebooks::x.ipynb");
    let mark = finished.output.lines().next().unwrap();
    assert!(mark.parse::<u64>().unwrap() > 1 << 32, "{mark}");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let limits = processes.filter_map(|process| fs::read_to_string(process.path().join("limits")).ok());
    assert_eq!(limits.filter(|text| text.contains(mark)).count(), 0);
}

#[tokio::test]
async fn lost_output_does_not_pass() {
    // What the kernel numbered and did not send is what a client does not receive for whatever other reason.
    let lose = "kernel = get_ipython().kernel\nkernel.session.message_count += 5\nprint('after')";
    let case = Case::new();
    case.notebook("kept.ipynb", &[lose, "1"]);
    let limited = format!("{lose}\nkernel.iopub_thread.socket.sndhwm = 100_000");
    case.notebook("lost.ipynb", &["1", &limited, "2"]);
    let run = case.run().await;
    let failure = cause(run.finished("cal::notebooks::lost.ipynb"), CauseKind::Infra);
    assert_eq!(
        failure.message,
        "the kernel lost 5 messages: it printed faster than it could be read"
    );
    assert_eq!(failure.cell, Some(2));
    // A kernel that keeps all output lost nothing: a library withheld it.
    assert!(run.passed("cal::notebooks::kept.ipynb"), "{:?}", run.events);
}

#[tokio::test]
async fn no_line_is_lost_of_several_kernels_at_a_time() {
    let mut case = Case::new();
    case.options.jobs = 4;
    let names = ["a", "b", "c", "d"].map(|name| format!("{name}.ipynb"));
    for name in &names {
        case.notebook(name, &["for i in range(20000): print(i, flush=True)"]);
    }
    let run = case.run().await;
    for name in &names {
        let notebook = run.notebook(&format!("cal::notebooks::{name}"));
        let text = notebook["cells"][0]["outputs"][0]["text"].as_str().unwrap();
        assert!(
            text.lines().map(|line| line.parse::<i32>().unwrap()).eq(0..20000),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_hundred_thousand_messages_of_widgets_pass() {
    let cell = "from comm import create_comm\nwidget = create_comm(target_name='x', data={})\n\
                for i in range(100_000): widget.send({'value': i})\nprint('done')";
    let finished = Case::one(&[cell]).await;
    assert_eq!(finished.verdict, Verdict::Passed, "{finished:?}");
    assert_eq!(finished.output, "done\n");
}

#[tokio::test]
async fn a_huge_exception_is_shortened_in_the_report() {
    let finished = Case::one(&["raise ValueError('x' * 50_000_000)"]).await;
    let failure = cause(&finished, CauseKind::Error);
    assert!(failure.message.len() < 2000, "{}", failure.message.len());
    assert!(failure.detail.len() < 200_000, "{}", failure.detail.len());
}
