//! What takes minutes: `scripts/check --long` runs it.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use super::case::Case;

/// The greatest memory of a finished child, by way of `time`, would count what it waited for: the agent's own is read
/// while it runs.
fn peak_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
#[ignore = "long"]
fn a_gigabyte_of_output_takes_bounded_memory_and_leaves_a_bounded_notebook() {
    for cell in [
        "import os\nline = 'x' * 1023\nfor _ in range(1024 * 1024): print(line)",
        "print('y' * 1024**3)",
        "import os\nfor _ in range(1024): os.write(1, b'z' * 1024**2)",
    ] {
        let case = Case::new();
        case.notebook("x.ipynb", &[cell, "1"]);
        let mut agent = case.agent();
        agent
            .args(["test-notebooks", "cal", "x.ipynb"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut running = agent.spawn().unwrap();
        let (mut peak, pid) = (0, running.id());
        while running.try_wait().unwrap().is_none() {
            peak = peak_of(pid).unwrap_or_default().max(peak);
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = running.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{cell}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(peak < 100_000, "{cell}: {peak} kB");
        let artifact: PathBuf = case.options.scratch.join("floe-artifacts/notebooks/cal/x.ipynb");
        let notebook = fs::read_to_string(artifact).unwrap();
        assert!(notebook.len() < 20_000_000, "{cell}: {}", notebook.len());
        assert!(notebook.contains("bytes of output are not kept"), "{cell}");
    }
}
