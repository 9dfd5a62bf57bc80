//! What a plain scalar means, by the rules of Go's `goyaml.v2`, with which Helm reads.

use std::fmt;

use super::Value;

/// A number, as exact as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole one.
    Int(i64),
    /// One beyond the range of those.
    Unsigned(u64),
    /// Any other.
    Float(f64),
}

impl Number {
    /// The nearest 64-bit float, which is what Helm's templates see of every number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "Helm loses it, too")]
    pub fn as_float(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Unsigned(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Unsigned(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
        }
    }
}

/// The value of a scalar that is written without quotes and tag.
pub(super) fn resolved(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    number(text).map_or_else(|| Value::Text(text.to_owned()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    if text.starts_with('.') {
        return float(text);
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '+' || first == '-') || is_date(text) {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain))
}

/// A whole number with a sign and a base, as Go's `strconv.ParseInt(text, 0, 64)` reads it.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let signed = if negative {
        format!("-{digits}")
    } else {
        digits.to_owned()
    };
    i64::from_str_radix(&signed, base)
        .map(Number::Int)
        .or_else(|_| u64::from_str_radix(&signed, base).map(Number::Unsigned))
        .ok()
}

/// A number with digits, and perhaps a point and an exponent.
fn float(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (digits, None),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = !whole.is_empty() || !part.is_empty();
    let valid = has_digits
        && all_digits(whole)
        && all_digits(part)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(exponent));
    // Larger than any float is infinite, and no number of JSON.
    let number = text.parse::<f64>().ok().filter(|number| valid && number.is_finite())?;
    Some(Number::Float(number))
}

/// Whether `text` begins as a date, which stays text.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: Option<&str>, most: usize| {
        part.is_some_and(|part| {
            !part.is_empty() && part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    digits(parts.next(), 4) && digits(parts.next(), 2) && parts.next().is_some()
}
