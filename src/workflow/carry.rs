//! Tests that need not run again, since all that they rest on is that of an earlier run which they passed in.
//!
//! What tests of an environment rest on is the common image and the environment's own layers, by their digests; what lies on top
//! of the environments, by the Dockerfile and the files that it is made of; the image's variables; and how tests are run. Other
//! environments do not count: what tests of one can see of another is no part of it. What the steps of a Dockerfile fetch anew
//! is not known here, which is one reason why results are carried for a time only.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Asked, Choice, WorkflowError, Workplace};
use crate::engine::Image;
use crate::event::{TestFinished, Verdict};
use crate::image::layer::{self, environment_of};
use crate::plan::ImagePlan;
use crate::reference::{Digest, EnvironmentName, Hasher, Role, TestId};
use crate::run::history;
use crate::suite::Mode;
use crate::suite::options::RunOptions;

/// What is known of tests before they run.
#[derive(Debug, Default)]
pub(super) struct Carry {
    /// What the tests of each environment rest on, where that is known.
    pub(super) grounds: BTreeMap<String, Digest>,
    /// The tests that need not run again.
    pub(super) tests: Vec<TestFinished>,
}

/// What the chosen tests rest on, and which of them passed before and need not run again.
///
/// Tests are carried where all are asked for. None are where the mission's own script starts them: what that does besides is not
/// known.
pub(super) async fn carry(
    workplace: &Workplace,
    choice: &Choice,
    image: &Image,
    asked: &Asked,
) -> Result<Carry, WorkflowError> {
    let grounds = grounds(workplace, choice, image, asked).await?;
    let limit = workplace
        .settings
        .carry
        .filter(|_| asked.is_complete() && !asked.all_tests);
    let Some(limit) = limit.and_then(|limit| SignedDuration::try_from(limit.0).ok()) else {
        return Ok(Carry {
            grounds,
            tests: Vec::new(),
        });
    };
    let tests = of_environments(&choice.all);
    let since = Timestamp::now().checked_sub(limit).unwrap_or(Timestamp::MIN);
    let passed = history::passed(&workplace.state, &choice.mission, &grounds, &tests, since)?;
    let defined = choice.defined.tests().iter();
    let carried = defined.filter_map(|test| {
        let run = passed.get(test.environment.as_str())?;
        let verdict = match &test.mode {
            Mode::Skipped { reason } => Verdict::Skipped { reason: reason.clone() },
            _ => Verdict::Passed,
        };
        Some(TestFinished {
            carried: Some(run.clone()),
            ..TestFinished::new(test.id(), verdict)
        })
    });
    Ok(Carry {
        tests: carried.collect(),
        grounds,
    })
}

/// The tests of each environment.
fn of_environments(all: &[TestId]) -> BTreeMap<String, BTreeSet<TestId>> {
    let mut tests = BTreeMap::<String, BTreeSet<TestId>>::new();
    for id in all.iter().filter(|id| id.is_of(&id.owner) && id.mission().is_none()) {
        tests.entry(id.owner.clone()).or_default().insert(id.clone());
    }
    tests
}

/// What the tests of each environment rest on, where that is known. It is not where the mission's own script starts them.
pub(super) async fn grounds(
    workplace: &Workplace,
    choice: &Choice,
    image: &Image,
    asked: &Asked,
) -> Result<BTreeMap<String, Digest>, WorkflowError> {
    if choice.script {
        return Ok(BTreeMap::new());
    }
    let layers = workplace.engine().await?.layers(image).await?;
    let holders = layers.iter().map(|layer| Holder::of(&layer.made));
    let holders = holders.collect::<Vec<_>>();
    let plan = workplace.plan(std::slice::from_ref(&choice.mission))?;
    let role = Role::Mission(choice.mission.clone());
    let (Some(plan), true) = (
        plan.images.iter().find(|image| image.role == role),
        holders.len() == image.layers.len(),
    ) else {
        return Ok(BTreeMap::new());
    };
    let run = how(workplace, asked);
    let environments = of_environments(&choice.all).into_keys();
    let names = environments.filter_map(|name| name.parse::<EnvironmentName>().ok());
    let grounds = names.filter_map(|name| {
        let ground = ground(&name, image, &holders, plan, &run)?;
        Some((name.to_string(), ground))
    });
    Ok(grounds.collect())
}

/// How tests are run, as far as it decides how they end.
fn how(workplace: &Workplace, asked: &Asked) -> String {
    let options = RunOptions {
        jobs: None,
        fail_fast: false,
        slow: None,
        run_timeout: None,
        ..asked.options.over(&workplace.settings.run)
    };
    // It holds strings and numbers only: serialization cannot fail.
    let options = serde_json::to_string(&options).unwrap_or_default();
    format!("{options} {:?}", workplace.settings.container_memory)
}

/// Whose a layer is.
#[derive(PartialEq, Eq)]
enum Holder {
    Environment(EnvironmentName),
    /// It holds floe's own program, which all environments are run by.
    Program,
    /// The image's, below or above all environments.
    Image,
}

impl Holder {
    /// Whose a layer is, by what the history says that made it.
    fn of(made: &str) -> Self {
        match environment_of(made) {
            Some(environment) => Self::Environment(environment),
            None if made == layer::PROGRAM => Self::Program,
            None => Self::Image,
        }
    }
}

/// The digest of what the tests of an environment rest on; `None` where the image does not say which layers are its own.
fn ground(
    environment: &EnvironmentName,
    image: &Image,
    holders: &[Holder],
    plan: &ImagePlan,
    run: &str,
) -> Option<Digest> {
    let first = holders
        .iter()
        .position(|holder| matches!(holder, Holder::Environment(_)))?;
    let own = |holder: &Holder| matches!(holder, Holder::Environment(name) if name == environment);
    if !environment.is_base() && !holders.iter().any(own) {
        return None;
    }
    let mut hasher = Hasher::default();
    hasher.part("floe", env!("CARGO_PKG_VERSION").as_bytes());
    hasher.part("platform", format!("{} {}", image.os, image.architecture).as_bytes());
    hasher.part("user", image.user.as_bytes());
    hasher.part("entrypoint", image.entrypoint.join("\0").as_bytes());
    for (name, value) in &image.variables {
        hasher.part(name, value.as_bytes());
    }
    let layers = image.layers.iter().zip(holders).enumerate();
    let counts = |index: usize, holder: &Holder| index < first || own(holder) || *holder == Holder::Program;
    for (_, (layer, _)) in layers.filter(|(index, (_, holder))| counts(*index, holder)) {
        hasher.part("layer", layer.as_str().as_bytes());
    }
    hasher.part("surroundings", plan.surroundings(environment).as_str().as_bytes());
    hasher.part("run", run.as_bytes());
    Some(hasher.finish())
}
