//! Finds and kills the processes that a child started, those that left its process group too.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};

use super::mark::Mark;
use super::table::Process;

/// How often the process table is searched: something that forks faster than this can kill is not caught by it.
const ROUNDS: usize = 200;

const ROUND_INTERVAL: Duration = Duration::from_millis(2);

/// How long what is left may take to notice that it is alone, as the helpers of joblib and multiprocessing do, and how
/// long if it has a session of its own.
const END_TIMEOUT: Duration = Duration::from_millis(200);
const DAEMON_END_TIMEOUT: Duration = Duration::from_secs(2);

/// How often it is looked at meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The children that are accounted for.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// Whether children that nobody accounts for are taken for what a test has left.
static CLAIMED: AtomicBool = AtomicBool::new(false);

/// A child that is accounted for.
struct Known {
    mark: Mark,
    group: Option<Pid>,
}

/// From now on, a child of this process that was not started here and carries no mark belongs to the next child that ends:
/// it can only be the orphan of one that hides whose it is.
pub fn claim_strangers() {
    CLAIMED.store(true, Ordering::Relaxed);
}

/// The processes of one child: its group, and those that carry its mark. Dropping it kills them, unless they have been
/// reaped.
#[derive(Debug)]
pub struct Descendants {
    /// None where the child is not known yet.
    group: Option<Pid>,
    mark: Mark,
    /// When the child started, where that is known: nothing that it started is older.
    since: u64,
    /// Killed outside the group, to be reaped if they have become children of this process.
    killed: Vec<OwnedFd>,
    /// Once the group has been reaped its ID may belong to others.
    reaped: bool,
}

/// A process that was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its name.
    pub name: String,
    /// Whether it had made itself independent, by a session of its own, and so was there to stay.
    pub daemon: bool,
}

struct Member {
    process: Process,
    in_group: bool,
    in_session: bool,
}

impl Descendants {
    /// The processes of the child that leads `group` and carries `mark`.
    pub fn new(group: Option<Pid>, mark: Mark) -> Self {
        known().push(Known { mark, group });
        Self {
            group,
            since: group.map_or(0, started),
            mark,
            killed: Vec::new(),
            reaped: false,
        }
    }

    /// The same, now that the child is known.
    pub fn of_group(mut self, group: Pid) -> Self {
        self.group = Some(group);
        self.since = started(group);
        for known in known().iter_mut().filter(|known| known.mark == self.mark) {
            known.group = Some(group);
        }
        self
    }

    /// Waits a moment for what is left to end by itself.
    pub async fn notice(&self) {
        let start = Instant::now();
        loop {
            let members = self.members();
            let daemons = members.iter().any(|member| !member.in_session);
            let limit = if daemons { DAEMON_END_TIMEOUT } else { END_TIMEOUT };
            if members.is_empty() || start.elapsed() > limit {
                return;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Kills until nothing is left, and tells what was left besides the child itself.
    pub async fn kill(&mut self) -> Vec<Left> {
        let mut left = None;
        if let Some(group) = self.group {
            // Among thousands that run all the time, a look at each would take minutes.
            let _ = kill_process_group(group, Signal::STOP);
        }
        for _ in 0..ROUNDS {
            let members = self.members();
            if left.is_none() {
                let others = members.iter().filter(|member| Some(member.process.pid) != self.group);
                let others = others.map(|member| Left {
                    name: member.process.name.clone(),
                    daemon: !member.in_session,
                });
                left = Some(others.collect());
            }
            if members.is_empty() {
                break;
            }
            self.kill_members(&members);
            tokio::time::sleep(ROUND_INTERVAL).await;
        }
        left.unwrap_or_default()
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
            if let Ok(opened) = pidfd_open(member.process.pid, PidfdFlags::empty())
                && (self.mark.is_on(&member.process) || is_strange(&member.process))
            {
                let _ = pidfd_send_signal(&opened, Signal::KILL);
                self.killed.push(opened);
            }
        }
    }

    /// The living processes of the group and those with the mark.
    fn members(&self) -> Vec<Member> {
        let living = Process::all().filter(|process| !process.dead);
        let others = living.filter(|process| process.pid != getpid());
        // The leader of a session may be out of sight, in a namespace without this process: then it has no ID.
        let session = Process::of(getpid()).and_then(|process| process.session);
        others.filter_map(|process| self.member(process, session)).collect()
    }

    fn member(&self, process: Process, session: Option<Pid>) -> Option<Member> {
        let in_group = process.group.is_some() && process.group == self.group;
        let descends = in_group
            || process.started >= self.since
                && (self.mark.is_on(&process) || CLAIMED.load(Ordering::Relaxed) && is_strange(&process));
        descends.then(|| Member {
            in_group,
            in_session: process.session == session,
            process,
        })
    }
}

/// Whether a child of `parent` is dead and has not been reaped.
pub fn has_dead_children(parent: Pid) -> bool {
    Process::all().any(|process| process.parent == Some(parent) && process.dead)
}

fn known() -> MutexGuard<'static, Vec<Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a process is an orphan that this process has adopted, and that no child accounts for.
fn is_strange(process: &Process) -> bool {
    let accounts = |known: &Known| {
        known.mark.is_on(process) || known.group.is_some() && [Some(process.pid), process.group].contains(&known.group)
    };
    process.parent == Some(getpid()) && !known().iter().any(accounts)
}

/// When a process started; 0 if it is not known.
fn started(pid: Pid) -> u64 {
    Process::of(pid).map_or(0, |process| process.started)
}

impl Drop for Descendants {
    fn drop(&mut self) {
        self.kill_now();
        known().retain(|known| known.mark != self.mark);
    }
}
