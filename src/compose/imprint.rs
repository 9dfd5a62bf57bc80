//! The last layer of an image, which says what the image is.
//!
//! It is made in a stage of its own that extends the finished image, so that it needs no other user than the image has, and is
//! copied into the image: its digest depends on what it says alone.

use super::dockerfile;
use crate::image;
use crate::image::applet::IMPRINT;
use crate::image::variable;

/// What the finished image is called, unless its author has called it something.
const FINISHED: &str = "floe-finished";

/// Where it is written in that stage. Builders read the whole directory that holds what they copy, which the root would be.
const STAGED: &str = "/floe-imprint/files";

/// What the stage is called that writes what the image says.
const STAGE: &str = "floe-imprint";

/// For a Dockerfile: the index of the line that names the finished image, that line with the name, and the text to add at the
/// end. `None` where no stage begins.
pub(super) fn of(text: &str) -> Option<(usize, String, String)> {
    let instructions = dockerfile::parse(text.trim_start_matches('\u{feff}'));
    let from = instructions.iter().rfind(|instruction| instruction.keyword == "FROM")?;
    let last = from.lines.end - 1;
    let line = text.lines().nth(last)?;
    let words = from.arguments.split_whitespace().collect::<Vec<_>>();
    let named = match words.as_slice() {
        [.., keyword, name] if words.len() > 2 && keyword.eq_ignore_ascii_case("as") => Some(*name),
        [] => return None,
        _ => None,
    };
    let line = match named {
        Some(_) => line.to_owned(),
        None => format!("{} AS {FINISHED}", line.trim_end()),
    };
    let finished = named.unwrap_or(FINISHED);
    let program = format!("{}/floe", image::PROGRAMS);
    let rest = format!(
        "\n# What the image says of itself: the last layer, which alone knows the commit.\n\
         FROM {finished} AS {STAGE}\n\
         USER root\n\
         ARG {variable}\n\
         RUN mkdir -p {STAGED} && if [ -x {program} ]; then {program} applet {IMPRINT} {STAGED}; fi\n\n\
         FROM {finished}\n\
         COPY --from={STAGE} {STAGED}/ /\n",
        variable = variable::IMPRINT,
    );
    Some((last, line, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stage_is_given_a_name_or_called_by_its_own() {
        let (line, text, rest) = of("ARG BASE_IMAGE\nFROM a AS b\nRUN x\nfrom \\\n  ${BASE_IMAGE}\nUSER me\n").unwrap();
        assert_eq!((line, text.as_str()), (4, "  ${BASE_IMAGE} AS floe-finished"));
        assert!(
            rest.ends_with("\nFROM floe-finished\nCOPY --from=floe-imprint /floe-imprint/files/ /\n"),
            "{rest}"
        );
        let (line, text, rest) = of("FROM --platform=linux/amd64 x:1 as mine\n").unwrap();
        assert_eq!((line, text.as_str()), (0, "FROM --platform=linux/amd64 x:1 as mine"));
        assert!(rest.contains("\nFROM mine\n"), "{rest}");
        assert_eq!(of("ARG A\nRUN x\n"), None);
    }
}
