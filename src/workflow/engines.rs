//! Tests on several engines: which of them answer, and the image on each.

use std::collections::BTreeMap;
use std::iter::zip;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::join_all;

use super::cluster::{self, Candidate};
use super::{WorkflowError, Workplace};
use crate::builder::Built;
use crate::engine::{Engine, EngineError, EngineName, Member};
use crate::event::{Event, Sink};
use crate::fault::{Explained as _, Kind};
use crate::reference::MissionName;
use crate::trial::Spread;

/// How many containers an engine runs at a time, unless told otherwise: tests in one share the machine already.
const AT_ONCE: NonZeroUsize = NonZeroUsize::MIN;

/// Engines that run tests beside each other.
#[derive(Debug, Clone)]
pub struct OnEngines {
    /// The engines, of which one that does not answer is left out.
    pub engines: Vec<EngineName>,
    /// How many shards the tests that share a container are divided into; as many as engines answer, if `None`.
    pub shards: Option<NonZeroUsize>,
    /// How many containers each engine runs at a time; one, if `None`.
    pub at_once: Option<NonZeroUsize>,
}

/// Connects to the engines, and has the image on each. Returns at least one; of those that are left out a warning tells why.
pub(super) async fn ready(
    workplace: &Workplace,
    mission: &MissionName,
    image: &Built,
    on: &OnEngines,
) -> Result<(Vec<Member>, Spread), WorkflowError> {
    let mut standing = Standing {
        display: workplace.display(),
        members: BTreeMap::new(),
        last: None,
    };
    let engines = join_all(on.engines.iter().map(|name| connected(workplace, name, image))).await;
    let mut lacking = Vec::new();
    for (index, (name, connected)) in on.engines.iter().zip(engines).enumerate() {
        match standing.kept(name, connected)? {
            Some((engine, true)) => standing.add(index, name, engine, image.id.to_string()),
            Some((engine, false)) => lacking.push((index, name, engine)),
            None => {}
        }
    }
    if !lacking.is_empty() {
        let candidate = cluster::candidate(workplace, mission, image).await?;
        let pulls = lacking
            .iter()
            .map(|(_, _, engine)| pulled(engine.as_ref(), &candidate, &standing.display));
        for ((index, name, engine), pulled) in zip(&lacking, join_all(pulls).await) {
            if standing.kept(name, pulled)?.is_some() {
                standing.add(*index, name, engine.clone(), candidate.image.to_string());
            }
        }
    }
    let members = standing.members.into_values().collect::<Vec<_>>();
    if let Some(error) = standing.last
        && members.is_empty()
    {
        return Err(error.into());
    }
    let spread = Spread {
        image: image.id.to_string(),
        agent: None,
        at_once: Some(on.at_once.unwrap_or(AT_ONCE)),
        keeps_files: true,
        machines: members.iter().map(|member| member.name().to_owned()).collect(),
        since: None,
    };
    Ok((members, spread))
}

/// The engines as they come to be ready.
struct Standing {
    display: Arc<dyn Sink>,
    /// Those that are, by their place in what people named.
    members: BTreeMap<usize, Member>,
    /// Why the last one was left out.
    last: Option<EngineError>,
}

impl Standing {
    fn add(&mut self, index: usize, name: &EngineName, engine: Arc<dyn Engine>, image: String) {
        self.members.insert(index, Member::new(name.to_string(), engine, image));
    }

    /// What was tried with an engine, where it did not fail. A name that makes no sense is mended by nobody's waiting.
    fn kept<T>(&mut self, name: &EngineName, tried: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
        match tried {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == Kind::Invalid => Err(error),
            Err(error) => {
                let text = format!("no test runs at {name}: {error}");
                self.display.emit(Event::Warning { text });
                self.last = Some(error);
                Ok(None)
            }
        }
    }
}

/// An engine, and whether it has the image.
async fn connected(
    workplace: &Workplace,
    name: &EngineName,
    image: &Built,
) -> Result<(Arc<dyn Engine>, bool), EngineError> {
    let engine = match name {
        EngineName::Own => {
            let own = workplace.connected.get_or_try_init(|| workplace.connect.connect());
            own.await?.clone()
        }
        other => workplace.connect.engine(other).await?,
    };
    let has = engine.image(image.id.as_str()).await?.is_some();
    Ok((engine, has))
}

/// Has an engine pull the image, unless it did before.
async fn pulled(engine: &dyn Engine, candidate: &Candidate, display: &Arc<dyn Sink>) -> Result<(), EngineError> {
    let image = &candidate.image;
    if engine.image(image.as_str()).await?.is_none() {
        let credentials = candidate.credentials.clone();
        engine.pull(image, credentials, display.as_ref()).await?;
    }
    Ok(())
}
