//! The process table: what `/proc` says of the processes that there are, which is read here alone.

use std::fs;
use std::path::PathBuf;

use procfs_core::FromRead as _;
use procfs_core::process::{LimitValue, Limits, Stat};
use rustix::process::{Pid, Signal, getpid, kill_process};

/// What the process table says of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its ID.
    pub pid: Pid,
    /// The beginning of its program's name.
    pub name: String,
    /// Whether it has ended and has not been reaped.
    pub dead: bool,
    /// Who started it, or adopted it.
    pub parent: Option<Pid>,
    /// Its process group; `None` where it is about to vanish.
    pub group: Option<Pid>,
    /// Its session; `None` where it is about to vanish, or the session began outside of the namespace.
    pub session: Option<Pid>,
    /// When it started, in ticks of the clock since the machine did.
    pub started: u64,
}

impl Process {
    /// The process with this ID, if there is one.
    #[must_use]
    pub fn of(pid: Pid) -> Option<Self> {
        let stat = Stat::from_file(format!("/proc/{pid}/stat")).ok()?;
        // What is about to vanish has group and session -1.
        let id = |id: i32| Some(id).filter(|&id| id > 0).and_then(Pid::from_raw);
        Some(Self {
            pid,
            dead: matches!(stat.state, 'Z' | 'X'),
            parent: id(stat.ppid),
            group: id(stat.pgrp),
            session: id(stat.session),
            started: stat.starttime,
            name: stat.comm,
        })
    }

    /// All processes, as far as this one sees them.
    pub fn all() -> impl Iterator<Item = Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
        pids.filter_map(Self::of)
    }

    /// Whether `ancestor` started it, by however many steps.
    #[must_use]
    pub fn descends_from(&self, ancestor: Pid) -> bool {
        let parents = std::iter::successors(self.parent, |&pid| Self::of(pid)?.parent);
        // A chain longer than any machine has processes is one of IDs that were given again meanwhile.
        parents.take(1 << 16).any(|pid| pid == ancestor)
    }

    /// The file that its program was read from.
    #[must_use]
    pub fn program(&self) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/exe", self.pid)).ok()
    }

    /// How many file locks it may have; `None` if there is no limit, or the process is gone.
    #[must_use]
    pub fn lock_limit(&self) -> Option<u64> {
        match Limits::from_file(format!("/proc/{}/limits", self.pid))
            .ok()?
            .max_file_locks
            .soft_limit
        {
            LimitValue::Value(limit) => Some(limit),
            LimitValue::Unlimited => None,
        }
    }
}

/// Asks every process that this one started, by however many steps, to end.
pub fn end_descendants() {
    for process in Process::all().filter(|process| process.descends_from(getpid())) {
        // What is gone meanwhile needs no signal.
        let _ = kill_process(process.pid, Signal::TERM);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_is_found_with_its_parent_and_program() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let pid = Pid::from_child(&child);
        // Until it has become `sleep`, it is this program.
        while Process::of(pid).unwrap().name != "sleep" {
            std::thread::yield_now();
        }
        let found = Process::all().find(|process| process.pid == pid).unwrap();
        assert_eq!(found.parent, Some(getpid()));
        assert!(found.descends_from(getpid()) && !found.dead);
        assert_eq!(found.lock_limit(), Process::of(getpid()).unwrap().lock_limit());
        assert!(found.program().unwrap().ends_with("sleep") || found.program().is_some());
        child.kill().unwrap();
        while !Process::of(pid).unwrap().dead {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(Process::of(pid), None);
    }
}
