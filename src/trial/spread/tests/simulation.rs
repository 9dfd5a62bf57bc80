//! Engines that take time by a clock of their own, on which an hour passes as soon as everybody waits for it.
//!
//! What is tried with them is the scheduler itself, not a model of it. tokio's own paused clock would do, too, but is a
//! feature that would have every dependency compiled twice: for tests, and for what is shipped.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::engine::{
    Absence, Change, Container, ContainerExit, ContainerRequest, Containers, EngineError, Found, Wanted,
};
use crate::event::wire::Encoder;
use crate::event::{Cause, CauseKind, Event, FORMAT, Record, Summary, TestFinished, Verdict};
use crate::fault::Trouble;
use crate::image::variable::EVENTS;
use crate::reference::TestId;
use crate::suite::request::Request;

/// A time in milliseconds since the clock's beginning.
pub type Time = u64;

/// A clock that goes on when everybody waits for it.
#[derive(Clone, Default)]
pub struct Clock(Arc<Mutex<Dial>>);

#[derive(Default)]
struct Dial {
    now: Time,
    /// Who wakes when, the first of a moment first.
    sleeping: BinaryHeap<Reverse<(Time, usize)>>,
    sleepers: Vec<Option<oneshot::Sender<()>>>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Clock {
    pub fn now(&self) -> Time {
        self.dial().now
    }

    /// Waits until a time.
    pub async fn until(&self, time: Time) {
        let (sender, woken) = oneshot::channel();
        {
            let mut dial = self.dial();
            if time <= dial.now {
                return;
            }
            let sleeper = dial.sleepers.len();
            dial.sleepers.push(Some(sender));
            dial.sleeping.push(Reverse((time, sleeper)));
        }
        let _ = woken.await;
    }

    /// Runs a future to its end. Panics where it waits for what never comes.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        // Time limits of tokio's are made by it, and never come.
        let _within = runtime.enter();
        let mut future = pin!(future);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        loop {
            woken.0.store(false, Ordering::SeqCst);
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return value;
            }
            if !woken.0.load(Ordering::SeqCst) {
                self.go_on();
            }
        }
    }

    fn go_on(&self) {
        let sleeper = {
            let mut dial = self.dial();
            let Reverse((time, sleeper)) = dial.sleeping.pop().expect("everybody waits, and not for the clock");
            dial.now = time;
            dial.sleepers[sleeper].take()
        };
        // Who has stopped waiting does not mind.
        let _ = sleeper.map(|sleeper| sleeper.send(()));
    }

    fn dial(&self) -> MutexGuard<'_, Dial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tests do, on an engine that is as fast as it should be.
#[derive(Default)]
pub struct World {
    /// How long each takes; none is a moment.
    pub takes: BTreeMap<TestId, Time>,
    /// Those that fail.
    pub failing: Vec<TestId>,
    /// How long a container takes until its first test.
    pub start: Time,
}

/// An engine, whose containers do as they are asked.
pub struct Simulated {
    clock: Clock,
    world: Arc<World>,
    /// How many times longer everything takes here.
    slower: Time,
    /// When it goes away, if it does.
    dies: Option<Time>,
    kept: Mutex<BTreeMap<String, Kept>>,
    started: Mutex<usize>,
}

#[derive(Clone)]
struct Kept {
    request: ContainerRequest,
    asked_to_end: Arc<Notify>,
    exit: i64,
}

impl Simulated {
    /// An engine that goes away at a time, if it does, and on which everything takes so many times longer.
    pub fn new(clock: &Clock, world: &Arc<World>, dies: Option<Time>, slower: Time) -> Self {
        Self {
            clock: clock.clone(),
            world: world.clone(),
            slower,
            dies,
            kept: Mutex::default(),
            started: Mutex::default(),
        }
    }

    /// How many containers it has.
    pub fn holds(&self) -> usize {
        self.kept().len()
    }

    /// How many containers it was asked for.
    pub fn started(&self) -> usize {
        *self.started.lock().unwrap()
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn container(&self, container: &Container) -> Result<Kept, EngineError> {
        self.there()?;
        let kept = self.kept().get(&container.id).cloned();
        kept.ok_or_else(|| EngineError::Gone {
            container: container.id.clone(),
        })
    }

    /// Fails where it is away.
    fn there(&self) -> Result<(), EngineError> {
        match self.dies {
            Some(dies) if dies <= self.clock.now() => Err(EngineError::Unreachable {
                address: "ssh://far".to_owned(),
                reason: "Connection refused".to_owned(),
                cause: Absence::Network(Trouble::Unheard),
            }),
            _ => Ok(()),
        }
    }

    /// Works as long as that takes here; fails where the engine goes away meanwhile.
    async fn work(&self, time: Time) -> Result<(), EngineError> {
        let end = self.clock.now() + time * self.slower;
        self.clock.until(self.dies.map_or(end, |dies| dies.min(end))).await;
        self.there()
    }

    /// Says what the agent of a container says. Returns the container's exit code.
    async fn speak(&self, kept: &Kept, output: &mpsc::Sender<Vec<u8>>) -> Result<i64, EngineError> {
        let read = |name: &str| kept.request.environment.get(name).cloned();
        let tests = Request::of_variables(read).unwrap().unwrap().selection.tests.unwrap();
        let mut encoder = Encoder::sealed(read(EVENTS).unwrap().parse().unwrap());
        let mut frame = |event: Event| encoder.encode(&Record::now(event));
        let mut summary = Summary::default();
        self.work(self.world.start).await?;
        let (format, jobs) = (FORMAT, 1);
        let begun = Event::SuiteStarted {
            format,
            tests: tests.clone(),
            jobs,
        };
        let _ = output.send(frame(begun)).await;
        for id in tests {
            let (attempt, worker) = (1, 1);
            let begun = Event::TestStarted {
                id: id.clone(),
                attempt,
                worker,
            };
            let _ = output.send(frame(begun)).await;
            let takes = self.world.takes.get(&id).copied().unwrap_or_default();
            self.work(takes).await?;
            let verdict = if self.world.failing.contains(&id) {
                Verdict::Failed(Cause::new(CauseKind::Error, "no"))
            } else {
                Verdict::Passed
            };
            summary.count(&verdict);
            let mut test = TestFinished::new(id, verdict);
            #[expect(clippy::cast_precision_loss, reason = "hours at most")]
            let seconds = (takes * self.slower) as f64 / 1000.0;
            test.seconds = seconds;
            let _ = output.send(frame(Event::TestFinished(test))).await;
        }
        let _ = output.send(frame(Event::SuiteFinished { summary })).await;
        let _ = output.send(frame(Event::Untouched)).await;
        Ok(if summary.failed > 0 { 100 } else { 0 })
    }
}

#[async_trait]
impl Containers for Simulated {
    async fn start(&self, request: &ContainerRequest) -> Result<Container, EngineError> {
        self.there()?;
        let id = {
            let mut started = self.started.lock().unwrap();
            *started += 1;
            format!("container-{started}")
        };
        let kept = Kept {
            request: request.clone(),
            asked_to_end: Arc::default(),
            exit: 0,
        };
        self.kept().insert(id.clone(), kept);
        Ok(Container { id })
    }

    async fn follow(&self, container: &Container, output: mpsc::Sender<Vec<u8>>) -> Result<(), EngineError> {
        let kept = self.container(container)?;
        let exit = tokio::select! {
            said = self.speak(&kept, &output) => said?,
            () = kept.asked_to_end.notified() => 143,
        };
        if let Some(kept) = self.kept().get_mut(&container.id) {
            kept.exit = exit;
        }
        Ok(())
    }

    async fn wait(&self, container: &Container) -> Result<ContainerExit, EngineError> {
        Ok(ContainerExit {
            code: self.container(container)?.exit,
            out_of_memory: false,
        })
    }

    async fn terminate(&self, container: &Container) -> Result<(), EngineError> {
        self.container(container)?.asked_to_end.notify_one();
        Ok(())
    }

    async fn kill(&self, container: &Container) -> Result<(), EngineError> {
        self.terminate(container).await
    }

    async fn copy_out(&self, _: &Container, _: &str, _: PathBuf, _: &Wanted) -> Result<bool, EngineError> {
        self.there().map(|()| true)
    }

    async fn changes(&self, _: &Container) -> Result<Option<Vec<Change>>, EngineError> {
        self.there().map(|()| Some(Vec::new()))
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        self.there()?;
        self.kept().remove(&container.id);
        Ok(())
    }

    async fn containers(&self, _: &str) -> Result<Vec<Found>, EngineError> {
        self.there()?;
        let found = self.kept().clone().into_iter().map(|(id, kept)| Found {
            id,
            labels: kept.request.labels,
            running: true,
        });
        Ok(found.collect())
    }
}
