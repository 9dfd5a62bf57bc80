//! A person at a terminal.

use std::process::Command;

use world::run;

use super::mission;
use crate::workshop::containers;

/// Gives a call a terminal of 33 rows, and plays a person there: waits for a text, types another, or takes another size.
/// Prints all that was shown, and ends as the call does.
const PERSON: &str = r#"
import fcntl, json, os, pty, re, select, struct, sys, termios, time
def size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
pid, fd = pty.fork()
if pid == 0:
    time.sleep(0.2)
    os.execvp(sys.argv[2], sys.argv[2:])
size(fd, 33, 100)
shown, seen = "", 0
def wait(pattern):
    global shown, seen
    deadline = time.time() + 60
    while True:
        found = re.search(pattern, shown[seen:])
        if found:
            seen += found.end()
            return
        if time.time() > deadline:
            sys.exit(f"no {pattern!r} in:\n{shown}")
        if select.select([fd], [], [], 1)[0]:
            shown += os.read(fd, 65536).decode(errors="replace")
for step in json.loads(sys.argv[1]):
    if "see" in step:
        wait(step["see"])
    elif "size" in step:
        size(fd, *step["size"])
        time.sleep(0.5)
    else:
        os.write(fd, step["type"].encode())
try:
    while True:
        piece = os.read(fd, 65536).decode(errors="replace")
        if not piece:
            break
        shown += piece
except OSError:
    pass
_, status = os.waitpid(pid, 0)
print(shown)
print("ended with", os.waitstatus_to_exitcode(status))
"#;

#[test]
fn a_shell_has_the_terminal_with_its_size_and_its_keys() {
    let repository = mission("typed");
    let steps = r#"[
        {"see": "\\(small\\) .*\\$ "}, {"type": "stty size; which python\r"},
        {"see": "33 100\r\n/opt/conda/envs/small/bin/python"},
        {"size": [44, 120]}, {"type": "stty size\r"}, {"see": "44 120"},
        {"type": "sh -c 'echo be$((1))gun; exec sleep 100'\r"}, {"see": "be1gun"}, {"type": "\u0003"}, {"see": "\\^C"},
        {"type": "echo co$((1))de $?\r"}, {"see": "co1de 130"},
        {"type": "exit 5\r"}
    ]"#;
    let call = repository.command(&["shell", "--env", "small"]);
    let shown = run(person(steps, &call));
    assert!(shown.ends_with("ended with 5\n"), "{shown}");
    assert_eq!(containers("typed"), "");
}

/// The call, with a person at its terminal.
fn person<'a>(steps: &str, call: &Command) -> &'a mut Command {
    let mut command = world::through(&["python3", "-c", PERSON, steps], call);
    command.env("TERM", "xterm");
    Box::leak(Box::new(command))
}
