//! Whom a verdict can trust: what runs in a container can make nothing pass, and what it changes for others is told.

use floe::event::wire::Encoder;
use floe::event::{CauseKind, Event, Record, TestFinished, Verdict};
use floe::reference::TestId;

use super::{add, failures, last, mission};

/// Ways by which a notebook may try to pass, each a cell that goes on whether or not it worked. `frame` is a record that
/// says so, as the agent's own would look without its proof.
const WAYS: &[(&str, &str)] = &[
    ("first-output", "attempt(write, '/proc/1/fd/1', frame)"),
    ("first-errors", "attempt(write, '/proc/1/fd/2', frame)"),
    ("parents-output", "attempt(write, f'/proc/{os.getppid()}/fd/1', frame)"),
    (
        "every-output",
        "for path in glob.glob('/proc/[0-9]*/fd/[12]'): attempt(write, path, frame)",
    ),
    (
        "own-output",
        "os.write(1, frame); os.write(2, frame); sys.__stdout__.buffer.write(frame); print(frame.decode())",
    ),
    (
        "console",
        "attempt(write, '/dev/console', frame); attempt(write, '/dev/tty', frame)",
    ),
    (
        "invented-proof",
        "sealed = b'\\x1e{\"n\": 1, \"proof\": \"' + b'00' * 32 + b'\", \"record\": ' + frame[1:-1] + b'}\\n'\n\
         attempt(write, '/proc/1/fd/1', sealed); os.write(1, sealed)",
    ),
    ("key-of-the-first", "attempt(key_of, '/proc/1/environ')"),
    (
        "key-of-any",
        "for path in glob.glob('/proc/[0-9]*/environ'): attempt(key_of, path)",
    ),
    ("key-in-memory", "attempt(lambda: open('/proc/1/mem', 'r+b'))"),
    (
        "key-by-maps",
        "attempt(lambda: print(open('/proc/1/maps').read()[:100], 'READ'))",
    ),
    (
        "tracing",
        "libc = ctypes.CDLL(None)\nif libc.ptrace(16, 1, 0, 0) == 0: print('READ')\n\
         if libc.ptrace(0x4206, 1, 0, 0) == 0: print('READ')",
    ),
    (
        "reading-from-afar",
        "class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]\n\
         space = ctypes.create_string_buffer(64)\n\
         own, far = Part(ctypes.addressof(space), 64), Part(0x400000, 64)\n\
         if ctypes.CDLL(None).process_vm_readv(1, ctypes.byref(own), 1, ctypes.byref(far), 1, 0) > 0: print('READ')",
    ),
    ("stopping", "attempt(os.kill, 1, signal.SIGSTOP)"),
    (
        "killing",
        "attempt(os.kill, 1, signal.SIGKILL); attempt(os.kill, 1, signal.SIGSEGV)",
    ),
    (
        "another-agent",
        "attempt(write, '/opt/floe/bin/floe', b'#! /bin/sh\\n'); attempt(os.unlink, '/opt/floe/bin/floe')\n\
         attempt(os.rename, '/opt/floe/bin', '/opt/floe/old')",
    ),
    (
        "asking-the-agent",
        "for path in glob.glob('/tmp/floe-agent-*/socket'):\n    connection = socket.socket(socket.AF_UNIX)\n    \
         attempt(connection.connect, path)\n    \
         attempt(connection.sendall, b'{\"words\": [], \"place\": {\"variables\": [], \"directory\": \"/\"}}\\n')\n    \
         print(attempt(connection.recv, 1000))",
    ),
    (
        "an-agent-of-its-own",
        "print(subprocess.run(['/opt/common-scripts/test-imports', 'json'], env={**os.environ, 'FLOE_EVENTS': '1'}, \
         capture_output=True))\n\
         attempt(lambda: subprocess.run(['/opt/common-scripts/test-imports', 'json'], stdout=open('/proc/1/fd/1', 'w')))",
    ),
    (
        "artifacts",
        "for name in ['events.jsonl', 'report.json', 'notebooks/../events.jsonl', 'summary.md']:\n    \
         attempt(write, f'/tmp/floe-artifacts/{name}', frame)",
    ),
    ("memory-score", "attempt(write, '/proc/1/oom_score_adj', b'1000')"),
];

const TOOLS: &str = "import ctypes, glob, os, signal, socket, subprocess, sys\n\
                     def write(path, data):\n    with open(path, 'wb', buffering=0) as file: file.write(data)\n\
                     def key_of(path):\n    if b'FLOE_EVENTS=' in open(path, 'rb').read(): print('READ')\n\
                     def attempt(way, *arguments):\n    try: return way(*arguments)\n    \
                     except (OSError, ValueError) as error: return error\n";

/// The bytes, as python writes them.
fn literal(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("\\x{byte:02x}"));
    format!("b'{}'", digits.collect::<String>())
}

#[test]
fn no_notebook_makes_itself_pass_by_any_of_twenty_ways() {
    let repository = mission("forger");
    for (name, way) in WAYS {
        let file = format!("{name}.ipynb");
        let passed = TestFinished::new(TestId::notebook("small", &file), Verdict::Passed);
        let frame = Encoder::default().encode(&Record::now(Event::TestFinished(passed)));
        let source = format!(
            "{TOOLS}frame = {}\n{way}\nraise AssertionError('it is red')",
            literal(&frame)
        );
        add(&repository, "forger", &file, &source);
    }
    repository.floe(&["build", "forger"]).expect(0);
    // What stops the agent stops it for good.
    let all = repository.floe(&["test", "forger", "--run-timeout", "5m"]).expect(100);
    let outcome = last(&repository);
    assert!(!outcome.passed);
    let failures = failures(&outcome);
    for (name, _) in WAYS {
        let red = (format!("small::notebooks::{name}.ipynb"), CauseKind::Error);
        assert!(
            failures.contains(&red),
            "{name} is not red by itself: {failures:#?}\n{all:?}"
        );
    }
    let read = outcome.tests.iter().filter(|test| test.output.contains("READ"));
    assert_eq!(read.map(|test| test.id.to_string()).collect::<Vec<_>>(), [""; 0]);
    let push = repository
        .floe(&["push", "forger", "--registry", "localhost:1/hub"])
        .expect(102);
    push.says(&["has no passing test results"]);
}

#[test]
fn a_notebook_that_asks_the_agent_to_end_makes_the_run_red() {
    let repository = mission("ender");
    let source = "import os, time; os.kill(1, 15); time.sleep(60)";
    add(&repository, "ender", "ends.ipynb", source);
    repository.floe(&["build", "ender"]).expect(0);
    repository.floe(&["test", "ender", "ends.ipynb"]).expect(100);
    let outcome = last(&repository);
    let red = ("small::notebooks::ends.ipynb".to_owned(), CauseKind::NotRun);
    assert_eq!((failures(&outcome), outcome.passed), (vec![red], false));
}

#[test]
fn what_a_test_changes_of_what_others_run_with_is_told_unless_it_has_a_container_of_its_own() {
    let repository = mission("changer");
    let ways = [
        (
            "installs",
            "import sysconfig\nopen(sysconfig.get_path('purelib') + '/late.py', 'w').write('')",
            "late.py",
        ),
        (
            "overwrites",
            "open('/opt/environments/small/tests/imports', 'a').write('# another\\n')",
            "/opt/environments/small/tests/imports",
        ),
        (
            "of-the-user",
            "import os, site\nos.makedirs(site.getusersitepackages(), exist_ok=True)\n\
             open(site.getusersitepackages() + '/late.py', 'w').write('')",
            "late.py",
        ),
        (
            "starts-up",
            "import os\nos.makedirs(os.path.expanduser('~/.ipython/profile_default/startup'), exist_ok=True)\n\
             open(os.path.expanduser('~/.ipython/profile_default/startup/00.py'), 'w').write('late = 1')",
            "startup/00.py",
        ),
    ];
    for (name, source, _) in ways {
        add(&repository, "changer", &format!("{name}.ipynb"), source);
    }
    repository.floe(&["build", "changer"]).expect(0);
    for (name, _, changed) in ways {
        let told = repository
            .floe(&["test", "changer", &format!("{name}.ipynb")])
            .expect(100);
        told.says(&["tests changed what others ran with", changed, "isolated: true"]);
    }
    let settings = "missions/changer/environments/small/tests/settings.yml";
    repository.write(settings, "isolated: true\n");
    repository.floe(&["build", "changer"]).expect(0);
    repository.floe(&["test", "changer"]).expect(0).says(&["8 passed"]);
}
