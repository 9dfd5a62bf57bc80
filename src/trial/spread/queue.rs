//! Which container runs where, and when: in the order of their places, each on the machine that has room and fewest others.
//!
//! A container that was lost keeps its place, which is before those that have not begun, and goes to another machine as long
//! as there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Machines, and who waits for them.
pub(super) struct Queue {
    /// How many containers a machine runs at a time; any number, if `None`.
    at_once: Option<usize>,
    state: Mutex<State>,
}

struct State {
    machines: Vec<Machine>,
    waiting: BTreeMap<usize, Waiting>,
    /// What was said of the last machine that went away.
    last: String,
}

#[derive(Default)]
struct Machine {
    taken: BTreeSet<usize>,
    is_away: bool,
}

struct Waiting {
    lost_by: BTreeSet<usize>,
    turn: Arc<Notify>,
}

/// Room for one container on a machine, until it is dropped.
pub(super) struct Lane<'a> {
    queue: &'a Queue,
    /// The machine, by its place among all.
    pub machine: usize,
    slot: usize,
    place: usize,
}

impl Queue {
    /// The queue for so many machines, each of which runs so many containers at a time.
    pub fn new(machines: usize, at_once: Option<usize>) -> Self {
        let machines = std::iter::repeat_with(Machine::default).take(machines).collect();
        Self {
            at_once: at_once.map(|at_once| at_once.max(1)),
            state: Mutex::new(State {
                machines,
                waiting: BTreeMap::new(),
                last: String::new(),
            }),
        }
    }

    /// Waits for room for the container of a place, which those machines have lost before; `None` where no machine is left.
    pub async fn lane(&self, place: usize, lost_by: &BTreeSet<usize>) -> Option<Lane<'_>> {
        let turn = Arc::new(Notify::new());
        let waiting = Waiting {
            lost_by: lost_by.clone(),
            turn: turn.clone(),
        };
        self.state().waiting.insert(place, waiting);
        let _leaving = Leaving { queue: self, place };
        loop {
            {
                let mut state = self.state();
                if state.machines.iter().all(|machine| machine.is_away) {
                    return None;
                }
                if let Some((machine, slot)) = state.take(place, self.at_once) {
                    return Some(Lane {
                        queue: self,
                        machine,
                        slot,
                        place,
                    });
                }
            }
            turn.notified().await;
        }
    }

    /// What was said of the last machine that went away.
    pub fn last(&self) -> String {
        self.state().last.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those whose turn it is.
    fn call(&self) {
        let state = self.state();
        if state.machines.iter().all(|machine| machine.is_away) {
            for waiting in state.waiting.values() {
                waiting.turn.notify_one();
            }
        }
        for (place, _) in state.turns(self.at_once) {
            state.waiting[&place].turn.notify_one();
        }
    }
}

impl State {
    /// Who may begin now, and on which machine.
    fn turns(&self, at_once: Option<usize>) -> Vec<(usize, usize)> {
        let mut taken = self
            .machines
            .iter()
            .map(|machine| machine.taken.len())
            .collect::<Vec<_>>();
        let left = (0..self.machines.len()).filter(|machine| !self.machines[*machine].is_away);
        let left = left.collect::<Vec<_>>();
        let mut turns = Vec::new();
        for (place, waiting) in &self.waiting {
            let room = |taken: usize| at_once.is_none_or(|at_once| taken < at_once);
            if !left.iter().any(|machine| room(taken[*machine])) {
                break;
            }
            let others = left.iter().any(|machine| !waiting.lost_by.contains(machine));
            let may = |machine: &&usize| room(taken[**machine]) && !(others && waiting.lost_by.contains(machine));
            if let Some(machine) = left.iter().filter(may).min_by_key(|machine| taken[**machine]) {
                taken[*machine] += 1;
                turns.push((*place, *machine));
            }
        }
        turns
    }

    /// Takes room for the container of a place, if it is its turn.
    fn take(&mut self, place: usize, at_once: Option<usize>) -> Option<(usize, usize)> {
        let turns = self.turns(at_once);
        let (_, machine) = turns.into_iter().find(|(turn, _)| *turn == place)?;
        let taken = &mut self.machines[machine].taken;
        let slot = (0..=taken.len()).find(|slot| !taken.contains(slot))?;
        taken.insert(slot);
        Some((machine, slot))
    }
}

impl Lane<'_> {
    /// A number that no other lane has meanwhile. Where not all run at a time, the next one here has it, too.
    pub fn number(&self) -> usize {
        match self.queue.at_once {
            Some(_) => self.slot * self.queue.state().machines.len() + self.machine,
            None => self.place,
        }
    }

    /// Takes note that nothing more runs on the machine.
    pub fn lose(&self, reason: String) {
        let mut state = self.queue.state();
        state.machines[self.machine].is_away = true;
        state.last = reason;
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.queue.state().machines[self.machine].taken.remove(&self.slot);
        self.queue.call();
    }
}

/// Leaves the queue, with a lane or without.
struct Leaving<'a> {
    queue: &'a Queue,
    place: usize,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.queue.state().waiting.remove(&self.place);
        self.queue.call();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    fn never() -> BTreeSet<usize> {
        BTreeSet::new()
    }

    #[tokio::test]
    async fn containers_begin_in_the_order_of_their_places_on_the_machine_that_has_room() {
        let queue = Queue::new(2, Some(1));
        let first = queue.lane(5, &never()).await.unwrap();
        let second = queue.lane(6, &never()).await.unwrap();
        assert_eq!((first.machine, second.machine), (0, 1));
        let nobody = never();
        let mut late = pin!(queue.lane(8, &nobody));
        let mut early = pin!(queue.lane(7, &nobody));
        assert!(late.as_mut().now_or_never().is_none());
        assert!(early.as_mut().now_or_never().is_none());
        drop(second);
        assert!(late.as_mut().now_or_never().is_none(), "it is not its turn");
        let early = early.now_or_never().unwrap().unwrap();
        assert_eq!((early.machine, early.number()), (1, 1));
        drop(first);
        assert_eq!(late.now_or_never().unwrap().unwrap().machine, 0);
    }

    #[tokio::test]
    async fn what_a_machine_lost_goes_to_another_one_as_long_as_there_is_one() {
        let queue = Queue::new(2, Some(2));
        let lost_by = BTreeSet::from([0]);
        let busy = [
            queue.lane(1, &lost_by).await.unwrap(),
            queue.lane(2, &lost_by).await.unwrap(),
        ];
        assert!(busy.iter().all(|lane| lane.machine == 1));
        let mut waiting = pin!(queue.lane(3, &lost_by));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(
            queue.lane(4, &never()).await.unwrap().machine,
            0,
            "it holds up no other"
        );
        busy[0].lose("it is gone".to_owned());
        drop(busy);
        assert_eq!(waiting.now_or_never().unwrap().unwrap().machine, 0, "no other is left");
    }

    #[tokio::test]
    async fn who_waits_hears_that_no_machine_is_left() {
        let queue = Queue::new(1, Some(1));
        let only = queue.lane(1, &never()).await.unwrap();
        let nobody = never();
        let mut waiting = pin!(queue.lane(2, &nobody));
        assert!(waiting.as_mut().now_or_never().is_none());
        only.lose("it is gone".to_owned());
        drop(only);
        assert!(waiting.now_or_never().unwrap().is_none());
        assert_eq!(queue.last(), "it is gone");
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_the_turn_to_the_next() {
        let queue = Queue::new(1, Some(1));
        let only = queue.lane(1, &never()).await.unwrap();
        let nobody = never();
        let mut next = pin!(queue.lane(3, &nobody));
        {
            let mut first = pin!(queue.lane(2, &nobody));
            assert!(first.as_mut().now_or_never().is_none());
            assert!(next.as_mut().now_or_never().is_none());
            drop(only);
        }
        assert!(next.now_or_never().unwrap().is_some());
    }
}
