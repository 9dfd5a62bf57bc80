//! Finds and kills the processes that a child started, those that left its process group too.

use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};

/// The variable that marks a child and, by inheritance, all that it starts.
pub const MARK: &str = "FLOE_PROCESS";

/// How often the process table is searched: something that forks faster than this can kill is not caught by it.
const ROUNDS: usize = 200;

const PAUSE: Duration = Duration::from_millis(2);

/// A mark that no other child has.
pub fn new_mark() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The processes of one child: its group, and those that carry its mark. Dropping it kills them, unless they have been
/// reaped.
#[derive(Debug)]
pub struct Strays {
    /// None where the child is not known yet.
    group: Option<Pid>,
    mark: String,
    /// Killed outside the group, to be reaped if they have become children of this process.
    killed: Vec<OwnedFd>,
    /// Once the group has been reaped its ID may belong to others.
    reaped: bool,
}

struct Member {
    pid: Pid,
    name: String,
    in_group: bool,
}

impl Strays {
    /// The processes of the child that leads `group` and carries `mark`.
    pub fn new(group: Option<Pid>, mark: &str) -> Self {
        Self {
            group,
            mark: format!("{MARK}={mark}"),
            killed: Vec::new(),
            reaped: false,
        }
    }

    /// The same, now that the child is known.
    pub fn of_group(mut self, group: Pid) -> Self {
        self.group = Some(group);
        self
    }

    /// Kills until nothing is left, and names what was left besides the child itself.
    pub async fn kill(&mut self) -> Vec<String> {
        let mut names = None;
        for _ in 0..ROUNDS {
            let members = self.members();
            if names.is_none() {
                let others = members.iter().filter(|member| Some(member.pid) != self.group);
                names = Some(others.map(|member| member.name.clone()).collect());
            }
            if members.is_empty() {
                break;
            }
            self.kill_members(&members);
            tokio::time::sleep(PAUSE).await;
        }
        names.unwrap_or_default()
    }

    /// Kills once, for a caller that cannot wait.
    pub fn kill_now(&mut self) {
        if !self.reaped {
            let members = self.members();
            self.kill_members(&members);
            self.reap();
        }
    }

    /// Reaps what is dead. After this the group's ID is free, so nothing is signalled any more.
    pub fn reap(&mut self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        if let Some(group) = self.group {
            while let Ok(Some(_)) = waitid(WaitId::Pgid(Some(group)), options) {}
        }
        for process in self.killed.drain(..) {
            let _ = waitid(WaitId::PidFd(process.as_fd()), options);
        }
        self.reaped = true;
    }

    fn kill_members(&mut self, members: &[Member]) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        for member in members.iter().filter(|member| !member.in_group) {
            // The descriptor is opened before the mark is read again, so the signal cannot reach a successor.
            if let Ok(process) = pidfd_open(member.pid, PidfdFlags::empty())
                && self.is_marked(member.pid)
            {
                let _ = pidfd_send_signal(&process, Signal::KILL);
                self.killed.push(process);
            }
        }
    }

    /// The living processes of the group and those with the mark.
    fn members(&self) -> Vec<Member> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
            .filter(|&pid| pid != rustix::process::getpid())
            .filter_map(|pid| self.member(pid))
            .collect()
    }

    fn member(&self, pid: Pid) -> Option<Member> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // `pid (name) state parent group …`, where the name may hold anything, parentheses too.
        let (front, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?;
        let group = fields.nth(1)?.parse().ok().and_then(Pid::from_raw);
        if matches!(state, "Z" | "X") {
            return None;
        }
        let in_group = group.is_some() && group == self.group;
        (in_group || self.is_marked(pid)).then(|| Member {
            pid,
            name: front.split_once(" (").map_or("?", |(_, name)| name).to_owned(),
            in_group,
        })
    }

    fn is_marked(&self, pid: Pid) -> bool {
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
            environment
                .split(|&b| b == 0)
                .any(|entry| entry == self.mark.as_bytes())
        })
    }
}

impl Drop for Strays {
    fn drop(&mut self) {
        self.kill_now();
    }
}
