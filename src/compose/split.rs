//! A Dockerfile divided at the place where the layers of environments go that are assembled: the image below them, and the
//! image on top.

use super::dockerfile::{self, Instruction};
use crate::image::variable;

/// Stands in a Dockerfile for the layers of its environments.
pub(super) const MARK: &str = "# Here are the layers of the environments.";

const WITHIN: &str = "their layers are taken over within another instruction";

/// A line, and the index of the line of a template that it came from, where that can be told.
pub(super) type Line = (String, Option<usize>);

/// A Dockerfile in two.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// The image that the layers lie on, unless that is `BASE_IMAGE` itself.
    pub(super) below: Option<Vec<Line>>,
    /// The image on top of the layers, which the variable [`variable::LAYERED`] names.
    pub(super) above: Vec<Line>,
}

/// Divides a Dockerfile that holds the mark, or says why it cannot be divided there.
pub(super) fn split(lines: &[Line]) -> Result<Split, &'static str> {
    let text = lines.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>();
    let marks = text.iter().enumerate().filter(|(_, line)| line.trim() == MARK);
    let marks = marks.map(|(index, _)| index).collect::<Vec<_>>();
    let mark = match marks.as_slice() {
        [mark] => *mark,
        // It stands behind other words.
        [] => return Err(WITHIN),
        _ => return Err("their layers are taken over more than once"),
    };
    let text = text.join("\n");
    let instructions = dockerfile::parse(&text);
    if instructions.iter().any(|instruction| instruction.lines.contains(&mark)) {
        return Err(WITHIN);
    }
    let last = instructions
        .iter()
        .rposition(|instruction| instruction.keyword == "FROM");
    let Some((from, stage)) = last.and_then(|last| instructions[last..].split_first()) else {
        return Err("no stage takes their layers over");
    };
    if mark < from.lines.start {
        return Err("it is not the last stage that takes their layers over");
    }
    let below = stage.iter().filter(|instruction| instruction.lines.end <= mark);
    let (arguments, others) = below.partition::<Vec<_>, _>(|instruction| instruction.keyword == "ARG");
    let is_base = others.is_empty() && extends_base(from);
    let directives = dockerfile::directives(&text).len();
    let own = |line: String| [(line, None)];
    let mut above = lines[..directives].to_vec();
    above.extend(own(format!("ARG {}", variable::LAYERED)));
    above.extend_from_slice(&lines[directives..from.lines.start]);
    above.extend(own(format!("FROM ${{{}}}", variable::LAYERED)));
    for argument in arguments {
        above.extend_from_slice(&lines[argument.lines.clone()]);
    }
    above.extend_from_slice(&lines[mark..]);
    Ok(Split {
        below: (!is_base).then(|| lines[..mark].to_vec()),
        above,
    })
}

/// Whether a stage begins with the image that the Dockerfile is given.
fn extends_base(from: &Instruction) -> bool {
    let mut words = from.arguments.split_whitespace();
    words
        .next()
        .is_some_and(|word| ["${BASE_IMAGE}", "$BASE_IMAGE"].contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        let lines = text.replace("{{ env_layers }}", MARK);
        let lines = lines.lines().enumerate();
        lines.map(|(index, line)| (line.to_owned(), Some(index))).collect()
    }

    fn text(lines: &[Line]) -> String {
        let lines = lines.iter().flat_map(|(line, _)| [line.as_str(), "\n"]);
        lines.collect()
    }

    #[test]
    fn what_lies_on_the_common_image_alone_has_nothing_below() {
        for from in ["${BASE_IMAGE}", "$BASE_IMAGE AS mine"] {
            let split = split(&lines(&format!(
                "# escape=`\nARG BASE_IMAGE\nFROM {from}\n\nARG A=1 `\n B\n{{{{ env_layers }}}}\nRUN x\n"
            )));
            let Split { below, above } = split.unwrap();
            assert_eq!(below, None);
            assert_eq!(
                text(&above),
                format!(
                    "# escape=`\nARG FLOE_LAYERED\nARG BASE_IMAGE\nFROM ${{FLOE_LAYERED}}\nARG A=1 `\n B\n{MARK}\nRUN x\n"
                )
            );
            assert_eq!(above.last().unwrap().1, Some(7));
        }
    }

    #[test]
    fn what_comes_before_the_layers_is_an_image_of_its_own_with_all_stages() {
        for before in [
            "FROM ${BASE_IMAGE}\nRUN before",
            "FROM tools\nARG A",
            "FROM --platform=x ${BASE_IMAGE}",
        ] {
            let whole = format!("ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}} AS tools\nRUN make\n{before}\n");
            let Split { below, above } = split(&lines(&format!("{whole}{{{{ env_layers }}}}\nRUN after\n"))).unwrap();
            assert_eq!(text(&below.unwrap()), whole);
            let argument = if before.contains("ARG A") { "ARG A\n" } else { "" };
            assert_eq!(
                text(&above),
                format!(
                    "ARG FLOE_LAYERED\nARG BASE_IMAGE\nFROM ${{BASE_IMAGE}} AS tools\nRUN make\nFROM ${{FLOE_LAYERED}}\n\
                     {argument}{MARK}\nRUN after\n"
                )
            );
        }
    }

    #[test]
    fn what_cannot_be_divided_says_why() {
        for (text, reason) in [
            ("FROM a\n{{ env_layers }}\n{{ env_layers }}\n", "more than once"),
            ("FROM a\n{{ env_layers }}\nFROM b\n", "not the last stage"),
            ("FROM a\nRUN x \\\n{{ env_layers }}\n y\n", "within another instruction"),
            ("FROM a\nRUN x {{ env_layers }}\n", "within another instruction"),
            ("FROM a\nRUN <<E\n{{ env_layers }}\nE\n", "within another instruction"),
            ("{{ env_layers }}\n", "no stage"),
        ] {
            let said = split(&lines(text)).unwrap_err();
            assert!(said.contains(reason), "{said}");
        }
    }
}
