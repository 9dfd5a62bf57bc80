//! The Dockerfiles of an image whose environments are assembled: layers that an engine takes as they are, another way to what
//! the stages of the composed Dockerfile make.

use serde::{Deserialize, Serialize};

use super::split::{self, Line, Split};
use super::{Body, Composed, Draft, Mounts, Source, Stage, generate};
use crate::reference::EnvironmentName;

/// An image whose environments are assembled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assembly {
    /// The Dockerfile whose steps hand the layers over.
    pub layers: Composed,
    /// The Dockerfile of the image that the layers lie on, unless that is the image which the mission extends.
    pub below: Option<Composed>,
    /// The Dockerfile of the image on top of the layers.
    pub above: Composed,
    /// The environments, in the order in which their layers lie.
    pub environments: Vec<EnvironmentName>,
}

/// The environments of a mission that can be assembled, and the Dockerfile that takes them over at its mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) stages: Vec<Stage>,
    pub(super) lines: Vec<Line>,
}

/// What is installed in place, and what has layers of its own.
pub(super) fn in_place_and_own(stages: &[Stage]) -> (Vec<Stage>, Vec<Stage>) {
    stages.iter().cloned().partition(|stage| stage.environment.is_base())
}

/// Composes the Dockerfiles of a mission whose environments are assembled. `None` where no environment is to be, and why not
/// where the mission's own file cannot be divided.
pub fn assembly(
    mission: &str,
    body: &Body,
    trailer: &Source,
    mounts: &Mounts,
) -> Result<Option<Assembly>, &'static str> {
    let parts = match body {
        Body::Generated(stages) => generated(stages),
        Body::Rendered(rendered) => rendered.assembled.clone(),
        Body::Custom(_) | Body::OptedOut(_) => None,
    };
    let Some(Parts { stages, lines }) = parts else {
        return Ok(None);
    };
    if lines.iter().any(|(line, _)| generate::names_stage(line, &stages)) {
        return Err("one of their stages is used by itself");
    }
    let Split { below, above } = split::split(&lines)?;
    let place = body.file();
    let own = body.beginning();
    let below = below.map(|below| {
        let mut draft = Draft::default();
        draft.lines(place, &below);
        draft.put_header(mission, body.described());
        draft.finish(mounts, own)
    });
    let mut draft = Draft::default();
    draft.lines(place, &above);
    draft.put_header(mission, body.described());
    draft.trailer(trailer);
    draft.imprint();
    let above = draft.finish(mounts, own);
    let mut draft = Draft::default();
    draft.own(&generate::assembled(&stages));
    Ok(Some(Assembly {
        layers: draft.finish(mounts, &[]),
        below,
        above,
        environments: stages.into_iter().map(|stage| stage.environment).collect(),
    }))
}

/// The parts of a mission that has no Dockerfile of its own.
fn generated(stages: &[Stage]) -> Option<Parts> {
    let (in_place, own) = in_place_and_own(stages);
    let text = generate::marked(&in_place);
    let lines = text.lines().map(|line| (line.to_owned(), None)).collect();
    (!own.is_empty()).then_some(Parts { stages: own, lines })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::tests::{source, trailer};
    use crate::compose::{Facts, Unbounded, render};

    fn stage(name: &str) -> Stage {
        Stage {
            environment: name.parse().unwrap(),
            files: Vec::new(),
            commands: vec!["make".to_owned()],
            layers: 2,
        }
    }

    fn template(text: &str, frozen: bool) -> Body {
        let facts = Facts {
            mission: "m".to_owned(),
            frozen,
        };
        let source = source("missions/m/Dockerfile.custom.tera", text);
        Body::Rendered(render(&source, &facts, &["base", "cal"].map(stage), &Unbounded).unwrap())
    }

    fn composed(body: &Body) -> Result<Option<Assembly>, &'static str> {
        assembly("m", body, &trailer(), &Mounts::default())
    }

    #[test]
    fn a_template_is_divided_where_it_takes_environments_over_and_says_where_its_lines_are_written() {
        let text = "{{ env_stages }}\nFROM {{ common_image }}\nRUN before\n{{ env_layers }}\nRUN after\n";
        let assembly = composed(&template(text, true)).unwrap().unwrap();
        let below = assembly.below.unwrap();
        assert!(
            !below.text.contains("env-cal") && !below.text.contains("after"),
            "{}",
            below.text
        );
        assert!(below.text.ends_with(" before\n"), "{}", below.text);
        let above = &assembly.above;
        let order = [
            "ARG FLOE_LAYERED\n",
            "FROM ${FLOE_LAYERED}",
            "\nARG USE_FROZEN",
            " make\n",
            " after\n",
            "USER",
        ];
        let at = order.map(|part| {
            above
                .text
                .find(part)
                .unwrap_or_else(|| panic!("{part}: {}", above.text))
        });
        assert!(at.is_sorted(), "{}", above.text);
        let line = above.text.lines().position(|line| line.ends_with(" after")).unwrap();
        assert_eq!(above.place(line + 1).unwrap().line, Some(5));
        assert!(!above.text.contains("before"), "{}", above.text);
        assert!(assembly.layers.text.contains("env-assemble cal --layers 2"));
        assert_eq!(assembly.environments, ["cal".parse().unwrap()]);
    }

    #[test]
    fn what_is_not_made_by_floe_or_not_frozen_is_not_assembled() {
        let whole = "{{ env_stages }}\nFROM {{ common_image }}\n{{ env_layers }}\n";
        assert!(composed(&template(whole, true)).unwrap().is_some());
        assert_eq!(composed(&template(whole, false)), Ok(None));
        assert_eq!(
            composed(&template("FROM {{ common_image }}\nRUN make\n", true)),
            Ok(None)
        );
        assert_eq!(
            composed(&Body::Custom(source("missions/m/Dockerfile.custom", "FROM x\n"))),
            Ok(None)
        );
        assert_eq!(composed(&Body::Generated(vec![stage("base")])), Ok(None));
    }

    #[test]
    fn a_template_that_takes_something_else_from_the_stage_of_an_environment_is_left_to_the_builder() {
        for own in [
            "COPY --from=env-cal /floe/cal/00/ /",
            "FROM env-cal AS mine\nFROM {{ common_image }}",
            "RUN --mount=type=bind,from=ENV-CAL,target=/x cp /x/floe/cal/00/a /",
        ] {
            let text = format!("{{{{ env_stages }}}}\nFROM {{{{ common_image }}}}\n{own}\n{{{{ env_layers }}}}\n");
            assert_eq!(
                composed(&template(&text, true)),
                Err("one of their stages is used by itself")
            );
        }
    }
}
