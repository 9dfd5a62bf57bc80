//! What a container says of the run that it belongs to, by which a later floe knows whether anybody still needs it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::image::label;
use crate::process::Owner;

/// What a container says of the run that it belongs to.
///
/// Values may be longer than the labels of some engines, and hold any character: such an engine keeps them as annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark<'a> {
    /// The run.
    pub run: &'a str,
    /// What is tested or exported.
    pub mission: &'a str,
    /// The process that needs the container.
    pub owner: &'a Owner,
}

impl Mark<'_> {
    /// The labels of a container that is started now.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = [
            (label::RUN, self.run.to_owned()),
            (label::MISSION, self.mission.to_owned()),
            (label::OWNER, self.owner.to_string()),
            (label::STARTED, Timestamp::now().to_string()),
        ];
        labels.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// Whether a container with these labels is of a run whose owner has ended, as far as `asking` can know.
#[must_use]
pub fn is_abandoned(labels: &BTreeMap<String, String>, asking: &Owner) -> bool {
    let owner = labels.get(label::OWNER).and_then(|text| text.parse::<Owner>().ok());
    owner.is_some_and(|owner| asking.knows_end_of(&owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_abandoned_when_its_owner_is_known_to_have_ended() {
        let owner = Owner::current();
        let mut labels = Mark {
            run: "r",
            mission: "m",
            owner: &owner,
        }
        .labels();
        assert!(!is_abandoned(&labels, &owner));
        assert!(!is_abandoned(&BTreeMap::new(), &owner));
        labels.insert(label::OWNER.to_owned(), format!("{owner}1"));
        assert!(is_abandoned(&labels, &owner));
    }
}
