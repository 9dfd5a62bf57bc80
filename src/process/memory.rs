//! How much memory a process took, and whether the kernel killed something for want of it.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// The greatest resident memory of a living process in bytes (`VmHWM` of `/proc/<pid>/status`).
#[must_use]
pub fn peak(pid: Pid) -> Option<u64> {
    peak_in(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// Counts the processes that were killed because this control group reached its memory limit.
#[derive(Debug, Clone)]
pub struct OomCounter(Option<PathBuf>);

impl OomCounter {
    /// The counter of this process's own control group, version 1 or 2. Where there is none, nothing is counted.
    #[must_use]
    pub fn of_this_process() -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self(candidates(&groups).into_iter().find(|path| read(path).is_some()))
    }

    /// How many were killed so far.
    #[must_use]
    pub fn kills(&self) -> u64 {
        self.0.as_deref().and_then(read).unwrap_or(0)
    }
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Where the counter may be. In a container the path that `/proc/self/cgroup` names often exists on the host alone,
/// and the group itself is mounted at the root.
fn candidates(groups: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, file) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.events")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.oom_control")
        } else {
            continue;
        };
        let root = Path::new(root);
        paths.push(root.join(group.trim_start_matches('/')).join(file));
        paths.push(root.join(file));
    }
    paths
}

fn read(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_looked_for_where_containers_mount_them() {
        let paths = candidates("9:name=systemd:/\n4:memory:/docker/abc\n0::/x\n");
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
    fn peak_memory_is_in_bytes() {
        assert_eq!(peak_in("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2 * 1024 * 1024));
        assert!(peak(rustix::process::getpid()).is_some_and(|bytes| bytes > 100_000));
    }
}
