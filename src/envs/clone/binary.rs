//! Binary files that name the prefix of an environment, made to name another without moving a byte of what follows.
//!
//! Conda packages are built in a prefix of 255 bytes, the placeholder. Whoever installs one writes the real prefix over
//! it and fills the C string that holds it with zeros, up to the length that it had. So the room of a string is known
//! from how often it names the prefix, and from the placeholder's length.

use memchr::memchr;

use super::text::{self, Written};

/// A string has no room for a prefix of that length.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

/// The content with the path `from` replaced by `to` in every C string. `None` where it does not occur.
///
/// `placeholder` is the length of the placeholder that `from` was written over.
pub(super) fn rebaked(content: &[u8], from: &[u8], to: &[u8], placeholder: usize) -> Result<Option<Vec<u8>>, NoRoom> {
    let mut result: Option<Vec<u8>> = None;
    let mut done = 0;
    for start in text::places(content, from, Written::OverPlaceholder) {
        // The string was rewritten as a whole when its first prefix was met.
        if start < done {
            continue;
        }
        let end = memchr(0, &content[start..]).map_or(content.len(), |length| start + length);
        let string = &content[start..end];
        let times = text::places(string, from, Written::OverPlaceholder).count();
        let room = string.len() + times * placeholder.saturating_sub(from.len());
        let rewritten = text::rebaked(string, from, to, Written::OverPlaceholder).unwrap_or_else(|| string.to_vec());
        let reserved = content.get(start..start + room).ok_or(NoRoom)?;
        if rewritten.len() > room || reserved[string.len()..].iter().any(|&byte| byte != 0) {
            return Err(NoRoom);
        }
        let copy = result.get_or_insert_with(|| content.to_vec());
        copy[start..start + room].fill(0);
        copy[start..start + rewritten.len()].copy_from_slice(&rewritten);
        done = start + room;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACEHOLDER: usize = 40;

    /// A binary as an installer leaves it: strings, each with what follows the prefix, then data.
    fn installed(prefix: &str, strings: &[Vec<&str>]) -> Vec<u8> {
        let mut content = b"\x7fBIN\0".to_vec();
        for parts in strings {
            let text = parts
                .iter()
                .map(|part| format!("{prefix}{part}"))
                .collect::<Vec<_>>()
                .join(":");
            let length = text.len() + parts.len() * (PLACEHOLDER - prefix.len());
            content.extend_from_slice(text.as_bytes());
            content.resize(content.len() + length - text.len() + 1, 0);
        }
        content.extend_from_slice(b"tail\0");
        content
    }

    fn moved(content: &[u8], from: &str, to: &str) -> Result<Option<Vec<u8>>, NoRoom> {
        rebaked(content, from.as_bytes(), to.as_bytes(), PLACEHOLDER)
    }

    #[test]
    fn a_longer_prefix_fits_up_to_the_placeholder() {
        let strings = [vec!["/share"], vec!["/etc", "/lib"]];
        let short = installed("/p", &strings);
        let long = format!("/{}", "x".repeat(PLACEHOLDER - 1));
        assert_eq!(moved(&short, "/p", &long).unwrap().unwrap(), installed(&long, &strings));
        assert_eq!(moved(&short, "/p", &format!("{long}x")), Err(NoRoom));
    }

    #[test]
    fn what_follows_a_string_that_was_never_padded_is_not_overwritten() {
        assert_eq!(
            moved(
                b"/p/share\0tail-of-other-data-that-is-long-enough-to-be-there\0",
                "/p",
                "/pp"
            ),
            Err(NoRoom)
        );
        assert_eq!(moved(b"\0/q/share\0", "/p", "/pp"), Ok(None));
    }

    proptest! {
        // No prefix is like what follows one, so that a string names it as often as it is meant to.
        #[test]
        fn a_binary_that_was_moved_is_the_one_that_would_have_been_installed(
            from in "/[c-z]{4,38}",
            to in "/[c-z]{4,38}",
            strings in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["", "/a", "/bin/sh"]), 1..4), 0..4),
        ) {
            let content = installed(&from, &strings);
            let expected = installed(&to, &strings);
            let moved = moved(&content, &from, &to).unwrap().unwrap_or(content);
            prop_assert_eq!(moved, expected);
        }
    }
}
