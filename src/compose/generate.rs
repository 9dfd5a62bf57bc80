//! Environments as stages of a Dockerfile, each taken over into the image as one layer or several.

use std::collections::BTreeMap;
use std::path::Path;

use tera::{Context, Tera};

use super::split::MARK;
use crate::image;
use crate::image::applet::{ENV_ASSEMBLE, ENV_SOLVE, ENV_STAGE};
use crate::image::{layer, variable};
use crate::reference::EnvironmentName;

/// One environment: what its stage copies and runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The environment's name.
    pub environment: EnvironmentName,
    /// The spec files to copy, relative to the build's context.
    pub files: Vec<String>,
    /// The commands that install it, in order.
    pub commands: Vec<String>,
    /// How many layers of an image it is.
    pub layers: usize,
}

/// Every stage starts from the common image and depends on nothing but its own files, so the builder runs them in
/// parallel and rebuilds one alone. `env-stage` leaves a normalized tree, or one for each layer.
const STAGES: &str = r#"ARG BASE_IMAGE
{% for stage in stages %}{% if stage.environment != base %}
FROM ${BASE_IMAGE} AS env-{{ stage.environment | lower }}
USER root
{% for copy in stage.copies %}COPY {{ copy | json_encode() }}
{% endfor %}RUN {{ stage.commands | join(sep=" \
 && ") }} \
 && {{ env_stage }} {{ stage.environment }} {{ stage.staged }}{% if stage.trees | length > 1 %} --layers {{ stage.trees | length }}{% endif %}
{% endif %}{% endfor %}"#;

/// `COPY --from … /floe/cal/ /` makes of a stage's tree a layer whose digest depends on its content alone. The
/// base environment is part of the common image already: what a mission adds to it is installed in place.
const LAYERS: &str = r#"{% for stage in stages %}{% if stage.environment == base -%}
{% for copy in stage.copies %}COPY {{ copy | json_encode() }}
{% endfor %}RUN {{ stage.commands | join(sep=" \
 && ") }}
{% else %}{% for tree in stage.trees -%}
COPY --from=env-{{ stage.environment | lower }} {{ tree }}/ /
{% endfor %}{% endif %}{% endfor -%}
"#;

/// A stage for each environment, which solves its specs in the image that it is to be made in. What is written is taken over
/// into one directory of that image.
const SOLVED: &str = r"ARG BASE_IMAGE
{% for stage in stages %}
FROM ${BASE_IMAGE} AS env-{{ stage.environment | lower }}
USER root
{% for copy in stage.copies %}COPY {{ copy | json_encode() }}
{% endfor %}RUN mkdir -p {{ directory }} && USE_FROZEN=0 {{ floe }} applet {{ env_solve }} {{ stage.environment }} {{ directory }}
{% endfor %}
FROM ${BASE_IMAGE}
{% for stage in stages %}COPY --from=env-{{ stage.environment | lower }} {{ directory }}/ {{ directory }}/
{% endfor -%}
";

/// A stage for each environment, which hands its layers over to the host as they are made; no environment is in any of them. The
/// last holds nothing but what makes the builder carry out the others.
const ASSEMBLED: &str = r"ARG BASE_IMAGE
{% for stage in stages %}
FROM ${BASE_IMAGE} AS env-{{ stage.environment | lower }}
USER root
{% for copy in stage.copies %}COPY {{ copy | json_encode() }}
{% endfor %}ARG {{ assembly }}
ARG {{ anew }}
RUN --mount=type=ssh {{ floe }} applet {{ env_assemble }} {{ stage.environment }} --layers {{ stage.trees | length }} \
 && mkdir -p {{ handed_over }} && touch {{ handed_over }}/{{ stage.environment }}
{% endfor %}
FROM scratch
{% for stage in stages %}COPY --from=env-{{ stage.environment | lower }} {{ handed_over }}/{{ stage.environment }} /
{% endfor -%}
";

/// The directory of the empty file that a stage leaves that has handed its layers over: one of its own, since builders read
/// the whole directory that holds what they copy.
const HANDED_OVER: &str = "/floe-handed-over";

/// The Dockerfile whose steps hand the layers of the environments over to the host.
pub(super) fn assembled(stages: &[Stage]) -> String {
    render(ASSEMBLED, &context(stages))
}

/// The Dockerfile of an image that holds, in `directory`, what the environments would hold.
pub(super) fn solved(stages: &[Stage], directory: &str) -> String {
    let mut context = context(stages);
    context.insert("directory", directory);
    render(SOLVED, &context)
}

/// The stages that make the environments.
pub(super) fn stages(stages: &[Stage]) -> String {
    render(STAGES, &context(stages))
}

/// The instructions that take the finished environments into an image.
pub(super) fn layers(stages: &[Stage]) -> String {
    render(LAYERS, &context(stages))
}

/// An image that takes over environments at the mark, beside those that are installed in place.
pub(super) fn marked(in_place: &[Stage]) -> String {
    format!("ARG BASE_IMAGE\n\nFROM ${{BASE_IMAGE}}\n{MARK}\n{}", layers(in_place))
}

/// Whether a line names the stage of one of these environments.
pub(super) fn names_stage(line: &str, stages: &[Stage]) -> bool {
    let line = line.to_lowercase();
    let mut words = line.split([' ', '\t', ',', '=']);
    let is_of = |word: &str, stage: &Stage| {
        let name = word.strip_prefix("env-");
        name.is_some_and(|name| name == stage.environment.as_str().to_lowercase())
    };
    words.any(|word| stages.iter().any(|stage| is_of(word, stage)))
}

/// The stages, and the image that takes them all.
pub(super) fn body(stages: &[Stage]) -> String {
    format!("{}\nFROM ${{BASE_IMAGE}}\n{}", self::stages(stages), layers(stages))
}

fn context(stages: &[Stage]) -> Context {
    let stages = stages.iter().map(Written::of).collect::<Vec<_>>();
    let mut context = Context::new();
    context.insert("stages", &stages);
    context.insert("base", &EnvironmentName::base());
    context.insert("env_stage", &image::program(ENV_STAGE));
    context.insert("env_solve", ENV_SOLVE);
    context.insert("env_assemble", ENV_ASSEMBLE);
    context.insert("assembly", variable::ASSEMBLY);
    context.insert("anew", variable::ANEW);
    context.insert("handed_over", HANDED_OVER);
    context.insert("floe", &image::program("floe"));
    context
}

fn render(template: &str, context: &Context) -> String {
    // The templates are constants and their context always complete; the tests below render them.
    Tera::one_off(template, context, false).unwrap_or_default()
}

/// A stage as the templates take it.
#[derive(serde::Serialize)]
struct Written<'a> {
    environment: &'a EnvironmentName,
    /// For each directory the files that go into it, and where that is in the image. `COPY` in its JSON form takes names
    /// with blanks; its last element is where the files go.
    copies: Vec<Vec<String>>,
    commands: &'a [String],
    /// Where its tree is left, or one for each layer.
    staged: String,
    /// The directories that hold what layers hold.
    trees: Vec<String>,
}

impl<'a> Written<'a> {
    fn of(stage: &'a Stage) -> Self {
        let mut copies = BTreeMap::<&Path, Vec<String>>::new();
        for file in &stage.files {
            let directory = Path::new(file).parent().unwrap_or(Path::new(""));
            copies.entry(directory).or_default().push(file.clone());
        }
        let with_destination = |(directory, mut files): (&Path, Vec<String>)| {
            let below = directory.strip_prefix("environments").unwrap_or(directory);
            let destination = Path::new(image::ENVIRONMENTS).join(below);
            files.push(format!("{}/", destination.to_string_lossy().trim_end_matches('/')));
            files
        };
        let staged = layer::staged(&stage.environment);
        Self {
            environment: &stage.environment,
            copies: copies.into_iter().map(with_destination).collect(),
            commands: &stage.commands,
            trees: match stage.layers {
                0 | 1 => vec![staged.clone()],
                several => (0..several)
                    .map(|index| format!("{staged}/{}", layer::numbered(index)))
                    .collect(),
            },
            staged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_environment_is_a_stage_of_its_own_and_one_or_several_layers() {
        let stage = |name: &str| Stage {
            environment: name.parse().unwrap(),
            files: vec![format!("environments/{name}/{name}.pip")],
            commands: ["env-clone base", "env-update"]
                .iter()
                .skip(usize::from(name == "base"))
                .map(|command| format!("/opt/common-scripts/{command} {name}"))
                .collect(),
            layers: if name == "cal" { 3 } else { 1 },
        };
        insta::assert_snapshot!(body(&[stage("base"), stage("cal"), stage("Old")]), @r#"
        ARG BASE_IMAGE

        FROM ${BASE_IMAGE} AS env-cal
        USER root
        COPY ["environments/cal/cal.pip","/opt/environments/cal/"]
        RUN /opt/common-scripts/env-clone base cal \
         && /opt/common-scripts/env-update cal \
         && /opt/common-scripts/env-stage cal /floe/cal --layers 3

        FROM ${BASE_IMAGE} AS env-old
        USER root
        COPY ["environments/Old/Old.pip","/opt/environments/Old/"]
        RUN /opt/common-scripts/env-clone base Old \
         && /opt/common-scripts/env-update Old \
         && /opt/common-scripts/env-stage Old /floe/Old

        FROM ${BASE_IMAGE}
        COPY ["environments/base/base.pip","/opt/environments/base/"]
        RUN /opt/common-scripts/env-update base
        COPY --from=env-cal /floe/cal/00/ /
        COPY --from=env-cal /floe/cal/01/ /
        COPY --from=env-cal /floe/cal/02/ /
        COPY --from=env-old /floe/Old/ /
        "#);
    }

    #[test]
    fn each_environment_is_solved_in_a_stage_of_its_own() {
        let stage = |name: &str| Stage {
            environment: name.parse().unwrap(),
            files: vec![format!("environments/{name}/{name}.pip")],
            commands: Vec::new(),
            layers: 1,
        };
        insta::assert_snapshot!(solved(&[stage("cal"), stage("Old")], "/solved"), @r#"
        ARG BASE_IMAGE

        FROM ${BASE_IMAGE} AS env-cal
        USER root
        COPY ["environments/cal/cal.pip","/opt/environments/cal/"]
        RUN mkdir -p /solved && USE_FROZEN=0 /opt/common-scripts/floe applet env-solve cal /solved

        FROM ${BASE_IMAGE} AS env-old
        USER root
        COPY ["environments/Old/Old.pip","/opt/environments/Old/"]
        RUN mkdir -p /solved && USE_FROZEN=0 /opt/common-scripts/floe applet env-solve Old /solved

        FROM ${BASE_IMAGE}
        COPY --from=env-cal /solved/ /solved/
        COPY --from=env-old /solved/ /solved/
        "#);
    }

    #[test]
    fn what_lists_name_in_other_directories_goes_into_those() {
        let stage = Stage {
            environment: "cal".parse().unwrap(),
            files: ["cal/cal.pip", "cal/sub/more.txt", "shared.txt"]
                .map(|file| format!("environments/{file}"))
                .to_vec(),
            commands: vec!["make".to_owned()],
            layers: 1,
        };
        let text = stages(&[stage]);
        let copies = text.lines().filter(|line| line.starts_with("COPY"));
        assert_eq!(
            copies.collect::<Vec<_>>(),
            [
                r#"COPY ["environments/shared.txt","/opt/environments/"]"#,
                r#"COPY ["environments/cal/cal.pip","/opt/environments/cal/"]"#,
                r#"COPY ["environments/cal/sub/more.txt","/opt/environments/cal/sub/"]"#,
            ]
        );
    }
}
