//! What one process takes for itself, without its children.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// How often the process is looked at. What it does after the last look is not seen.
const PAUSE: Duration = Duration::from_millis(10);

/// What a process took.
#[derive(Debug, Default)]
pub struct Usage {
    /// How long processors worked for it.
    pub work: Duration,
    /// Bytes of its resident memory at most.
    pub memory: u64,
}

/// Runs a program that must succeed, and watches it.
#[track_caller]
pub fn watched(command: &mut Command) -> Usage {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut usage = Usage::default();
    loop {
        if let Some(stat) = read(child.id(), "stat") {
            // `utime` and `stime` of proc(5), in hundredths of a second.
            let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
            let ticks: u64 = fields
                .skip(11)
                .take(2)
                .filter_map(|field| field.parse::<u64>().ok())
                .sum();
            usage.work = usage.work.max(Duration::from_millis(10 * ticks));
        }
        if let Some(status) = read(child.id(), "status") {
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let peak = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
            usage.memory = usage.memory.max(peak.unwrap_or(0) * 1024);
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{command:?}: {status}");
            return usage;
        }
        sleep(PAUSE);
    }
}

fn read(process: u32, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/{file}")).ok()
}
