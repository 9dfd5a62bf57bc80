//! floe's own program in the common image: a layer of its own, above all that `common/Dockerfile` makes.
//!
//! What the program has installed is none the older for a newer program. So the steps of `common/Dockerfile` see it and no layer
//! of theirs holds it: the image that they make, the foundation, stays what it is where only the program changes.

use super::dockerfile::{self, Instruction};
use super::{Composed, Draft, Mounts, Source};
use crate::image::{self, applet};

/// Where a build's context holds floe's own program, where it is no script among others.
pub const PROGRAM: &str = ".floe-program";

/// The directory of the scripts in the context of the common image.
const SCRIPTS: &str = "common-scripts";

/// Composes `common/Dockerfile` so that its steps see floe's program and no layer holds it.
///
/// `None` where the program has to be one of the scripts: the file does not copy their directory as a whole to where images
/// have it, in its last stage, or something else in it takes the program, by whatever name.
#[must_use]
pub fn foundation(source: &Source, mounts: &Mounts) -> Option<Composed> {
    let text = source.text.trim_start_matches('\u{feff}');
    let instructions = dockerfile::parse(text);
    let stage = instructions
        .iter()
        .rposition(|instruction| instruction.keyword == "FROM")?;
    let own = &instructions[stage..];
    let copied = own.iter().position(copies_scripts)?;
    let lines = text.lines().collect::<Vec<_>>();
    let mut others = instructions.iter().filter(|other| **other != own[copied]);
    if others.any(|other| takes_program(other, &lines)) {
        return None;
    }
    let mut draft = Draft::default();
    draft.source(source);
    for step in own[copied..].iter().filter(|instruction| instruction.keyword == "RUN") {
        dockerfile::give_flags(&mut draft.lines[step.lines.start], &flag());
    }
    Some(draft.finish(mounts, &[]))
}

/// Composes the Dockerfile of the common image on top of its foundation.
#[must_use]
pub fn common(mounts: &Mounts) -> Composed {
    let mut draft = Draft::default();
    let program = image::program("floe");
    draft.own(&format!(
        "ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nCOPY {PROGRAM} {program}\n"
    ));
    draft.finish(mounts, &[])
}

/// What lets a step see the program where the scripts expect it. What the step writes there is lost, and refused by nobody:
/// Dockerfiles change the modes and owners of all scripts at once.
fn flag() -> String {
    let target = image::program("floe");
    format!(" --mount=type=bind,source={PROGRAM},target={target},rw")
}

/// Whether it copies the directory of the scripts, as a whole, to where images have it, and takes the program by no other name.
fn copies_scripts(instruction: &Instruction) -> bool {
    let Some((sources, target)) = copies(instruction) else {
        return false;
    };
    let (whole, others) = sources
        .into_iter()
        .partition::<Vec<_>, _>(|source| is_directory(source));
    target.trim_end_matches('/') == image::PROGRAMS && !whole.is_empty() && !others.into_iter().any(holds_program)
}

/// Whether it has the program of the context, or leaves a copy of the one that steps see.
fn takes_program(instruction: &Instruction, lines: &[&str]) -> bool {
    if let Some((sources, _)) = copies(instruction) {
        return sources.into_iter().any(holds_program);
    }
    if instruction.keyword != "RUN" {
        return false;
    }
    let mut mounts = words(instruction).filter_map(|word| word.strip_prefix("--mount="));
    let is_of_context =
        |mount: &str| !mount.contains("from=") && (mount.contains("type=bind") || !mount.contains("type="));
    let program = image::program("floe");
    let text = lines[instruction.lines.clone()].join("\n");
    let is_named =
        |(_, rest): (&str, &str)| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let mut names = text
        .match_indices(&program)
        .map(|(at, name)| text.split_at(at + name.len()));
    mounts.any(is_of_context) || names.any(is_named)
}

/// What an instruction copies of the context, and where to.
fn copies(instruction: &Instruction) -> Option<(Vec<&str>, &str)> {
    if !matches!(instruction.keyword.as_str(), "COPY" | "ADD") || instruction.arguments.contains("--from=") {
        return None;
    }
    let mut words = words(instruction)
        .filter(|word| !word.starts_with("--"))
        .collect::<Vec<_>>();
    let target = words.pop()?;
    Some((words, target))
}

/// Whether a source is the directory of the scripts, or all that it holds.
fn is_directory(source: &str) -> bool {
    source.trim_start_matches("./").trim_end_matches(['/', '.', '*']) == SCRIPTS
}

/// Whether a source holds the program, or a link to it, where that is one of the scripts; also where that cannot be told.
fn holds_program(source: &str) -> bool {
    let path = source.trim_start_matches("./").trim_end_matches('/');
    let is_pattern = |part: &str| part.contains(['*', '?', '[', '$']);
    match path.split_once('/') {
        _ if path.is_empty() || path == "." || path == PROGRAM || is_directory(source) => true,
        Some((SCRIPTS, script)) => script == "floe" || applet::ALL.contains(&script) || is_pattern(script),
        Some((directory, _)) => is_pattern(directory),
        None => is_pattern(path),
    }
}

/// The words of an instruction, also of its JSON form.
fn words(instruction: &Instruction) -> impl Iterator<Item = &str> {
    let between = |c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '"');
    instruction.arguments.split(between).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::tests::source;

    fn composed(text: &str) -> Option<String> {
        let source = source("common/Dockerfile", text);
        foundation(&source, &Mounts::default()).map(|composed| composed.text)
    }

    /// The commands of the steps that see the program.
    fn seeing(text: &str) -> Option<Vec<String>> {
        let text = composed(text)?;
        let steps = dockerfile::parse(&text).into_iter();
        let seeing = steps.filter(|step| step.arguments.contains(&format!("source={PROGRAM},")));
        let commands = seeing.map(|step| step.arguments.rsplit_once("rw ").unwrap().1.to_owned());
        Some(commands.collect())
    }

    #[test]
    fn the_steps_behind_the_scripts_see_the_program_which_is_in_no_layer_but_that_of_the_common_image() {
        let own = include_str!("../../common/Dockerfile");
        assert_eq!(
            seeing(own).unwrap().last().unwrap(),
            "/opt/common-scripts/install-common base"
        );
        assert!(
            !seeing(own)
                .unwrap()
                .iter()
                .any(|command| command.contains("build-essential"))
        );
        let common = common(&Mounts::default()).text;
        assert!(
            common.ends_with("\nCOPY .floe-program /opt/common-scripts/floe\n"),
            "{common}"
        );
    }

    #[test]
    fn scripts_are_copied_as_a_whole_in_many_ways() {
        for copy in [
            "COPY common-scripts/ /opt/common-scripts/",
            "COPY common-scripts /opt/common-scripts",
            "copy --chown=1000:100 --chmod=755 ./common-scripts/. \\\n  /opt/common-scripts/",
            "ADD [\"common-scripts/\", \"/opt/common-scripts/\"]",
            "COPY common-scripts/* /opt/common-scripts/",
            "COPY common-scripts/ extra/ /opt/common-scripts/",
        ] {
            let text = format!(
                "FROM a AS one\nRUN zero\nFROM b\nRUN one\n{copy}\nRUN two \\\n && three\nUSER x\nRUN <<E\nfour\nE\n"
            );
            assert_eq!(seeing(&text).unwrap(), ["two  && three", "<<E"], "{copy}");
        }
    }

    #[test]
    fn where_the_program_is_more_than_what_scripts_call_it_is_one_of_them() {
        for text in [
            "FROM a\nRUN make\n",
            "FROM a\nCOPY common-scripts/apt-install /opt/common-scripts/apt-install\nRUN x\n",
            "FROM a\nCOPY common-scripts/ /usr/local/bin/\nRUN x\n",
            "FROM a\nCOPY --from=b common-scripts/ /opt/common-scripts/\nRUN x\n",
            "FROM a\nCOPY common-scripts/ /opt/common-scripts/\nFROM b\nCOPY --from=0 /opt /opt\n",
            "FROM a\nCOPY common-scripts/ /opt/common-scripts/\nCOPY common-scripts/floe /usr/bin/floe\n",
            "COPY common-scripts/ /opt/common-scripts/\n",
        ] {
            assert_eq!(composed(text), None, "{text}");
        }
    }

    #[test]
    fn what_takes_the_program_by_whatever_name_has_it_among_the_scripts() {
        let beside = |other: &str| composed(&format!("FROM a\nCOPY common-scripts/ /opt/common-scripts/\n{other}\n"));
        for other in [
            "COPY common-scripts/ /usr/local/scripts/",
            "COPY . /srv/",
            "COPY ./ /srv/",
            "ADD [\"*\", \"/srv/\"]",
            "COPY common-scripts/env-create /usr/bin/",
            "COPY common-scripts/env-* /usr/bin/",
            "COPY ${SCRIPTS} /usr/bin/",
            "COPY .floe-program /usr/bin/floe",
            "RUN cp /opt/common-scripts/floe /usr/bin/",
            "RUN <<E\ninstall /opt/common-scripts/floe /usr/bin/floe\nE",
            "RUN --mount=type=bind,source=common-scripts,target=/x /x/install-common",
            "RUN --mount=target=/x /x/common-scripts/install-common",
            "FROM b\nCOPY common-scripts/ /opt/common-scripts/",
        ] {
            assert_eq!(beside(other), None, "{other}");
        }
        for other in [
            "COPY common-scripts/apt-install /usr/bin/",
            "COPY common-env/ /opt/common-env/",
            "COPY --from=b . /srv/",
            "RUN chmod -R a+rx /opt/common-scripts/",
            "RUN /opt/common-scripts/floe-notes",
            "RUN --mount=type=cache,target=/x --mount=from=b,target=/y make",
        ] {
            assert!(beside(other).is_some(), "{other}");
        }
    }
}
