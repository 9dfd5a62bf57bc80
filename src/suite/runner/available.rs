//! How much memory there is for tests: the container's limit, or what the machine has left.

use std::fs;
use std::path::Path;

/// The memory that processes here may take in all, in bytes: the least of the control group's limit, version 1 or 2,
/// and what the machine has available. `None` where nothing tells.
#[must_use]
pub fn memory() -> Option<u64> {
    let limits = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    // Version 1 says "no limit" by a number that is larger than any machine, version 2 by a word.
    let limits = limits
        .iter()
        .filter_map(|path| limit(&fs::read_to_string(Path::new(path)).ok()?));
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| left(&text));
    limits.chain(machine).min()
}

fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// What `/proc/meminfo` says is available.
fn left(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_bytes_and_its_absence_is_none() {
        assert_eq!(limit("1073741824\n"), Some(1 << 30));
        assert_eq!(limit("max\n"), None);
        assert_eq!(left("MemTotal: 9 kB\nMemAvailable:     2048 kB\n"), Some(2 << 20));
        assert!(memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
