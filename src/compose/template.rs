//! A mission's `Dockerfile.custom.tera`: rendered by Tera, with a map back to the lines of the template.
//!
//! The template may be somebody else's. It sees nothing of the host, and whoever renders it bounds its work: a template can
//! count without end, double a text until the memory is full, and call itself until the stack is.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;

use serde_json::{Value, json};
use tera::{Context, Tera};

use super::assembly::{Parts, in_place_and_own};
use super::generate::{self, Stage};
use super::split::{Line, MARK};
use super::{ComposeError, Source};

/// What a template sees beside the environments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The mission's name.
    pub mission: String,
    /// Whether the build is from frozen specs.
    pub frozen: bool,
}

/// A rendered template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The template.
    pub source: Source,
    /// Its text, and for each line the index of the template's line that it came from, where that can be told.
    pub lines: Vec<Line>,
    /// The same with the environments left out that can be assembled, if the template takes them over.
    pub(super) assembled: Option<Parts>,
}

/// What renders templates within bounds.
pub trait Renderer: Send + Sync {
    /// The text that the template comes to, or what is wrong with it, in Tera's words.
    fn render(&self, template: &str, context: &Value) -> Result<String, String>;
}

/// Renders a template that sees `mission`, `environments` (names), `frozen`, `common_image`, and the blocks `env_stages`
/// (which goes first, for it begins with `ARG BASE_IMAGE`) and `env_layers`.
pub fn render(
    source: &Source,
    facts: &Facts,
    stages: &[Stage],
    renderer: &dyn Renderer,
) -> Result<Rendered, ComposeError> {
    let names = stages.iter().map(|stage| &stage.environment).collect::<Vec<_>>();
    let come_to = |stages: &[Stage], layers: &str| {
        let context = json!({
            "mission": facts.mission,
            "environments": names,
            "frozen": facts.frozen,
            "common_image": "${BASE_IMAGE}",
            "env_stages": generate::stages(stages).trim_end(),
            "env_layers": layers.trim_end(),
        });
        let came = renderer.render(&source.text, &context);
        let text = came.map_err(|message| malformed(source, &message))?;
        Ok(aligned(&source.text, &text))
    };
    let (in_place, own) = in_place_and_own(stages);
    let assembled = if facts.frozen && !own.is_empty() && source.text.contains("env_layers") {
        let lines = come_to(&in_place, &format!("{MARK}\n{}", generate::layers(&in_place)))?;
        Some(Parts { stages: own, lines }).filter(|parts| parts.lines.iter().any(|(line, _)| line.contains(MARK)))
    } else {
        None
    };
    Ok(Rendered {
        lines: come_to(stages, &generate::layers(stages))?,
        source: source.clone(),
        assembled,
    })
}

/// Tera's functions that tell of the host, or give another text each time.
const NOTHING_OF_THE_HOST: [&str; 3] = ["get_env", "now", "get_random"];

/// The text that a template comes to, or what is wrong with it. Its work is not bounded.
pub fn text(template: &str, context: &Value) -> Result<String, String> {
    let mut tera = Tera::default();
    for name in NOTHING_OF_THE_HOST {
        tera.register_function(name, move |_: &HashMap<String, Value>| {
            Err(tera::Error::msg(format!(
                "`{name}` is not there: a template sees nothing of the host, and gives the same text each time"
            )))
        });
    }
    let rendered = Context::from_value(context.clone()).and_then(|context| tera.render_str(template, &context));
    rendered.map_err(|error| {
        // Tera says where in its last cause, as ` --> line:column` or not at all.
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message = inner.to_string();
            cause = inner.source();
        }
        message.replace(" while rendering '__tera_one_off'", "")
    })
}

fn malformed(source: &Source, message: &str) -> ComposeError {
    let line = message
        .split_once("--> ")
        .and_then(|(_, place)| place.split_once(':')?.0.trim().parse().ok());
    let message = message
        .lines()
        .rev()
        .map(|line| line.trim().trim_start_matches("= "))
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned();
    ComposeError::Template {
        path: source.path.clone(),
        line: line.or_else(|| named_line(&source.text, &message)),
        message,
    }
}

/// The line that holds the name which an error quotes, counted from 1.
fn named_line(text: &str, message: &str) -> Option<usize> {
    let name = message.split(['`', '\'']).nth(1)?;
    text.lines().position(|line| line.contains(name)).map(|index| index + 1)
}

/// Each line of `rendered` with the line of `template` it came from: lines that are equal, in their order, and between
/// two of those as many lines as there are in the template.
fn aligned(template: &str, rendered: &str) -> Vec<Line> {
    let templates = template.lines().collect::<Vec<_>>();
    let lines = rendered.lines().collect::<Vec<_>>();
    let mut origins = BTreeMap::new();
    let mut next = 0;
    for (index, line) in lines.iter().enumerate() {
        let found = templates[next..].iter().position(|template| template == line);
        // A blank line is no landmark.
        if let Some(offset) = found.filter(|_| !line.trim().is_empty()) {
            origins.insert(index, next + offset);
            next += offset + 1;
        }
    }
    let landmarks = std::iter::once((None, None))
        .chain(origins.iter().map(|(&line, &origin)| (Some(line), Some(origin))))
        .chain([(Some(lines.len()), Some(templates.len()))])
        .collect::<Vec<_>>();
    for pair in landmarks.windows(2) {
        let after = |at: Option<usize>| at.map_or(0, |at| at + 1);
        let (start, origin) = (after(pair[0].0), after(pair[0].1));
        let (end, origin_end) = (pair[1].0.unwrap_or_default(), pair[1].1.unwrap_or_default());
        if end - start == origin_end - origin {
            origins.extend((start..end).zip(origin..origin_end));
        }
    }
    let lines = lines.into_iter().enumerate();
    lines
        .map(|(index, line)| (line.to_owned(), origins.get(&index).copied()))
        .collect()
}

/// Renders without bounds.
#[cfg(test)]
#[derive(Debug)]
pub struct Unbounded;

#[cfg(test)]
impl Renderer for Unbounded {
    fn render(&self, template: &str, context: &Value) -> Result<String, String> {
        text(template, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            path: "missions/m/Dockerfile.custom.tera".into(),
            text: text.to_owned(),
        }
    }

    fn facts() -> Facts {
        Facts {
            mission: "m".to_owned(),
            frozen: true,
        }
    }

    fn stage() -> Stage {
        Stage {
            environment: "cal".parse().unwrap(),
            files: vec!["environments/cal/cal.pip".to_owned()],
            commands: vec!["/opt/common-scripts/env-clone base cal".to_owned()],
            layers: 1,
        }
    }

    #[test]
    fn a_template_sees_the_mission_and_the_two_blocks() {
        let text = "{{ env_stages }}\n\nFROM {{ common_image }}\n# {{ mission }}: {{ environments | join(sep=\",\") }}\n\
                    {% if frozen %}LABEL frozen=1{% endif %}\nRUN make me\n{{ env_layers }}\n";
        let rendered = render(&source(text), &facts(), &[stage()], &Unbounded).unwrap();
        let lines = rendered.lines.iter().map(|(line, origin)| {
            let origin = origin.map(|index| (index + 1).to_string()).unwrap_or_default();
            format!("{origin:>2} {line}")
        });
        let shown = lines.collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(shown, @r#"
           ARG BASE_IMAGE
           
           FROM ${BASE_IMAGE} AS env-cal
           USER root
           COPY ["environments/cal/cal.pip","/opt/environments/cal/"]
           RUN /opt/common-scripts/env-clone base cal \
            && /opt/common-scripts/env-stage cal /floe/cal
           
           FROM ${BASE_IMAGE}
           # m: cal
           LABEL frozen=1
         6 RUN make me
         7 COPY --from=env-cal /floe/cal/ /
        "#);
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, line, part) in [
            ("FROM x\nRUN {{ nosuch }}\n", Some(2), "nosuch"),
            ("FROM x\n\nRUN {% if %}\n", Some(3), "expected"),
        ] {
            let error = render(&source(text), &facts(), &[], &Unbounded).unwrap_err();
            let ComposeError::Template {
                line: found, message, ..
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!(*found, line, "{message}");
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_template_sees_nothing_of_the_host() {
        for call in [
            "get_env(name='PATH')",
            "get_env(name='NO_SUCH', default='x')",
            "now()",
            "get_random(end=10)",
        ] {
            let text = format!("FROM x\nRUN {{{{ {call} }}}}\n");
            let error = render(&source(&text), &facts(), &[], &Unbounded).unwrap_err();
            let name = call.split('(').next().unwrap();
            assert!(error.to_string().contains(&format!("`{name}` is not there")), "{error}");
            assert!(error.to_string().contains(":2: "), "{error}");
        }
    }
}
