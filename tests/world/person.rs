//! A person at a terminal.

use std::process::Command;

/// Gives a call a terminal of 33 rows, and plays a person there: waits for a text or a file, types something, or takes another size.
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
    elif "file" in step:
        while not os.path.exists(step["file"]):
            time.sleep(0.05)
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

/// The call, with a person at its terminal who does `steps`: a list in JSON of `{"see": PATTERN}`, `{"file": PATH}`, `{"type": TEXT}`
/// and `{"size": [ROWS, COLUMNS]}`. It prints what was shown, and `ended with`, and the exit code, or a signal's number below zero.
pub fn person(steps: &str, call: &Command) -> Command {
    let mut command = super::through(&["python3", "-c", PERSON, steps], call);
    command.env("TERM", "xterm");
    command
}
