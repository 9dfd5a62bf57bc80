//! The process that owns a run.

use std::fs;

/// The process that owns a run, told apart from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// When it started, as the kernel counts, with the boot that it belongs to.
    pub started: String,
}

impl Owner {
    /// The process that calls this.
    #[must_use]
    pub fn current() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        started(self.pid).is_some_and(|started| started == self.started)
    }
}

/// The start time of a process: the 22nd field of `/proc/<pid>/stat`, which follows a name that may hold anything.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let fields = stat.rsplit_once(") ")?.1;
    Some(format!("{}/{}", boot.trim(), fields.split(' ').nth(19)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_is_not_mistaken_for_a_later_one() {
        let current = Owner::current();
        assert!(current.is_running());
        let earlier = Owner {
            started: "another boot/1".to_owned(),
            ..current
        };
        assert!(!earlier.is_running());
    }
}
