//! Turns what Podman's builder prints into events, and keeps what a failed step said last.
//!
//! The builder prints the steps and what they print in one stream, in pieces. A piece that is a step's line by itself begins
//! a step; whatever runs in a build can print such a line, too, and changes nothing by it but what is shown.

use std::collections::HashMap;
use std::time::Instant;

use crate::engine::docker::tail::Tail;
use crate::event::{Event, Sink};

/// Follows the steps of one build.
pub(super) struct Steps<'a> {
    image: &'a str,
    events: &'a dyn Sink,
    current: Option<Step>,
    /// The names of stages, by their numbers.
    stages: HashMap<String, String>,
    /// Whether the last step has ended, and only the image is made of it.
    committed: bool,
}

/// The step that failed.
#[derive(Debug, PartialEq)]
pub(super) struct FailedStep {
    /// Its name.
    pub name: String,
    /// The last lines that it printed.
    pub output: String,
}

struct Step {
    id: String,
    name: String,
    began: Instant,
    cached: bool,
    /// Whether there is something to tell of it.
    told: bool,
    tail: Tail,
}

/// What only sets something, at once; with Docker's builder these are no steps.
const SETTINGS: &[&str] = &[
    "ARG",
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

impl<'a> Steps<'a> {
    /// Follows the build of `image`.
    pub fn new(image: &'a str, events: &'a dyn Sink) -> Self {
        Self {
            image,
            events,
            current: None,
            stages: HashMap::new(),
            committed: false,
        }
    }

    /// Takes a piece of what the builder prints.
    pub fn take(&mut self, piece: &str) {
        let line = piece.trim_end_matches('\n');
        if let Some((stage, number, instruction)) = step_line(line) {
            self.begin(stage, number, instruction);
        } else if line
            .split_once("] ")
            .map_or(line, |(_, rest)| rest)
            .starts_with("COMMIT")
        {
            self.end(None);
            self.committed = true;
        } else if let Some(rest) = line.strip_prefix("--> ").filter(|_| !line.contains('\n')) {
            if let Some(step) = &mut self.current {
                step.cached |= rest.starts_with("Using cache ");
            }
        } else if !self.committed {
            self.output(piece);
        }
    }

    /// Ends the last step.
    pub fn finish(mut self) {
        self.end(None);
    }

    /// Ends the step that failed, and returns it.
    pub fn fail(mut self, reason: &str) -> Option<FailedStep> {
        self.end(Some(reason.to_owned()))
    }

    fn begin(&mut self, stage: &str, number: &str, instruction: &str) {
        self.end(None);
        let mut words = instruction.split_whitespace();
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        if keyword == "FROM"
            && let Some(name) = words.skip_while(|word| !word.eq_ignore_ascii_case("as")).nth(1)
        {
            self.stages.insert(stage.to_owned(), name.to_owned());
        }
        let name = self
            .stages
            .get(stage)
            .map(|name| format!("{name} "))
            .unwrap_or_default();
        let step = Step {
            id: format!("{stage} {number}"),
            name: format!("[{name}{number}] {instruction}"),
            began: Instant::now(),
            cached: false,
            told: false,
            tail: Tail::default(),
        };
        (self.current, self.committed) = (Some(step), false);
        if !SETTINGS.contains(&keyword.as_str()) {
            self.tell();
        }
    }

    /// Tells that the step has begun, unless that is told already.
    fn tell(&mut self) {
        if let Some(step) = self.current.as_mut().filter(|step| !step.told) {
            step.told = true;
            self.events.emit(Event::StepStarted {
                image: self.image.to_owned(),
                step: step.id.clone(),
                name: step.name.clone(),
            });
        }
    }

    fn output(&mut self, text: &str) {
        self.tell();
        let Some(step) = self.current.as_mut().filter(|_| !text.is_empty()) else {
            return;
        };
        step.tail.push(text);
        self.events.emit(Event::StepOutput {
            image: self.image.to_owned(),
            step: step.id.clone(),
            text: text.to_owned(),
        });
    }

    fn end(&mut self, error: Option<String>) -> Option<FailedStep> {
        if error.is_some() {
            self.tell();
        }
        let step = self.current.take()?;
        let output = step.tail.last_lines();
        if step.told {
            self.events.emit(Event::StepFinished {
                image: self.image.to_owned(),
                step: step.id,
                name: step.name.clone(),
                seconds: step.began.elapsed().as_secs_f64(),
                cached: step.cached,
                error,
            });
        }
        Some(FailedStep {
            name: step.name,
            output,
        })
    }
}

/// The stage's number, the step's, and the instruction of a line like `[1/4] STEP 2/3: RUN make`. Where there is one stage
/// alone, its number is not printed.
fn step_line(line: &str) -> Option<(&str, &str, &str)> {
    let (stage, rest) = match line.strip_prefix('[') {
        Some(rest) => rest.split_once("] ")?,
        None => ("", line),
    };
    let (number, instruction) = rest.strip_prefix("STEP ")?.split_once(": ")?;
    let counts = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/');
    (counts(stage) && counts(number)).then_some((stage, number, instruction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Memory;

    fn told(pieces: &[&str]) -> (Vec<String>, Option<FailedStep>) {
        let memory = Memory::default();
        let mut steps = Steps::new("common", &memory);
        for piece in pieces {
            steps.take(piece);
        }
        let failed = steps.fail("exit code: 2");
        let told = memory.events().into_iter().map(|event| match event {
            Event::StepStarted { step, name, .. } => format!("{step} is {name}"),
            Event::StepOutput { step, text, .. } => format!("{step} said {text:?}"),
            Event::StepFinished {
                step, cached, error, ..
            } => format!("{step} ended, cached {cached}, {error:?}"),
            other => format!("{other:?}"),
        });
        (told.collect(), failed)
    }

    #[test]
    fn steps_begin_and_end_and_what_they_print_is_theirs() {
        let (told, failed) = told(&[
            "[1/2] STEP 1/2: FROM floe/debian:abc AS env-a\n",
            "[1/2] STEP 2/2: RUN make\n",
            "--> Using cache ba581a05170\n",
            "--> ba581a05170\n",
            "[2/2] STEP 1/2: FROM floe/debian:abc\n",
            "[2/2] STEP 2/3: ENV A=b\n",
            "[2/2] STEP 2/2: RUN echo STEP 1/2: x\n",
            "no compiler",
            "\nSTEP 1/2: x\n",
        ]);
        assert_eq!(
            told,
            [
                "1/2 1/2 is [env-a 1/2] FROM floe/debian:abc AS env-a",
                "1/2 1/2 ended, cached false, None",
                "1/2 2/2 is [env-a 2/2] RUN make",
                "1/2 2/2 ended, cached true, None",
                "2/2 1/2 is [1/2] FROM floe/debian:abc",
                "2/2 1/2 ended, cached false, None",
                "2/2 2/2 is [2/2] RUN echo STEP 1/2: x",
                "2/2 2/2 said \"no compiler\"",
                "2/2 2/2 said \"\\nSTEP 1/2: x\\n\"",
                "2/2 2/2 ended, cached false, Some(\"exit code: 2\")",
            ]
        );
        let failed = failed.unwrap();
        assert_eq!(failed.output, "no compiler\nSTEP 1/2: x");
    }

    #[test]
    fn what_is_printed_after_the_last_step_is_no_steps() {
        let (told, failed) = told(&[
            "STEP 1/1: FROM a\n",
            "COMMIT docker.io/floe/x:1\n",
            "--> b48e26755aa\n",
            "Successfully tagged docker.io/floe/x:1\n",
            "b48e26755aaf77bce489cc3b7d75e3f164ba193db6ee2b73c81bcaebb5a59289\n",
        ]);
        assert_eq!(told, [" 1/1 is [1/1] FROM a", " 1/1 ended, cached false, None"]);
        assert_eq!(failed, None);
    }
}
