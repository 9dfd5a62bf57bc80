//! Contenders that take turns, and what their medians come to.

pub mod engine;
pub mod machine;
pub mod run;
pub mod side;
pub mod table;
pub mod usage;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use world::run;

/// One comparison.
#[derive(Clone)]
pub struct Row {
    /// What was done, on what.
    pub what: String,
    /// What floe needed.
    pub ours: Figure,
    /// The other side, and what it needed.
    pub theirs: Option<(&'static str, Figure)>,
    /// What floe may need; without one, the row is for information.
    pub bar: Option<Bar>,
}

/// Something that was measured.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Figure {
    /// How long it took, or how long processors worked for it.
    Time(Duration),
    /// How much memory it took at most, or how many bytes it sent.
    Bytes(u64),
}

impl From<Duration> for Figure {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

/// What floe may need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// This many times what the other side needs.
    Times(f64),
    /// This much.
    Within(Figure),
}

impl Figure {
    fn number(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64(),
            #[expect(clippy::cast_precision_loss, reason = "nobody reads the last bytes")]
            Self::Bytes(bytes) => bytes as f64,
        }
    }
}

impl Row {
    /// The comparison of what floe needed with what the other side did.
    pub fn new(
        what: impl Into<String>,
        ours: impl Into<Figure>,
        theirs: (&'static str, impl Into<Figure>),
        bar: Option<Bar>,
    ) -> Self {
        Self {
            what: what.into(),
            ours: ours.into(),
            theirs: Some((theirs.0, theirs.1.into())),
            bar,
        }
    }

    /// What floe needed, beside nothing.
    pub fn alone(what: impl Into<String>, ours: impl Into<Figure>, bar: Option<Bar>) -> Self {
        Self {
            what: what.into(),
            ours: ours.into(),
            theirs: None,
            bar,
        }
    }

    /// How many times the other side's time floe needed.
    pub fn ratio(&self) -> Option<f64> {
        let (_, theirs) = self.theirs?;
        Some(self.ours.number() / theirs.number())
    }

    /// Whether floe needed more than it may.
    pub fn is_missed(&self) -> bool {
        match self.bar {
            Some(Bar::Times(most)) => self.ratio().is_none_or(|ratio| ratio > most),
            Some(Bar::Within(most)) => self.ours > most,
            None => false,
        }
    }
}

/// The median times of each contender, of so many rounds in which each has its turn. A contender prepares its turn by
/// itself and answers the times that count: one, or that of several parts. A round before all others, which warms the
/// caches, does not count.
pub fn medians<const N: usize, const PARTS: usize>(
    rounds: usize,
    mut contenders: [&mut dyn FnMut() -> [Duration; PARTS]; N],
) -> [[Duration; PARTS]; N] {
    for contender in &mut contenders {
        contender();
    }
    let mut times = [const { [const { Vec::new() }; PARTS] }; N];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            for (time, times) in contender().into_iter().zip(times) {
                times.push(time);
            }
        }
    }
    times.map(|parts| parts.map(median))
}

/// The time in the middle.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    let middle = times.len() / 2;
    if times.len().is_multiple_of(2) {
        (times[middle - 1] + times[middle]) / 2
    } else {
        times[middle]
    }
}

/// How long `work` takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// What a program took, and the processors for it and for all that it waited for.
#[track_caller]
pub fn spent<T>(work: impl FnOnce() -> T) -> [Duration; 2] {
    let before = children();
    let wall = timed(work);
    [wall, children().saturating_sub(before)]
}

/// How long processors have worked for the children of this process that have ended (`cutime` and `cstime` of
/// proc(5), in hundredths of a second).
fn children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(") ").next().unwrap().split(' ');
    let ticks: u64 = fields.skip(13).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

/// How long a program takes that must succeed.
#[track_caller]
pub fn time(command: &mut Command) -> Duration {
    timed(|| run(command))
}

/// How long a program that must succeed takes until it says its last line on standard error, and to its end.
#[track_caller]
pub fn time_to_last_word(command: &mut Command) -> [Duration; 2] {
    let start = Instant::now();
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = start.elapsed();
    let mut words = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        said = start.elapsed();
        words += &(line.unwrap() + "\n");
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{command:?}: {status}\n{words}");
    [said, start.elapsed()]
}
