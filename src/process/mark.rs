//! What marks a child and, by inheritance, all that it starts.
//!
//! The mark is an odd limit on file locks, `RLIMIT_LOCKS`, which Linux has not enforced since 2.4.25. Processes inherit
//! it, whatever they do about their group, their session, their parent and their environment.

use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::table::Process;

/// Limits below this one may mean something.
const LEAST: u64 = 1 << 32;

/// Marks are below this one, so that other programs may take them for signed numbers.
const MOST: u64 = 1 << 62;

/// While one child is started with its mark, no other may be.
static TURN: Mutex<()> = Mutex::new(());

/// What marks a child and all that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// A mark that no other child has.
    pub fn new() -> Self {
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        let most = getrlimit(Resource::Locks).maximum.map_or(MOST, |most| most.min(MOST));
        Self(LEAST.min(most / 2) + random % (most - LEAST.min(most / 2)))
    }

    /// The limit on file locks.
    pub fn limit(self) -> u64 {
        self.0
    }

    /// Whether a process has it.
    pub fn is_on(self, process: &Process) -> bool {
        process.lock_limit() == Some(self.0)
    }

    /// Starts a child that has the mark from its beginning.
    pub fn spawn(self, command: &mut Command) -> io::Result<Child> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let own = getrlimit(Resource::Locks);
        let marked = Rlimit {
            current: Some(self.0),
            maximum: own.maximum,
        };
        setrlimit(Resource::Locks, marked)?;
        let child = command.spawn();
        setrlimit(Resource::Locks, own)?;
        child
    }
}
