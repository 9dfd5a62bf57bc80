//! Finds the line of the Dockerfile that a failed build is about.

use bollard_buildkit_proto::google::rpc;
use prost::Message as _;
use serde::Deserialize;

/// The line in the details of a gRPC status. Docker 20.10 sends none.
pub(super) fn in_details(details: &[u8]) -> Option<usize> {
    let status = rpc::Status::decode(details).ok()?;
    let source = status
        .details
        .iter()
        .find(|detail| detail.type_url.contains("errdefs.Source"))?;
    let source: Source = serde_json::from_slice(&source.value).ok()?;
    source.ranges.first().map(|range| range.start.line)
}

/// The line in the words of a parse error.
pub(super) fn in_words(reason: &str) -> Option<usize> {
    let after = reason
        .split_once("parse error line ")
        .or_else(|| reason.split_once("parse error on line "))?
        .1;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The line of the step that the builder calls `step`, e.g. `[env-a 2/4] RUN make`, where only one instruction reads so.
pub(in crate::engine::docker) fn of_step(dockerfile: &str, step: &str) -> Option<usize> {
    let instruction = plain(
        step.split_once("] ")
            .filter(|_| step.starts_with('['))
            .map_or(step, |parts| parts.1),
    );
    let mut found = None;
    let mut lines = dockerfile.lines().enumerate();
    while let Some((at, first)) = lines.next() {
        let mut text = first.to_owned();
        while let Some(begun) = text.trim_end().strip_suffix('\\') {
            // Comments and empty lines within an instruction are no part of it.
            let more = lines.find(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
            text = begun.to_owned() + more.map_or("", |(_, line)| line);
        }
        if plain(&text) == instruction {
            if found.is_some() {
                return None;
            }
            found = Some(at + 1);
        }
    }
    found
}

/// An instruction with its keyword in capitals, as the builder writes it, and single blanks.
fn plain(instruction: &str) -> String {
    let mut words = instruction.split_whitespace();
    let keyword = words.next().unwrap_or_default().to_uppercase();
    std::iter::once(keyword.as_str())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The place in the Dockerfile that BuildKit attaches to an error, as `errdefs.Source` in JSON.
#[derive(Deserialize)]
struct Source {
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Range {
    start: Position,
}

#[derive(Deserialize)]
struct Position {
    line: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_parse_error_is_read_from_the_words_of_old_and_new_engines() {
        let reason = "failed to create LLB definition: dockerfile parse error line 12: unknown instruction: FRO";
        assert_eq!(in_words(reason), Some(12));
        assert_eq!(in_words("dockerfile parse error on line 3: x"), Some(3));
        assert_eq!(in_words("exit code: 3"), None);
    }

    #[test]
    fn the_line_of_a_failed_step_is_read_from_the_details() {
        let source = br#"{"info":{"filename":"Dockerfile"},"ranges":[{"start":{"line":7},"end":{"line":9}}]}"#;
        let status = rpc::Status {
            details: vec![bollard_buildkit_proto::google::protobuf::Any {
                type_url: "github.com/moby/buildkit/errdefs.Source+json".to_owned(),
                value: source.to_vec(),
            }],
            ..rpc::Status::default()
        };
        assert_eq!(in_details(&status.encode_to_vec()), Some(7));
        assert_eq!(in_details(b"nonsense"), None);
    }

    #[test]
    fn a_step_is_found_over_continued_lines_unless_it_stands_twice() {
        let text = "FROM a\nrun  make \\\n  # how\n\n  -j 2 && \\\n  true\nRUN twice\nFROM b\nRUN twice\n";
        assert_eq!(of_step(text, "[env-a 2/4] RUN make   -j 2 &&   true"), Some(2));
        assert_eq!(of_step(text, "[2/2] RUN twice"), None);
        assert_eq!(of_step(text, "[internal] load build context"), None);
    }
}
