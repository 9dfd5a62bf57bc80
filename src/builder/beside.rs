//! Images of several missions, built beside each other.

use std::num::NonZeroUsize;

use futures_util::{StreamExt as _, stream};

use super::{BuildError, Built};
use crate::event::{Event, Sink};
use crate::reference::Role;

/// How images of several missions are built.
#[derive(Debug, Clone, Copy, Default)]
pub struct Several {
    /// How many at a time; one, where it does not say.
    pub at_once: Option<NonZeroUsize>,
    /// Whether the first that fails ends all others.
    pub fail_fast: bool,
}

impl Several {
    /// What becomes of all when one of so many fails: nothing, after it was told, or they end with its error.
    pub(crate) fn passes_over(
        self,
        all: usize,
        role: &Role,
        error: BuildError,
        events: &dyn Sink,
    ) -> Result<BuildError, BuildError> {
        if self.fail_fast || all == 1 {
            return Err(error);
        }
        events.emit(Event::ImageFailed {
            image: role.to_string(),
            error: error.to_string(),
        });
        Ok(error)
    }
}

/// Carries out attempts to build images, so many at a time; returns what was built in the order of the attempts. One that fails
/// does not end the others, unless that is wished. Of several, each that fails is told when it does; so many more have
/// failed before any was begun.
pub(super) async fn beside<'a, F>(
    attempts: impl ExactSizeIterator<Item = F>,
    (several, failed_before): (Several, usize),
    events: &dyn Sink,
) -> Result<Vec<Built>, BuildError>
where
    F: Future<Output = (&'a Role, Result<Built, BuildError>)>,
{
    let all = attempts.len() + failed_before;
    let at_once = several.at_once.map_or(1, NonZeroUsize::get);
    let numbered = attempts
        .enumerate()
        .map(|(index, attempt)| async move { (index, attempt.await) });
    let mut ended = stream::iter(numbered).buffer_unordered(at_once);
    let (mut built, mut failed) = (Vec::new(), Vec::new());
    while let Some((index, (role, result))) = ended.next().await {
        let error = match result {
            Ok(image) => {
                built.push((index, image));
                continue;
            }
            Err(error) => error,
        };
        let error = several.passes_over(all, role, error, events)?;
        failed.push((index, role.clone(), error));
    }
    if failed.is_empty() {
        built.sort_by_key(|(index, _)| *index);
        return Ok(built.into_iter().map(|(_, image)| image).collect());
    }
    failed.sort_by_key(|(index, ..)| *index);
    Err(BuildError::Several {
        all,
        failed: failed.into_iter().map(|(_, role, error)| (role, error)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::EngineError;
    use crate::event::Memory;
    use crate::fault::{Explained as _, Kind, Trouble};
    use crate::reference::{Digest, ImageTag};

    /// Attempts at images of these missions, of which those with a mark fail: `!` for good, `?` for now. Returns the result, what
    /// was told, and how many were under way at once.
    async fn attempted(missions: &[&str], several: Several) -> (Result<Vec<Built>, BuildError>, Vec<Event>, usize) {
        let roles = missions.iter().map(|mission| {
            let name = mission.trim_end_matches(['!', '?']);
            Role::Mission(name.parse().unwrap())
        });
        let roles = roles.collect::<Vec<_>>();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let attempts = missions.iter().zip(&roles).map(|(mission, role)| {
            let (now, most) = (&now, &most);
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::Relaxed);
                let failed = |trouble| {
                    Err(BuildError::from(EngineError::Request {
                        action: format!("build {role}"),
                        reason: "odd".to_owned(),
                        trouble,
                    }))
                };
                let result = match mission.chars().last() {
                    Some('!') => failed(Trouble::Request),
                    Some('?') => failed(Trouble::Lost),
                    _ => Ok(Built {
                        role: role.clone(),
                        reference: ImageTag::local("x", "1"),
                        id: Digest::of(mission.as_bytes()),
                        fresh: true,
                    }),
                };
                (role, result)
            }
        });
        let events = Memory::default();
        let result = beside(attempts, (several, 0), &events).await;
        (result, events.events(), most.into_inner())
    }

    fn at_once(number: usize) -> Several {
        Several {
            at_once: NonZeroUsize::new(number),
            fail_fast: false,
        }
    }

    #[tokio::test]
    async fn so_many_are_under_way_at_once_and_what_is_built_keeps_its_order() {
        for (number, most) in [(0, 1), (2, 2), (9, 4)] {
            let (built, _, seen) = attempted(&["a", "b", "c", "d"], at_once(number)).await;
            let built = built.unwrap();
            let names = built.iter().map(|image| image.role.to_string()).collect::<Vec<_>>();
            assert_eq!(names, ["mission a", "mission b", "mission c", "mission d"]);
            assert_eq!(seen, most);
        }
    }

    #[tokio::test]
    async fn one_that_fails_is_told_and_leaves_the_others_unless_that_is_not_wished() {
        let (result, told, _) = attempted(&["a?", "b", "c!"], at_once(1)).await;
        let error = result.unwrap_err();
        assert_eq!(error.to_string(), "2 of 3 images were not built: mission a, mission c");
        assert_ne!(error.kind(), Kind::Temporary, "another attempt would not help");
        let told = told.into_iter().map(|event| match event {
            Event::ImageFailed { image, error } => (image, error.contains("odd")),
            event => panic!("{event:?}"),
        });
        let both = ["mission a", "mission c"].map(|image| (image.to_owned(), true));
        assert_eq!(told.collect::<Vec<_>>(), both);

        let (result, ..) = attempted(&["a?", "b", "c?"], at_once(1)).await;
        assert_eq!(result.unwrap_err().kind(), Kind::Temporary);

        let hasty = Several {
            fail_fast: true,
            ..at_once(1)
        };
        let (result, told, _) = attempted(&["a!", "b"], hasty).await;
        assert!(matches!(result, Err(BuildError::Engine { .. })));
        assert_eq!(told.len(), 0);
    }
}
