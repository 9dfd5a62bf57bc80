//! Signs of life where there is no terminal: CI services end jobs that say nothing for some minutes, and a person who reads
//! a log wants to know what it waits for.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Writer;
use super::model::{Model, lock};
use super::paint::{Ink, Paint};

/// How long nothing is said before what goes on is said again.
pub(super) const SILENCE_INTERVAL: Duration = Duration::from_secs(30);

/// Says what goes on, each time that nothing has been said for a while.
pub(super) struct Pulse {
    said: Arc<Mutex<Instant>>,
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    pub(super) fn begin(writer: Writer, model: Arc<Mutex<Model>>, paint: Paint, silence: Duration) -> Self {
        let said = Arc::new(Mutex::new(Instant::now()));
        let (end, ended) = mpsc::channel();
        let last = Arc::clone(&said);
        let thread = thread::spawn(move || {
            loop {
                let quiet = last.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
                let rest = silence.saturating_sub(quiet);
                if rest.is_zero() {
                    if let Some(line) = goes_on(&lock(&model), paint) {
                        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                        let _ = writeln!(writer, "{line}").and_then(|()| writer.flush());
                    }
                    *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                } else if ended.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self {
            said,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// To be called whenever something is said.
    pub(super) fn heard(&self) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What has gone on for longest.
fn goes_on(model: &Model, paint: Paint) -> Option<String> {
    let task = model.tasks.iter().min_by_key(|task| task.since)?;
    let time = format!("[{:>8.1}s]", task.since.elapsed().as_secs_f64());
    let detail = match task.detail.as_str() {
        "" => String::new(),
        detail => format!("  {}", paint.ink(Ink::Dim, detail)),
    };
    let more = match model.tasks.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(paint.labelled(Ink::Dim, "STILL", &format!("{time} {}{more}{detail}", task.name)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::model::Task;
    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_step_that_says_nothing_is_named_again_and_again_until_it_ends() {
        let kept = Kept::default();
        let writer: Writer = Arc::new(Mutex::new(Box::new(kept.clone())));
        let model = Arc::new(Mutex::new(Model::default()));
        lock(&model).tasks.push(Task {
            key: "1".to_owned(),
            name: "common: RUN make".to_owned(),
            detail: "compiling".to_owned(),
            since: Instant::now(),
            slow: false,
        });
        let pulse = Pulse::begin(
            writer,
            Arc::clone(&model),
            Paint { color: false },
            Duration::from_millis(5),
        );
        let said = || String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let begun = Instant::now();
        while said().lines().count() < 3 {
            assert!(begun.elapsed() < Duration::from_secs(20), "it is said no more");
            thread::yield_now();
        }
        lock(&model).tasks.clear();
        drop(pulse);
        for line in said().lines() {
            assert!(
                line.contains("STILL [") && line.contains("common: RUN make  compiling"),
                "{line}"
            );
        }
    }
}
