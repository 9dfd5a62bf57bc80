//! Pushing: an image goes to its registry only with evidence for exactly that image, what arrived is looked at, and the
//! evidence is attached to it there.

mod candidate;
mod error;
mod shipping;

use std::path::Path;
use std::time::Duration;

use crate::attest::{self, Evidence};
use crate::dsse::SigningKey;
use crate::engine::{Credentials, Images};
use crate::event::{Event, Sink};
use crate::fault::{Explained as _, Kind};
use crate::layers::Packing;
use crate::reference::{Digest, ImageTag, OwnTag, Role};
use crate::registry::{Destination, RegistryError};
use crate::run::evidence::{Demand, Statement};
use crate::state::State;

pub use self::candidate::{Candidate, agent, candidate};
pub use self::error::PublishError;

/// What to push where.
pub struct Request<'a> {
    /// What the image is.
    pub role: &'a Role,
    /// The image's ID.
    pub id: &'a Digest,
    /// What the image must have passed.
    pub demand: &'a Demand,
    /// Where it goes.
    pub target: ImageTag,
    /// What else it is called there, once its evidence is attached to it.
    pub tags: &'a [OwnTag],
    /// Credentials for the registry.
    pub credentials: Option<Credentials>,
    /// What it holds, as SPDX, if that is to be attached to it.
    pub sbom: Option<&'a [u8]>,
    /// What signs the evidence that is attached to it.
    pub key: Option<&'a SigningKey>,
    /// How floe pushes its layers; without it the engine does.
    pub packing: Option<&'a Packing>,
    /// floe's own program, which reads layers where the engine keeps them.
    pub agent: &'a Path,
    /// How long to wait before each new try of a push that failed for a reason that may pass; [`PAUSES`] for people.
    pub pauses: &'a [Duration],
}

/// How long to wait before each new try of a push that failed for a reason that may pass. What has arrived is not sent
/// again.
pub const PAUSES: &[Duration] = &[Duration::from_secs(2), Duration::from_secs(8)];

/// An image in its registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The digest of the manifest, by which it is pulled.
    pub digest: Digest,
    /// Whether it had to be sent; otherwise it was there already.
    pub sent: bool,
    /// How many pieces of evidence had to be attached to it.
    pub attached: usize,
    /// The tags that name it beside its immutable one.
    pub tags: Vec<Tagged>,
}

/// A tag of somebody's own that names an image in its registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: OwnTag,
    /// What it named before, if that was another image.
    pub moved: Option<Digest>,
}

/// The evidence that the image `id` passed what `demand` asks for.
pub fn evidence(role: &Role, id: &Digest, demand: &Demand, state: &State) -> Result<Statement, PublishError> {
    let statement = Statement::read(&state.evidence(id))?;
    let (role, id) = (role.clone(), id.clone());
    let Some(statement) = statement.filter(|statement| statement.covers(&id)) else {
        return Err(PublishError::Untested { role, id });
    };
    if !statement.rests_on(&demand.definitions) {
        return Err(PublishError::Redefined { role, id });
    }
    let tests = statement.lacks(&demand.tests);
    if tests.is_empty() {
        Ok(statement)
    } else {
        Err(PublishError::Lacking { role, id, tests })
    }
}

/// Pushes an image that has evidence, unless the registry holds it already.
pub async fn publish(
    request: Request<'_>,
    images: &dyn Images,
    registry: &dyn Destination,
    state: &State,
    events: &dyn Sink,
) -> Result<Published, PublishError> {
    let statement = evidence(request.role, request.id, request.demand, state)?;
    let (digest, sent) = arrived(&request.shipment(), images, registry, events).await?;
    let ImageTag { repository, .. } = &request.target;
    let statement = statement.pushed_as(repository, &digest);
    let evidence = Evidence {
        statement: Some(&statement),
        sbom: request.sbom,
        key: request.key,
    };
    let image = request.target.reference().beside(&format!("@{digest}"));
    let attached = match attest::attach(registry, &image, &evidence).await {
        Ok(attached) => attached,
        Err(error) => passed_over(error, request.key.is_some(), events)?,
    };
    let mut tags = Vec::new();
    for tag in request.tags {
        let before = registry.tag(&image, tag.as_str()).await?;
        let moved = before.filter(|before| *before != digest);
        tags.push(Tagged {
            tag: tag.clone(),
            moved,
        });
    }
    Ok(Published {
        digest,
        sent,
        attached,
        tags,
    })
}

/// An image on its way to a registry.
struct Shipment<'a> {
    /// The image's ID.
    id: &'a Digest,
    /// Where it goes.
    target: &'a ImageTag,
    /// Credentials for the registry.
    credentials: Option<&'a Credentials>,
    /// How floe pushes its layers; without it the engine does.
    packing: Option<&'a Packing>,
    /// floe's own program, which reads layers where the engine keeps them.
    agent: &'a Path,
    /// How long to wait before each new try.
    pauses: &'a [Duration],
}

impl Request<'_> {
    fn shipment(&self) -> Shipment<'_> {
        Shipment {
            id: self.id,
            target: &self.target,
            credentials: self.credentials.as_ref(),
            packing: self.packing,
            agent: self.agent,
            pauses: self.pauses,
        }
    }
}

/// Has the image in its registry. Returns its digest there, and whether it had to be sent.
async fn arrived(
    shipment: &Shipment<'_>,
    images: &dyn Images,
    registry: &dyn Destination,
    events: &dyn Sink,
) -> Result<(Digest, bool), PublishError> {
    let Shipment { id, target, .. } = shipment;
    let named = target.reference();
    match registry.manifest(&named).await? {
        Some(held) if held.is(id) => return Ok((held.digest, false)),
        Some(held) => {
            return Err(PublishError::Taken {
                target: (*target).clone(),
                found: held.config,
            });
        }
        None => {}
    }
    let mut pauses = shipment.pauses.iter();
    let digest = loop {
        // The tag is given to the ID that has evidence at the last moment, whatever other tags have done meanwhile.
        images.tag(id, target).await?;
        match sent(shipment, images, registry, events).await {
            Ok(digest) => break digest,
            Err(error) => match pauses.next().filter(|_| error.is_temporary()) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(error),
            },
        }
    };
    match registry.manifest(&named).await? {
        Some(held) if held.is(id) && held.digest == digest => Ok((digest, true)),
        other => Err(PublishError::Mismatch {
            target: (*target).clone(),
            found: other.map_or_else(|| "nothing".to_owned(), |held| held.config.to_string()),
            id: (*id).clone(),
        }),
    }
}

/// Sends the image, by floe or else by the engine.
async fn sent(
    shipment: &Shipment<'_>,
    images: &dyn Images,
    registry: &dyn Destination,
    events: &dyn Sink,
) -> Result<Digest, PublishError> {
    if let Some(digest) = shipping::ship(shipment, images, registry, events).await? {
        return Ok(digest);
    }
    let pushed = images.push(shipment.target, shipment.credentials.cloned(), events);
    Ok(pushed.await?)
}

/// A registry that takes images and no evidence of them is good enough for a site that does not sign any: it is told, and
/// nothing is attached.
fn passed_over(error: RegistryError, required: bool, events: &dyn Sink) -> Result<usize, RegistryError> {
    if required || error.kind() != Kind::Refused {
        return Err(error);
    }
    let text = format!("the image is pushed, but its evidence is not attached to it: {error}");
    events.emit(Event::Warning { text });
    Ok(0)
}

#[cfg(test)]
mod tests;
