//! Text that names the prefix of an environment, made to name another.
//!
//! The prefix stands directly behind an option's letter in compiled-in flags (`-L/opt/conda/lib`), and behind anything
//! in what was written over a placeholder.

use memchr::memmem;

/// The longest first line that every Linux accepts as an interpreter, with `#!` and without the line's end.
const LONGEST_SHEBANG: usize = 127;

/// Who wrote the prefix into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The installer of conda packages, in the place of a placeholder: whatever stands before it.
    OverPlaceholder,
    /// Somebody, so that what looks like the prefix may be the end of another path.
    BySomebody,
}

/// The text with the path `from` replaced by `to` wherever it stands for that directory. `None` where it does not occur.
pub(super) fn rebaked(text: &[u8], from: &[u8], to: &[u8], written: Written) -> Option<Vec<u8>> {
    let mut result = Vec::new();
    let mut copied = 0;
    for start in places(text, from, written) {
        result.extend_from_slice(&text[copied..start]);
        result.extend_from_slice(to);
        copied = start + from.len();
    }
    (copied > 0).then(|| {
        result.extend_from_slice(&text[copied..]);
        result
    })
}

/// Where the path `prefix` stands for that directory, and not for `prefix`-more or a path of another environment in it.
pub(super) fn places(text: &[u8], prefix: &[u8], written: Written) -> impl Iterator<Item = usize> {
    memmem::find_iter(text, prefix).filter(move |&start| {
        let rest = &text[start + prefix.len()..];
        let longer = rest.first().is_some_and(|&byte| part_of_name(byte))
            // `/opt/conda.old` is another directory, the full stop behind `/opt/conda.` is none.
            || (rest.first() == Some(&b'.') && rest.get(1).is_some_and(|&byte| part_of_name(byte)));
        let other_environment = rest.starts_with(b"/envs/");
        let deeper = written == Written::BySomebody && ends_in_a_name(&text[..start]);
        !(longer || deeper || other_environment)
    })
}

/// Whether a path that follows `before` goes on from there. The option in `-L/opt/conda/lib` is no name.
fn ends_in_a_name(before: &[u8]) -> bool {
    match before {
        [.., earlier, b'-', option] if option.is_ascii_alphabetic() => part_of_name(*earlier),
        [.., last] => part_of_name(*last) || *last == b'.',
        [] => false,
    }
}

fn part_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-".contains(&byte)
}

/// The script with an interpreter line that is not too long: pip and uv hand over by `sh` in this way, too.
pub(super) fn with_short_shebang(text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    if !text.starts_with(b"#!") || end <= LONGEST_SHEBANG {
        return text;
    }
    let interpreter = &text[2..end];
    let mut result = b"#!/bin/sh\n'''exec' ".to_vec();
    result.extend_from_slice(interpreter);
    result.extend_from_slice(b" \"$0\" \"$@\"\n' '''");
    result.extend_from_slice(&text[end..]);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(from: &str) -> Option<String> {
        let written = Written::BySomebody;
        rebaked(from.as_bytes(), b"/opt/conda", b"/opt/conda/envs/x", written)
            .map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn only_the_prefix_itself_is_replaced() {
        assert_eq!(
            text("#!/opt/conda/bin/python\nP=/opt/conda:/opt/conda.").as_deref(),
            Some("#!/opt/conda/envs/x/bin/python\nP=/opt/conda/envs/x:/opt/conda/envs/x.")
        );
        assert_eq!(
            text("cc -L/opt/conda/lib").as_deref(),
            Some("cc -L/opt/conda/envs/x/lib")
        );
        for other in [
            "x-L/opt/conda/lib",
            "/opt/conda2/bin",
            "/opt/conda-old",
            "/opt/conda.old",
            "/srv/opt/conda",
            "/opt/conda/envs/y",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
    }

    #[test]
    fn an_interpreter_line_that_became_too_long_hands_over_by_sh() {
        let long = format!("#!/{}/bin/python\nprint(1)\n", "x".repeat(130));
        let short = String::from_utf8(with_short_shebang(long.into_bytes())).unwrap();
        assert!(short.starts_with("#!/bin/sh\n'''exec' /xxx"), "{short}");
        assert!(
            short.ends_with("/bin/python \"$0\" \"$@\"\n' '''\nprint(1)\n"),
            "{short}"
        );
    }
}
