//! A kernel that is forked gives what one that is started from scratch gives.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use floe::event::Event;
use floe::kernel::warm::Server;
use floe::kernel::{Kernel, Launch};
use floe::process::Exit;
use serde_json::json;

use super::case::{Case, Run};

/// What a notebook may touch, one thing a cell. Each prints something that does not differ from run to run.
const CELLS: &[&str] = &[
    "import sys, os\nprint(sorted(sys.modules))",
    "print([argument if 'kernel.json' not in argument else '…' for argument in sys.argv], sys.flags, sys.orig_argv[1:3])",
    "print(__name__, sys.modules['__main__'].__dict__ is globals(), getattr(sys.modules['__main__'], '__file__', None))\n\
     print(sorted(name for name in globals() if not name.startswith('_i')))",
    "print(os.path.basename(os.getcwd()), sys.path[:1], len(sys.path), [p for p in sys.path if 'floe' in p])",
    "here = os.environ\nprint(sorted(set(here) - {'JPY_PARENT_PID'}), os.getppid() == int(here['JPY_PARENT_PID']))",
    "import resource\nprint(resource.getrlimit(10)[0] > 2**32, resource.getrlimit(10)[1], os.getpgid(0) == os.getpid())",
    "import random, uuid, secrets, tempfile\nprint(len({random.random() for _ in range(9)}), len({uuid.uuid4(), uuid.uuid1()}), \
     len(secrets.token_hex()))\nwith tempfile.TemporaryDirectory() as d: print(os.path.isdir(d))",
    "import threading\nprint(sorted(t.name.rstrip('0123456789') for t in threading.enumerate() if ' ' not in t.name), threading.main_thread() is threading.current_thread())\n\
     t = threading.Thread(target=print, args=('in a thread',))\nt.start(); t.join()",
    "import signal\nprint({s.name: str(signal.getsignal(s)).split(' at ')[0] for s in signal.Signals}, signal.pthread_sigmask(0, []))",
    "print(sorted(os.readlink(f'/proc/self/fd/{n}').split(':')[0] for n in range(3)))\nprint(sys.__stdin__.isatty(), sys.__stdout__.encoding, \
     sys.__stdout__.errors, sys.__stdout__.line_buffering, sys.__stderr__.line_buffering, sys.__stdin__.seekable())",
    "import multiprocessing\ncontext = multiprocessing.get_context('fork')\nwith context.Pool(2) as pool: print(pool.map(abs, [-1, -2]))",
    "context = multiprocessing.get_context('spawn')\nwith context.Pool(1) as pool: print(pool.map(abs, [-1, -2]))",
    "import asyncio\nasync def later(): await asyncio.sleep(0); return 7\nawait later()",
    "import subprocess\nprint(subprocess.run(['sh', '-c', 'echo out; echo err >&2; exit 3'], capture_output=True))",
    "%%bash\necho from bash\nls",
    "!echo from the shell",
    // ipykernel passes these on at leisure, to the cell that runs then.
    "import time\nos.write(1, b'\\xff at C level\\n'); time.sleep(1)",
    "os.write(2, b'at C level\\n'); time.sleep(1)",
    "child = os.fork()\nif not child: os._exit(7)\nos.waitstatus_to_exitcode(os.waitpid(child, 0)[1])",
    "import logging\nlogging.warning('careful'); logging.getLogger('x').error('worse')",
    "import ssl, sqlite3, hashlib\nprint(len(ssl.RAND_bytes(9)), sqlite3.connect(':memory:').execute('select 1').fetchall(), \
     hashlib.sha256(b'').hexdigest()[:6])",
    "from IPython.display import HTML, display\ndisplay(HTML('<b>bold</b>'), metadata={'a': 1}); display({'text/plain': 'x'}, raw=True)",
    "handle = display('before', display_id='d'); handle.update('after')",
    "get_ipython().run_line_magic('timeit', '-n1 -r1 -o -q 1').__class__.__name__",
    "import warnings\nwarnings.warn('deprecated', DeprecationWarning); warnings.warn('user')",
    "import near\nnear.value",
    "import resource, gc, locale\nprint(resource.getrlimit(resource.RLIMIT_NOFILE), gc.isenabled(), gc.get_threshold(), locale.getlocale())",
    "print(_, __, Out.keys())",
    "get_ipython().history_manager.session_number > 0",
    "def fail():\n    raise KeyError('x')\n\nfail()",
];

/// Notebooks that do not pass, and some whose kernel does not end by itself.
const FAILING: &[(&str, &[&str])] = &[
    ("error", &["def f():\n    return 1 / 0\n\nf()"]),
    ("syntax", &["x = (1,\nfor"]),
    ("exit", &["import sys; sys.exit(3)"]),
    ("gone", &["import os; os._exit(0)"]),
    ("crash", &["import ctypes; ctypes.string_at(0)"]),
    ("killed", &["import os; os.kill(os.getpid(), 9)"]),
    ("quit", &["quit()"]),
    ("input", &["input()"]),
    ("magic", &["%nosuch"]),
    (
        "daemon",
        &["import os, time\nif not os.fork():\n    os.setsid()\n    time.sleep(1000)\n"],
    ),
];

async fn run(case: &mut Case, cold: bool) -> Run {
    case.options.cold = cold;
    let run = case.run().await;
    let notes: Vec<&Event> = run
        .events
        .iter()
        .filter(|event| matches!(event, Event::Note { .. }))
        .collect();
    assert!(notes.is_empty(), "{notes:?}");
    run
}

/// What a test came to, without what differs from run to run.
fn essence(run: &Run, name: &str) -> String {
    let id = format!("cal::notebooks::{name}");
    let mut finished = serde_json::to_value(run.finished(&id)).unwrap();
    for variable in ["seconds", "peak-memory", "worker"] {
        finished.as_object_mut().unwrap().shift_remove(variable);
    }
    let whole = json!({"finished": finished, "cells": run.notebook(&id)["cells"]});
    let text = serde_json::to_string_pretty(&whole).unwrap();
    let text = without_addresses(&text.replace("\\n", "\n"));
    // Helpers of multiprocessing end by themselves, sooner or later.
    let lines = text.lines().filter(|line| !line.starts_with("[floe: left behind"));
    lines.collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn assert_equal(cold: &Run, warm: &Run, name: &str) {
    let (cold, warm) = (essence(cold, name), essence(warm, name));
    for (cold, warm) in cold.lines().zip(warm.lines()) {
        assert_eq!(warm, cold, "{name}");
    }
    assert_eq!(warm.lines().count(), cold.lines().count(), "{name}");
}

/// Process IDs and addresses in memory differ from process to process.
fn without_addresses(text: &str) -> String {
    ["0x", "ipykernel_"].iter().fold(text.to_owned(), |text, prefix| {
        let mut pieces = text.split(prefix);
        let first = pieces.next().unwrap_or_default().to_owned();
        let number = |c: char| c.is_ascii_hexdigit();
        pieces.fold(first, |text, piece| text + prefix + piece.trim_start_matches(number))
    })
}

/// What floe noted of a run.
fn notes(run: &Run) -> Vec<&str> {
    let mut notes = Vec::new();
    for event in &run.events {
        if let Event::Note { text } = event {
            notes.push(text.as_str());
        }
    }
    notes
}

#[tokio::test]
async fn a_server_that_dies_takes_no_notebook_with_it() {
    let mut case = Case::new();
    case.options.jobs = 1;
    // The server is the process of this case that has this one's parent and runs a program given on its command line.
    let kill = "import os, signal\n\
                def read(name): return open(f'/proc/{pid}/{name}', errors='replace').read().split('\\0')\n\
                for pid in filter(str.isdigit, os.listdir('/proc')):\n    \
                    try: words, [stat], variables = map(read, ['cmdline', 'stat', 'environ'])\n    \
                    except OSError: continue\n    \
                    parent = int(stat.rpartition(') ')[2].split()[1])\n    \
                    if '-c' in words and 'HOME=' + os.environ['HOME'] in variables and parent == os.getppid() and int(pid) != os.getpid():\n        \
                        os.kill(int(pid), signal.SIGKILL); print('killed')";
    case.notebook("a.ipynb", &[kill]);
    case.notebook("b.ipynb", &["1"]);
    case.notebook("c.ipynb", &["1 / 0"]);
    let run = case.run().await;
    assert_eq!((run.summary.passed, run.summary.failed), (2, 1));
    assert_eq!(run.finished("cal::notebooks::a.ipynb").output, "killed\n");
    let notes = notes(&run);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0].starts_with("cal: a kernel is started from scratch, since "),
        "{notes:?}"
    );
}

#[tokio::test]
async fn every_kernel_ends_by_itself_when_it_is_asked_to() {
    let case = Case::new();
    let options = &case.options;
    floe::process::adopt_orphans().unwrap();
    let spec = options.kernels.find("cal").unwrap();
    let launch = Launch {
        spec: &spec,
        python: &options.conda_dir.join("bin/python"),
        directory: &options.scratch,
        environment: &options.variables,
        scratch: &options.scratch,
        ready: options.ready_timeout,
    };
    let (launcher, _) = spec.launcher(launch.python, launch.directory).unwrap();
    let variables = launch.variables();
    let server = Server::start(&launcher, &variables, launch.scratch, launch.ready);
    let server = server.await.unwrap();
    for _ in 0..20 {
        let kernel = Kernel::fork(launch, &server).await.unwrap();
        assert_eq!(kernel.end().await.exit, Some(Exit::Code(0)));
    }
    server.end().await;
}

#[tokio::test]
async fn what_cannot_be_forked_safely_is_started_from_scratch() {
    let case = Case::new();
    let thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n";
    case.module("sitecustomize", thread);
    for name in ["a.ipynb", "b.ipynb"] {
        case.notebook(
            name,
            &["import threading\nassert any(t.name.startswith('Thread-1') for t in threading.enumerate())"],
        );
    }
    let run = case.run().await;
    assert_eq!(run.summary.passed, 2, "{:?}", run.events);
    let reason = "cal: each kernel is started from scratch, since ipykernel comes with 1 thread that a fork would lose";
    assert_eq!(notes(&run), [reason]);
}

#[tokio::test]
async fn a_kernel_that_is_not_launched_as_usual_is_started_from_scratch() {
    let mut case = Case::new();
    case.kernel(&[
        "python",
        "-X",
        "dev",
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
    ]);
    for name in ["a.ipynb", "b.ipynb"] {
        case.notebook(name, &["import sys; assert sys.flags.dev_mode"]);
    }
    let run = case.run().await;
    assert_eq!(run.summary.passed, 2, "{:?}", run.events);
    assert_eq!(notes(&run).len(), 1);
}

#[tokio::test]
async fn a_single_notebook_is_not_worth_a_server() {
    let case = Case::new();
    case.notebook(
        "a.ipynb",
        &["import os; print('-c' in open('/proc/self/cmdline').read().split('\\0'))"],
    );
    assert_eq!(case.run().await.finished("cal::notebooks::a.ipynb").output, "False\n");
    case.notebook("b.ipynb", &["1"]);
    assert_eq!(case.run().await.finished("cal::notebooks::a.ipynb").output, "True\n");
}

#[tokio::test]
async fn a_forked_kernel_gives_what_a_new_one_gives() {
    let mut case = Case::new();
    case.file("near.py", "value = 'a neighbour'");
    case.notebook("a.ipynb", CELLS);
    let at_exit = "import atexit, os\natexit.register(lambda: open(os.path.expanduser('~/ended'), 'w').close())";
    case.notebook("b.ipynb", &[at_exit]);
    for (name, cells) in FAILING {
        case.notebook(&format!("{name}.ipynb"), cells);
    }
    let ended = Path::new(&case.options.variables[OsStr::new("HOME")]).join("ended");
    let cold = run(&mut case, true).await;
    fs::remove_file(&ended).unwrap();
    let warm = run(&mut case, false).await;
    assert!(ended.exists());
    assert_equal(&cold, &warm, "a.ipynb");
    for (name, _) in FAILING {
        assert_equal(&cold, &warm, &format!("{name}.ipynb"));
    }
    assert_eq!(cold.summary, warm.summary);
}

#[tokio::test]
async fn a_forked_kernel_says_how_code_ends_without_being_asked_to() {
    let case = Case::new();
    let is_told = "links = [link['text'] for link in get_ipython().kernel.help_links]\nassert 'floe' in links, links";
    for name in ["a.ipynb", "b.ipynb", "c.ipynb"] {
        case.notebook(name, &[is_told]);
    }
    assert_eq!(case.run().await.summary.passed, 3);
    let mut cold = Case::new();
    cold.options.cold = true;
    cold.notebook("a.ipynb", &[&is_told.replace("in links", "not in links")]);
    assert_eq!(cold.run().await.summary.passed, 1);
}
