//! How much memory there is, how much of it a process took, and whether the kernel killed something for want of it.

use std::fs;
use std::path::{Path, PathBuf};

use procfs_core::process::Status;
use procfs_core::{FromRead as _, Meminfo, ProcessCGroups};
use rustix::process::Pid;

/// The greatest resident memory of a living process in bytes.
#[must_use]
pub fn peak(pid: Pid) -> Option<u64> {
    let status = Status::from_file(format!("/proc/{pid}/status")).ok()?;
    Some(status.vmhwm? * 1024)
}

/// The memory that processes here may take in all, in bytes: the least of the control group's limit, version 1 or 2,
/// and what the machine has available. `None` where nothing tells.
#[must_use]
pub fn available() -> Option<u64> {
    // Version 1 says "no limit" by a number that is larger than any machine, version 2 by a word.
    let limits = candidates("memory.limit_in_bytes", "memory.max");
    let limits = limits
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    let machine = Meminfo::from_file("/proc/meminfo")
        .ok()
        .and_then(|about| about.mem_available);
    limits.chain(machine).min()
}

/// Counts the processes that were killed because this control group reached its memory limit.
#[derive(Debug, Clone)]
pub struct OomCounter(Option<PathBuf>);

impl OomCounter {
    /// The counter of this process's own control group, version 1 or 2. Where there is none, nothing is counted.
    #[must_use]
    pub fn of_this_process() -> Self {
        let candidates = candidates("memory.oom_control", "memory.events");
        Self(candidates.into_iter().find(|path| killed(path).is_some()))
    }

    /// How many were killed so far.
    #[must_use]
    pub fn kills(&self) -> u64 {
        self.0.as_deref().and_then(killed).unwrap_or(0)
    }
}

fn killed(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    count.trim().parse().ok()
}

/// Where a file of this process's control group may be, by its name in version 1 and in version 2.
fn candidates(first: &str, second: &str) -> Vec<PathBuf> {
    let groups = ProcessCGroups::from_file("/proc/self/cgroup");
    groups
        .map(|groups| files_of(&groups, first, second))
        .unwrap_or_default()
}

/// In a container the path that the kernel names often exists on the host alone, and the group itself is mounted at the
/// root.
fn files_of(groups: &ProcessCGroups, first: &str, second: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for group in groups {
        let named = group.controllers.iter().filter(|name| !name.is_empty());
        let (root, file) = if named.clone().next().is_none() {
            ("/sys/fs/cgroup", second)
        } else if named.clone().any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", first)
        } else {
            continue;
        };
        let root = Path::new(root);
        paths.push(root.join(group.pathname.trim_start_matches('/')).join(file));
        paths.push(root.join(file));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_looked_for_where_containers_mount_them() {
        let groups = ProcessCGroups::from_read("9:name=systemd:/\n4:memory:/docker/abc\n0::/x\n".as_bytes()).unwrap();
        let paths = files_of(&groups, "memory.oom_control", "memory.events");
        insta::assert_debug_snapshot!(paths, @r#"
        [
            "/sys/fs/cgroup/memory/docker/abc/memory.oom_control",
            "/sys/fs/cgroup/memory/memory.oom_control",
            "/sys/fs/cgroup/x/memory.events",
            "/sys/fs/cgroup/memory.events",
        ]
        "#);
    }

    #[test]
    fn memory_is_in_bytes() {
        assert!(peak(rustix::process::getpid()).is_some_and(|bytes| bytes > 100_000));
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
