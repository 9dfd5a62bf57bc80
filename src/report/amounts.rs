//! Times, numbers and long texts as people read them.

/// A duration: `0.081 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is checked to fit"
)]
pub fn duration(seconds: f64) -> String {
    if !(0.0..=1e9).contains(&seconds) {
        return "unknown".to_owned();
    }
    let whole = seconds.round() as u64;
    if seconds < 0.9995 {
        format!("{seconds:.3} s")
    } else if seconds < 9.995 {
        format!("{seconds:.2} s")
    } else if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole / 60 % 60)
    }
}

/// A number with its noun: `1 test`, `2 tests`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The beginning and the end of a long text of which about `most` bytes are kept, with a note of what is missing.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    // What is wrong is mostly said at the end.
    let head = &text[..text.floor_char_boundary(most / 4)];
    let tail = &text[text.ceil_char_boundary(text.len() - (most - most / 4))..];
    let missing = text.len() - head.len() - tail.len();
    format!("{head}\n[… {missing} bytes not shown …]\n{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_or_two_units() {
        for (seconds, text) in [
            (0.0, "0.000 s"),
            (0.9996, "1.00 s"),
            (9.999, "10.0 s"),
            (59.96, "1 min 00 s"),
            (125.4, "2 min 05 s"),
            (3725.0, "1 h 02 min"),
            (-1.0, "unknown"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let text = format!("begin{}end", "ä".repeat(1000));
        let short = shortened(&text, 100);
        assert!(short.starts_with("begin") && short.ends_with("end") && short.contains("bytes not shown"));
        assert!(short.len() < 150);
        assert_eq!(shortened("short", 100), "short");
    }
}
