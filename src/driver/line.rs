//! Lines for the shell, run at the root of the repository, with the stage and its image in the environment.

use std::process::Command;
use std::time::Duration;

use super::{DriverError, Live, Scene, failure};
use crate::process;
use crate::reference::Digest;

/// How long a line may take that only tells something.
pub const STATUS_TIMEOUT: Duration = Duration::from_mins(2);

/// How long a plan may take.
pub const PLAN_TIMEOUT: Duration = Duration::from_mins(30);

/// A line for the shell, as a command. It sees `FLOE_DEPLOYMENT`, `FLOE_STAGE`, and, where they are known, `FLOE_IMAGE`,
/// `FLOE_DIGEST` and `FLOE_URL`.
#[must_use]
pub fn line(scene: &Scene<'_>, text: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", text]).current_dir(scene.root);
    let image = scene.image;
    let url = scene.stage.check.as_ref().and_then(|check| check.url.clone());
    let variables = [
        ("FLOE_DEPLOYMENT", Some(scene.deployment.name.to_string())),
        ("FLOE_STAGE", Some(scene.stage.name.to_string())),
        ("FLOE_IMAGE", image.map(crate::deployment::Held::reference)),
        (
            "FLOE_DIGEST",
            image.and_then(|image| Some(image.digest.as_ref()?.to_string())),
        ),
        ("FLOE_URL", url),
    ];
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// What a line that only tells something prints on standard output; `what` is the step that it is, for messages.
pub async fn printed(
    scene: &Scene<'_>,
    text: &str,
    what: &'static str,
    limit: Duration,
) -> Result<String, DriverError> {
    told(line(scene, text), what, limit).await
}

/// The same of a command.
pub(super) async fn told(command: Command, what: &'static str, limit: Duration) -> Result<String, DriverError> {
    let said = process::said(command, limit).await?;
    if said.timed_out {
        return Err(DriverError::Slow { what, limit });
    }
    let results = String::from_utf8_lossy(&said.results).into_owned();
    // A program that says nothing on standard error may have said it on the other.
    let words = if said.words.trim().is_empty() {
        &results
    } else {
        &said.words
    };
    failure::of(what, said.exit, words)?;
    Ok(results)
}

pub(super) async fn plan(scene: &Scene<'_>, text: &str) -> Result<String, DriverError> {
    printed(scene, text, "plan", PLAN_TIMEOUT).await
}

/// The image that a status line prints: its last line, a reference or a digest alone. Nothing printed: nothing runs.
pub(super) async fn live(scene: &Scene<'_>, text: &str) -> Result<Live, DriverError> {
    named(&printed(scene, text, "status", STATUS_TIMEOUT).await?)
}

fn named(results: &str) -> Result<Live, DriverError> {
    let last = results.lines().map(str::trim).rfind(|line| !line.is_empty());
    let Some(image) = last else {
        return Ok(Live::Nothing);
    };
    if image.contains(char::is_whitespace) {
        return Err(DriverError::Unclear {
            what: "status",
            reason: format!("{image:?} is no image"),
        });
    }
    let digest = image.rsplit('@').next().unwrap_or(image).parse::<Digest>().ok();
    Ok(Live::Runs {
        image: image.to_owned(),
        digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_status_is_the_image() {
        let hex = "a".repeat(64);
        for text in [
            format!("note\nregistry.example.org/hub/one:1@sha256:{hex}\n\n"),
            format!("sha256:{hex}"),
        ] {
            assert!(
                named(&text).unwrap().is(&format!("sha256:{hex}").parse().unwrap()),
                "{text}"
            );
        }
        assert_eq!(named(" \n").unwrap(), Live::Nothing);
        assert!(matches!(named("hub/one:1").unwrap(), Live::Runs { digest: None, .. }));
        assert!(named("no resources found").is_err());
    }
}
