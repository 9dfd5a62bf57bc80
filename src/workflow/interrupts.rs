//! Interrupts: the first asks the work to end and clean up, the next ends floe at once. Where the second one means
//! something to the work itself, the third ends floe.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// How a call was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// By Ctrl-C.
    Interrupted,
    /// By a request to terminate.
    Terminated,
}

/// Hears of interrupts, in as many places as need to.
#[derive(Debug, Clone)]
pub struct Interrupts {
    heard: watch::Receiver<Heard>,
    /// How many interrupts after the first are left to the work.
    patience: Arc<AtomicUsize>,
    /// Held while something is written that must be whole.
    writing: Arc<Mutex<()>>,
}

/// Passes interrupts on.
#[derive(Debug)]
pub struct Interrupter {
    heard: watch::Sender<Heard>,
    patience: Arc<AtomicUsize>,
    writing: Arc<Mutex<()>>,
}

/// The interrupts so far.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    count: usize,
    first: Option<Interrupt>,
}

impl Interrupter {
    /// Passes an interrupt on. Returns whether floe is to end at once.
    #[must_use]
    pub fn interrupt(&self, how: Interrupt) -> bool {
        let known = *self.heard.borrow();
        if known.count > self.patience.load(Ordering::Relaxed) {
            return true;
        }
        self.heard.send_replace(Heard {
            count: known.count + 1,
            first: known.first.or(Some(how)),
        });
        false
    }

    /// Waits until nothing is being written that must be whole. Nothing such is begun until the guard is dropped.
    pub fn settled(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupts {
    /// Interrupts, and what passes them on.
    #[must_use]
    pub fn new() -> (Interrupter, Self) {
        let (sender, heard) = watch::channel(Heard::default());
        let patience = Arc::new(AtomicUsize::new(0));
        let writing = Arc::default();
        let interrupter = Interrupter {
            heard: sender,
            patience: Arc::clone(&patience),
            writing: Arc::clone(&writing),
        };
        let interrupts = Self {
            heard,
            patience,
            writing,
        };
        (interrupter, interrupts)
    }

    /// Writes what must be whole: nothing ends floe meanwhile. After an interrupt nothing is written.
    pub fn write_whole<T>(&self, write: impl FnOnce() -> T) -> Result<T, Interrupt> {
        let _writing = self.settled();
        self.so_far().map_or_else(|| Ok(write()), Err)
    }

    /// The same as [`Interrupter::settled`].
    pub fn settled(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes at the first interrupt.
    pub async fn first(&self) -> Interrupt {
        self.nth(1).await
    }

    /// The first interrupt, if one has come.
    #[must_use]
    pub fn so_far(&self) -> Option<Interrupt> {
        self.heard.borrow().first
    }

    /// Completes at the second interrupt. From this call on, not from the first poll, only the third ends floe at once;
    /// [`Self::second_ends`] takes that back.
    pub fn second(&self) -> impl Future<Output = ()> {
        self.patience.store(1, Ordering::Relaxed);
        let interrupts = self.clone();
        async move {
            interrupts.nth(2).await;
        }
    }

    /// Leaves all interrupts to the work from now on: none ends floe by itself.
    pub fn leave_to_work(&self) {
        self.patience.store(usize::MAX, Ordering::Relaxed);
    }

    /// Lets the second interrupt end floe at once again.
    pub fn second_ends(&self) {
        self.patience.store(0, Ordering::Relaxed);
    }

    async fn nth(&self, count: usize) -> Interrupt {
        let mut receiver = self.heard.clone();
        let heard = receiver.wait_for(|heard| heard.count >= count).await;
        match heard.map(|heard| heard.first) {
            Ok(Some(first)) => first,
            // Without anyone who passes them on, nothing is ever heard.
            _ => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_interrupt_nothing_is_written_that_must_be_whole() {
        let (interrupter, interrupts) = Interrupts::new();
        assert_eq!(interrupts.write_whole(|| 1), Ok(1));
        assert!(!interrupter.interrupt(Interrupt::Terminated));
        let written = interrupts.write_whole(|| unreachable!("it was interrupted"));
        assert_eq!(written, Err::<(), _>(Interrupt::Terminated));
    }

    #[tokio::test]
    async fn the_second_interrupt_ends_floe_unless_the_work_waits_for_it() {
        let (interrupter, interrupts) = Interrupts::new();
        assert_eq!(interrupts.so_far(), None);
        assert!(!interrupter.interrupt(Interrupt::Terminated));
        assert!(interrupter.interrupt(Interrupt::Interrupted));
        let second = interrupts.second();
        assert!(!interrupter.interrupt(Interrupt::Interrupted));
        second.await;
        assert!(interrupter.interrupt(Interrupt::Interrupted), "the third ends floe");
        assert_eq!(
            interrupts.first().await,
            Interrupt::Terminated,
            "what came first counts"
        );
    }
}
