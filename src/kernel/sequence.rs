//! Messages that a kernel made and nobody received.
//!
//! A kernel that prints faster than its client reads drops output without a word. ipykernel numbers its messages, over
//! all channels, so that what is missing can be counted.

/// The numbers of the messages that were received from one kernel.
#[derive(Debug, Default)]
pub struct Sequence {
    /// What stands before the number in each ID of this kernel: its session and process.
    prefix: Option<String>,
    /// The first number from which on everything must arrive.
    first: Option<u64>,
    /// The greatest number so far.
    last: u64,
    received: u64,
    /// Replies that came before anything was published: whether they count is not known yet.
    early: Vec<u64>,
}

impl Sequence {
    /// Takes the ID of a message that was published. What was published before the first of them, nobody listened to.
    pub fn published(&mut self, id: &str) {
        let Some(number) = self.number(id) else { return };
        if self.first.is_none() {
            self.first = Some(number);
            for early in std::mem::take(&mut self.early) {
                self.count(early);
            }
        }
        self.count(number);
    }

    /// Takes the ID of a message on another channel.
    pub fn replied(&mut self, id: &str) {
        let Some(number) = self.number(id) else { return };
        if self.first.is_some() {
            self.count(number);
        } else {
            self.early.push(number);
        }
    }

    /// How many messages did not arrive between the first and the last that did. Only for a kernel that numbers them.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let expected = self.first.map_or(0, |first| self.last.saturating_sub(first) + 1);
        expected.saturating_sub(self.received)
    }

    fn count(&mut self, number: u64) {
        if self.first.is_some_and(|first| number >= first) {
            self.received += 1;
            self.last = self.last.max(number);
        }
    }

    /// The number in `<session>_<process>_<number>`, if the message comes from the kernel itself: processes that it
    /// forked go on counting for themselves.
    fn number(&mut self, id: &str) -> Option<u64> {
        let (prefix, number) = id.rsplit_once('_')?;
        let number = number.parse().ok()?;
        let known = self.prefix.get_or_insert_with(|| prefix.to_owned());
        (known == prefix).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_arrived_is_counted_whatever_the_order_of_channels() {
        let mut numbers = Sequence::default();
        numbers.replied("a_1_4");
        numbers.replied("a_1_8");
        for id in ["a_1_6", "a_1_7", "a_1_9", "a_1_5", "a_2_30"] {
            numbers.published(id);
        }
        assert_eq!(numbers.missing(), 0);
        numbers.published("a_1_13");
        numbers.replied("a_1_12");
        assert_eq!(numbers.missing(), 2);
    }

    #[test]
    fn a_kernel_that_does_not_number_its_messages_misses_none() {
        let mut numbers = Sequence::default();
        for id in ["5e0b1c", "77f0aa", ""] {
            numbers.published(id);
        }
        assert_eq!(numbers.missing(), 0);
    }
}
