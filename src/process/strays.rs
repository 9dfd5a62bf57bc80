//! Finds and kills the processes that a child started, those that left its process group too.

use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};

/// The variable that marks a child and, by inheritance, all that it starts.
pub const MARK: &str = crate::image::variable::PROCESS;

/// How often the process table is searched: something that forks faster than this can kill is not caught by it.
const ROUNDS: usize = 200;

const PAUSE: Duration = Duration::from_millis(2);

/// How long what is left may take to notice that it is alone, as the helpers of joblib and multiprocessing do, and how
/// long if it has a session of its own.
const NOTICE: Duration = Duration::from_millis(200);
const LONG_NOTICE: Duration = Duration::from_secs(2);

/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);

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
    pid: Pid,
    name: String,
    in_group: bool,
    in_session: bool,
}

impl Strays {
    /// The processes of the child that leads `group` and carries `mark`.
    pub fn new(group: Option<Pid>, mark: &str) -> Self {
        Self {
            group,
            since: group.map_or(0, started),
            mark: format!("{MARK}={mark}"),
            killed: Vec::new(),
            reaped: false,
        }
    }

    /// The same, now that the child is known.
    pub fn of_group(mut self, group: Pid) -> Self {
        self.group = Some(group);
        self.since = started(group);
        self
    }

    /// Waits a moment for what is left to end by itself.
    pub async fn notice(&self) {
        let start = Instant::now();
        loop {
            let members = self.members();
            let daemons = members.iter().any(|member| !member.in_session);
            let limit = if daemons { LONG_NOTICE } else { NOTICE };
            if members.is_empty() || start.elapsed() > limit {
                return;
            }
            tokio::time::sleep(LOOK).await;
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
                let others = members.iter().filter(|member| Some(member.pid) != self.group);
                let others = others.map(|member| Left {
                    name: member.name.clone(),
                    daemon: !member.in_session,
                });
                left = Some(others.collect());
            }
            if members.is_empty() {
                break;
            }
            self.kill_members(&members);
            tokio::time::sleep(PAUSE).await;
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
        let living = processes().filter(|process| !matches!(process.state, 'Z' | 'X'));
        let others = living.filter(|process| process.pid != getpid());
        // The leader of a session may be out of sight, in a namespace without this process: then it has no ID.
        let session = process(getpid()).and_then(|process| process.session);
        others.filter_map(|process| self.member(process, session)).collect()
    }

    fn member(&self, process: Process, session: Option<Pid>) -> Option<Member> {
        let in_group = process.group.is_some() && process.group == self.group;
        let descends = in_group || process.started >= self.since && self.is_marked(process.pid);
        descends.then(|| Member {
            pid: process.pid,
            name: process.name,
            in_group,
            in_session: process.session == session,
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

/// Whether a child of `parent` is dead and has not been reaped.
pub fn has_dead_children(parent: Pid) -> bool {
    processes().any(|process| process.parent == Some(parent) && process.state == 'Z')
}

/// What the process table says of a process.
struct Process {
    pid: Pid,
    name: String,
    state: char,
    parent: Option<Pid>,
    group: Option<Pid>,
    session: Option<Pid>,
    /// When it started, in ticks of the clock since the machine did.
    started: u64,
}

/// When a process started; 0 if it is not known.
fn started(pid: Pid) -> u64 {
    process(pid).map_or(0, |process| process.started)
}

fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    pids.filter_map(process)
}

fn process(pid: Pid) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // `pid (name) state parent group session …`, where the name may hold anything, parentheses too.
    let (front, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    // What is about to vanish has group and session -1.
    let mut id = || fields.next()?.parse().ok().filter(|&id| id > 0).and_then(Pid::from_raw);
    let (parent, group, session) = (id(), id(), id());
    Some(Process {
        pid,
        name: front.split_once(" (").map_or("?", |(_, name)| name).to_owned(),
        state,
        parent,
        group,
        session,
        // The 22nd field of all.
        started: fields.nth(15)?.parse().ok()?,
    })
}

impl Drop for Strays {
    fn drop(&mut self) {
        self.kill_now();
    }
}
