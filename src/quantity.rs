//! Amounts as people write them: times (`90`, `90s`, `10m`, `1h30m`) and amounts of memory (`8G`, `80%`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest time that is accepted: beyond it arithmetic with clocks may fail, and nobody waits.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// An amount that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}: {rule}")]
pub struct QuantityError {
    /// What was expected.
    pub kind: &'static str,
    /// What was given.
    pub text: String,
    /// How it is written.
    pub rule: &'static str,
}

/// Reads a quantity. The error is the rule alone, for messages that name the text already.
pub fn parsed<T: FromStr<Err = QuantityError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: QuantityError| error.rule.to_owned())
}

/// Reads a quantity, or that there is none: `0`.
pub fn parsed_or_none<T: FromStr<Err = QuantityError>>(text: &str) -> Result<Option<T>, String> {
    if text.trim() == "0" {
        return Ok(None);
    }
    parsed(text).map(Some).map_err(|rule| format!("{rule}; or 0 for none"))
}

/// A size in decimal units: `52.4 MB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (size, unit) in UNITS {
        if bytes >= size {
            let tenths = bytes / (size / 10);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// How long something may take; more than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(pub Duration);

/// An amount of memory in bytes; more than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// How much memory something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLimit {
    /// So much.
    Size(Size),
    /// A part of what there is, in percent.
    Percent(u8),
}

impl FromStr for Limit {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || QuantityError {
            kind: "time",
            text: text.to_owned(),
            rule: "write seconds, or a number with s, m or h, such as 90, 90s, 10m or 1h30m",
        };
        let text = text.trim();
        let is_number = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        let time = if is_number {
            let seconds = text.parse::<f64>().ok();
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        } else {
            let time = text.parse::<SignedDuration>().ok();
            time.and_then(|time| Duration::try_from(time).ok())
        };
        let is_limit = |time: &Duration| !time.is_zero() && *time <= LONGEST;
        time.filter(is_limit).map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every digit, and none more: what a host writes, its agent reads.
        let text = format!("{}.{:09}", self.0.as_secs(), self.0.subsec_nanos());
        write!(f, "{}s", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || QuantityError {
            kind: "amount of memory",
            text: text.to_owned(),
            rule: "write bytes, or a number with K, M, G or T (of 1024), such as 512M or 8G",
        };
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = text.split_at(end.unwrap_or(text.len()));
        let unit = unit.trim().to_ascii_uppercase();
        let power = match unit.trim_end_matches('B').trim_end_matches('I') {
            "" => 0,
            "K" => 1,
            "M" => 2,
            "G" => 3,
            "T" => 4,
            _ => return Err(refused()),
        };
        let number: f64 = number.parse().map_err(|_| refused())?;
        let bytes = number * 1024_f64.powi(power);
        if !(1.0..9e18).contains(&bytes) {
            return Err(refused());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was looked at"
        )]
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MemoryLimit {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || QuantityError {
            kind: "amount of memory",
            text: text.to_owned(),
            rule: "write bytes, a number with K, M, G or T (of 1024), or percent, such as 512M, 8G or 80%",
        };
        match text.trim().strip_suffix('%') {
            Some(percent) => {
                let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
                percent.map(Self::Percent).ok_or_else(refused)
            }
            None => text.parse().map(Self::Size).map_err(|_| refused()),
        }
    }
}

impl MemoryLimit {
    /// The limit in bytes, where there are `available` in all.
    #[must_use]
    pub fn bytes(self, available: Option<u64>) -> Option<u64> {
        match self {
            Self::Size(size) => Some(size.0),
            Self::Percent(percent) => available.map(|bytes| bytes / 100 * u64::from(percent)),
        }
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(size) => size.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for MemoryLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber(|text: &str| text.parse()))
    }
}

impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber(|text: &str| text.parse()))
    }
}

/// Reads a number as its text, since `90` and `"90"` mean the same to people.
struct TextOrNumber<F>(F);

impl<T, F: FnOnce(&str) -> Result<T, QuantityError>> Visitor<'_> for TextOrNumber<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a text with a number and a unit")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(52_449_999), "52.4 MB");
        assert_eq!(bytes(u64::MAX), "18446744073.7 GB");
    }

    #[test]
    fn a_time_is_seconds_or_a_number_with_a_unit() {
        for (text, seconds) in [
            ("90", 90.0),
            ("90s", 90.0),
            ("10m", 600.0),
            ("1h", 3600.0),
            ("1h30m", 5400.0),
            ("1h 30m", 5400.0),
            ("0.5s", 0.5),
        ] {
            let limit: Limit = text.parse().unwrap();
            assert_eq!(limit.0, Duration::from_secs_f64(seconds), "{text}");
            assert_eq!(limit.to_string().parse::<Limit>().unwrap(), limit);
        }
        for text in ["", "0", "-1", "10x", "m", "1e9h", "1..2", "99999999999", "10 m m", "1µ"] {
            assert!(text.parse::<Limit>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn what_is_left_of_a_limit_is_read_as_it_was_written() {
        // The first was seen, and refused; the others are any.
        for nanoseconds in (0..1000).map(|number| 3_999_998_408 + number * 7_919_777) {
            let limit = Limit(Duration::from_nanos(nanoseconds));
            assert_eq!(limit.to_string().parse(), Ok(limit));
        }
        assert_eq!(Limit(Duration::from_millis(1500)).to_string(), "1.5s");
        assert_eq!(Limit(Duration::from_mins(10)).to_string(), "600s");
    }

    #[test]
    fn memory_is_bytes_a_number_with_a_unit_or_a_part() {
        for (text, bytes) in [
            ("1024", 1024),
            ("512M", 512 << 20),
            ("8g", 8 << 30),
            ("8GiB", 8 << 30),
            ("1.5K", 1536),
            ("50%", 500),
        ] {
            let limit: MemoryLimit = text.parse().unwrap();
            assert_eq!(limit.bytes(Some(1000)), Some(bytes), "{text}");
            assert_eq!(limit.to_string().parse::<MemoryLimit>().unwrap(), limit);
        }
        for text in ["", "0", "G", "0%", "101%", "1.5%", "8X", "-1"] {
            assert!(text.parse::<MemoryLimit>().is_err(), "{text:?} was accepted");
        }
        assert_eq!("2G".parse::<Size>().unwrap().to_string().parse(), Ok(Size(2 << 30)));
        assert!("50%".parse::<Size>().is_err());
    }

    #[test]
    fn a_number_in_a_file_is_read_like_its_text() {
        let limits: Vec<Limit> = serde_yaml::from_str("[90, 90s, 1.5, 10m]").unwrap();
        let seconds = limits.iter().map(|limit| limit.0.as_secs_f64()).collect::<Vec<_>>();
        assert_eq!(seconds, [90.0, 90.0, 1.5, 600.0]);
    }
}
