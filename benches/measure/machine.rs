//! The machine and the versions that a measurement depends on.

use std::fs;
use std::process::Command;

/// One line each; `programs` are those that were measured, with their versions.
pub fn describe(programs: &[String]) -> Vec<String> {
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "an unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
    let memory = memory
        .map(|kib| format!(", {} GiB of memory", (kib + (1 << 19)) >> 20))
        .unwrap_or_default();
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut versions = vec![format!("floe {}", env!("CARGO_PKG_VERSION"))];
    versions.extend(programs.iter().cloned());
    let engine = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .output();
    let engine = engine.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    versions.extend(
        engine
            .ok()
            .filter(|version| !version.is_empty())
            .map(|version| format!("Docker {version}")),
    );
    vec![
        format!("{processor}, {cores} cores{memory}"),
        format!(
            "{}, Linux {}",
            system.unwrap_or("an unknown system").trim_matches('"'),
            kernel.trim()
        ),
        versions.join(", "),
    ]
}

/// The value of the first line `name : value` of a file.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}
