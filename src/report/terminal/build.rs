//! The display of builds and pushes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use super::Show;
use super::live::Screen;
use super::model::Task;
use super::paint::{Ink, bytes, cut, seconds};
use crate::event::Event;
use crate::report::untrusted::Assembler;

/// How much of a step's output is kept for the case that it fails.
const KEPT_LINES: usize = 40;

/// How much of a step's line is shown where there is no terminal to fit it to.
const PLAIN_COLUMNS: usize = 140;

/// A layer that was taken over within this time needs no line of its own.
const SHORT_PART_SECONDS: f64 = 1.0;

/// What is known of the builds on display.
#[derive(Default)]
pub(super) struct BuildDisplay {
    /// The images that are being built.
    images: HashSet<String>,
    steps: HashMap<Key, Step>,
    /// The layers on their way or gone, by name.
    layers: HashMap<String, Layer>,
}

/// The image and the step.
type Key = (String, String);

#[derive(Default)]
struct Layer {
    /// Its size in bytes, as far as it is known.
    size: u64,
    gone: bool,
}

#[derive(Default)]
struct Step {
    output: Assembler,
    /// The last lines, each with its line feed.
    last: VecDeque<String>,
}

impl BuildDisplay {
    pub(super) fn take(&mut self, event: &Event, show: Show, screen: &Screen) {
        match event {
            Event::ImageStarted { image, reason } => {
                self.images.insert(image.clone());
                let rest = format!("{}: {}", name(image, show), show.untrusted.inline(reason));
                screen.lines(&[show.paint.labelled(Ink::Good, "Building", &rest)]);
            }
            Event::ImageUpToDate { image, reference } => {
                let rest = format!("{}: {}", name(image, show), show.untrusted.inline(reference));
                screen.lines(&[show.paint.labelled(Ink::Good, "UP-TO-DATE", &rest)]);
            }
            Event::ImageFinished {
                image,
                id,
                seconds: time,
            } => {
                self.forget(image, screen);
                let rest = format!("{} {}: image {}", seconds(*time), name(image, show), id.short());
                screen.lines(&[show.paint.labelled(Ink::Good, "BUILT", &rest)]);
            }
            Event::ImageFailed { image, error } => {
                self.forget(image, screen);
                let rest = format!("{}: {}", name(image, show), show.untrusted.inline(error));
                screen.lines(&[show.paint.labelled(Ink::Bad, "NOT BUILT", &rest)]);
            }
            Event::StepStarted { image, step, name } => {
                self.steps.insert((image.clone(), step.clone()), Step::default());
                if is_chore(name) && !show.verbose {
                    return;
                }
                let name = self.step_name(image, name, show);
                if screen.columns().is_none() && show.verbose {
                    screen.lines(&[show.paint.labelled(Ink::Dim, "#", &name)]);
                }
                let task = Task {
                    key: key(image, step),
                    name,
                    detail: String::new(),
                    since: Instant::now(),
                    slow: false,
                };
                screen.update(|model| model.tasks.push(task));
            }
            Event::StepOutput { image, step, text } => {
                let known = self.steps.entry((image.clone(), step.clone())).or_default();
                let lines = known.take(text);
                if show.verbose {
                    screen.lines(&show.printed(&lines));
                }
                let newest = known.newest();
                if let Some(line) = newest {
                    let (key, line) = (key(image, step), show.untrusted.inline(line));
                    screen.update(|model| {
                        if let Some(task) = model.tasks.iter_mut().find(|task| task.key == key) {
                            task.detail = line.trim().replace('\t', " ");
                        }
                    });
                }
            }
            Event::StepFinished { .. } => self.step_finished(event, show, screen),
            Event::PushProgress {
                layer,
                status,
                sent,
                total,
            } => self.push(layer, status, (*sent, *total), show, screen),
            _ => {}
        }
    }

    fn step_finished(&mut self, event: &Event, show: Show, screen: &Screen) {
        let Event::StepFinished {
            image,
            step,
            name: name_given,
            seconds: time,
            cached,
            error,
        } = event
        else {
            return;
        };
        let key = key(image, step);
        screen.update(|model| model.tasks.retain(|task| task.key != key));
        let mut known = self.steps.remove(&(image.clone(), step.clone())).unwrap_or_default();
        let rest = known.output.finish();
        let mut lines = if show.verbose { show.printed(&rest) } else { Vec::new() };
        known.keep(&rest);
        let name = self.step_name(image, name_given, show);
        let timed = format!("{} {name}", seconds(*time));
        if let Some(error) = error {
            lines.push(show.paint.labelled(Ink::Bad, "FAIL", &timed));
            if !show.verbose {
                let last = known.last.into_iter().collect::<String>();
                lines.extend(show.section(Ink::Careful, "last output", &last));
            }
            if !is_exit_code(error) {
                lines.extend(show.section(Ink::Bad, "error", error));
            }
        } else if show.verbose || !(is_chore(name_given) || is_short_part(name_given, *time)) {
            let (ink, label, rest) = if *cached {
                (Ink::Dim, "CACHED", name)
            } else {
                (Ink::Good, "DONE", timed)
            };
            // A step that went well takes one line, however long its command.
            let columns = if show.verbose { usize::MAX } else { PLAIN_COLUMNS };
            let room = screen.columns().unwrap_or(columns).saturating_sub(14);
            lines.push(show.paint.labelled(ink, label, &cut(&rest, room)));
        }
        screen.lines(&lines);
    }

    fn push(&mut self, layer: &str, status: &str, (sent, total): (u64, u64), show: Show, screen: &Screen) {
        let key = key("push", layer);
        let shown = show.untrusted.inline(layer);
        let status = show.untrusted.inline(status);
        let known = self.layers.entry(layer.to_owned()).or_default();
        known.size = known.size.max(total);
        if status == COMPRESSED {
            // What it came to is told when it has arrived.
            screen.update(|model| model.tasks.retain(|task| task.key != key));
            return;
        }
        let was_gone = std::mem::replace(&mut known.gone, is_pushed(&status));
        if known.gone {
            screen.update(|model| model.tasks.retain(|task| task.key != key));
            let rest = match (status.as_str(), known.size) {
                ("Pushed", 0) => shown,
                ("Pushed", size) => format!("{shown}  {}", bytes(size)),
                _ => format!("{shown}  {status}"),
            };
            if !was_gone {
                screen.lines(&[show.paint.labelled(Ink::Good, "PUSHED", &rest)]);
            }
            return;
        }
        let detail = match (sent.min(total) * 100).checked_div(total) {
            Some(percent) => format!("{status} {percent}% of {}", bytes(total)),
            None => status,
        };
        screen.update(|model| {
            if let Some(task) = model.tasks.iter_mut().find(|task| task.key == key) {
                task.detail = detail;
            } else {
                model.tasks.push(Task {
                    key,
                    name: shown,
                    detail,
                    since: Instant::now(),
                    slow: false,
                });
            }
        });
    }

    /// A step's name, with its image where several are being built.
    fn step_name(&self, image: &str, name: &str, show: Show) -> String {
        let name = show.untrusted.inline(&title(name));
        if self.images.len() > 1 {
            format!("{}: {name}", show.untrusted.inline(image))
        } else {
            name
        }
    }

    fn forget(&mut self, image: &str, screen: &Screen) {
        self.images.remove(image);
        let gone = self.steps.extract_if(|(of, _), _| of == image);
        let gone = gone.map(|((image, step), _)| key(&image, &step)).collect::<Vec<_>>();
        screen.update(|model| model.tasks.retain(|task| !gone.contains(&task.key)));
    }
}

impl Step {
    /// Takes a piece of output and gives the lines that it ended.
    fn take(&mut self, text: &str) -> String {
        let lines = self.output.push(text);
        self.keep(&lines);
        lines
    }

    fn keep(&mut self, lines: &str) {
        for line in lines.lines() {
            if self.last.len() == KEPT_LINES {
                self.last.pop_front();
            }
            self.last.push_back(format!("{line}\n"));
        }
    }

    /// The last line that says anything.
    fn newest(&self) -> Option<&str> {
        let lines = self.last.iter().map(String::as_str);
        let mut lines = lines.chain([self.output.pending()]);
        lines.rfind(|line| !line.trim().is_empty())
    }
}

/// What a person wants to read of a builder's name for a step: without mounts, and with blanks folded.
fn title(name: &str) -> String {
    let words = name.split_whitespace().filter(|word| !word.starts_with("--mount="));
    words.collect::<Vec<_>>().join(" ")
}

/// Whether an error tells nothing but how a program ended, of which its output tells more.
fn is_exit_code(error: &str) -> bool {
    let code = error.trim().strip_prefix("exit code: ");
    code.is_some_and(|code| code.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Whether a step is the builder's own preparation and not one of the Dockerfile's.
fn is_chore(name: &str) -> bool {
    name.starts_with("[internal]")
}

/// Whether a step took over one of the many layers of an environment, and was done with it in no time.
fn is_short_part(name: &str, seconds: f64) -> bool {
    let part = name
        .split_once("COPY --from=env-")
        .and_then(|(_, rest)| rest.split_once(" /floe/"));
    seconds < SHORT_PART_SECONDS && part.is_some_and(|(_, rest)| rest.trim() != "/")
}

fn name(image: &str, show: Show) -> String {
    show.paint.ink(Ink::Name, &show.untrusted.inline(image))
}

/// What identifies a task of the live area.
fn key(image: &str, step: &str) -> String {
    format!("{image}\n{step}")
}

/// What is said of a layer that was compressed, and is to be sent.
const COMPRESSED: &str = "Compressed";

/// Whether it is said of a layer that nothing more is to be sent.
fn is_pushed(status: &str) -> bool {
    status == "Pushed" || status == "Layer already exists" || status.starts_with("Mounted from")
}
