//! The text of a pull request: what changes, what was tested and checked, and what a person still has to look at.

use std::fmt::Write as _;

use super::checked::Checked;
use super::promotion::{Cause, Promotion};
use crate::deployment::{Deployment, Held, Stage};
use crate::reference::StageName;
use crate::sbom::Difference;

/// What the text of a pull request is made from.
pub struct PullRequest<'a> {
    /// The deployment.
    pub deployment: &'a Deployment,
    /// The stage that changes.
    pub stage: &'a Stage,
    /// The change.
    pub promotion: &'a Promotion,
    /// Why it is made.
    pub cause: Cause,
    /// What is known of the image.
    pub image: Known,
    /// The stage before, and what its check said.
    pub checked: Option<(&'a StageName, &'a Checked)>,
}

/// What the registry says of an image and of the one before it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// How many tests it passed, and the run that they were of.
    pub tested: Option<(usize, String)>,
    /// The fingerprint of the key that signed that.
    pub signer: Option<String>,
    /// The bytes of its layers, before and now.
    pub size: (Option<u64>, Option<u64>),
    /// The packages that differ; `None` if one of the two images has no bill of materials.
    pub packages: Option<Vec<Difference>>,
}

/// More packages than these are counted.
const MOST_PACKAGES: usize = 200;

impl PullRequest<'_> {
    /// The text, in Markdown.
    #[must_use]
    pub fn text(&self) -> String {
        let promotion = self.promotion;
        let subject = promotion.message.lines().next().unwrap_or_default();
        let target = &promotion.target;
        let before = promotion
            .before
            .as_ref()
            .map_or_else(|| "none".to_owned(), Held::reference);
        let mut text = format!("# {subject}\n\n");
        let _ = writeln!(text, "| | |\n|---|---|");
        let _ = writeln!(text, "| image | `{}@{}` |", target.tag, target.digest);
        let _ = writeln!(text, "| before | `{before}` |");
        let _ = writeln!(text, "| file | `{}` |", promotion.path.display());
        let size = |bytes: Option<u64>| bytes.map_or_else(|| "not known".to_owned(), megabytes);
        let (before, now) = self.image.size;
        let _ = writeln!(text, "| size | {}, before {} |", size(now), size(before));
        if let Some((tests, run)) = &self.image.tested {
            let signer = self.image.signer.as_ref().map(|key| format!(", signed by {key}"));
            let _ = writeln!(
                text,
                "| tests | {tests} passed in run {run}{} |",
                signer.unwrap_or_default()
            );
        }
        text.push_str(&self.packages());
        if let Some((stage, checked)) = self.checked {
            let _ = writeln!(text, "\n## Checked on {stage}\n");
            for test in &checked.tests {
                let _ = writeln!(text, "- [x] {}", test.name);
            }
            for untested in &checked.untested {
                let _ = writeln!(text, "- [ ] {untested}");
            }
        }
        let _ = writeln!(text, "\n## Before this is merged\n");
        for (done, item) in self.checklist() {
            let _ = writeln!(text, "- [{}] {item}", if done { 'x' } else { ' ' });
        }
        text
    }

    fn packages(&self) -> String {
        let mut text = String::from("\n## Packages\n\n");
        let Some(packages) = &self.image.packages else {
            text.push_str("Not known: one of the two images has no bill of materials in its registry.\n");
            return text;
        };
        if packages.is_empty() {
            text.push_str("None differs.\n");
            return text;
        }
        text.push_str("| package | before | now |\n|---|---|---|\n");
        let versions = |versions: &[String]| {
            if versions.is_empty() {
                "-".to_owned()
            } else {
                versions.join(", ")
            }
        };
        for it in packages.iter().take(MOST_PACKAGES) {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                it.package,
                versions(&it.before),
                versions(&it.now)
            );
        }
        if let Some(more) = packages.len().checked_sub(MOST_PACKAGES).filter(|more| *more > 0) {
            let _ = writeln!(text, "\nand {more} more.");
        }
        text
    }

    fn checklist(&self) -> Vec<(bool, String)> {
        let mut items = vec![
            (
                true,
                "the image is in its registry, by the digest that the file names".to_owned(),
            ),
            (true, "it passed its tests, by the evidence there".to_owned()),
            (true, "it is not recalled".to_owned()),
        ];
        if let Some((stage, _)) = self.checked {
            items.push((true, format!("{stage} runs exactly this image, and its check passed")));
        }
        if self.stage.guard.is_some() {
            let (deployment, stage) = (&self.deployment.name, &self.stage.name);
            items.push((
                false,
                format!("`floe deploy {deployment} {stage} --plan` replaces no guarded resource"),
            ));
        }
        if self.stage.protected {
            items.push((false, "users know when it happens, and somebody watches it".to_owned()));
        }
        let (deployment, stage) = (&self.deployment.name, &self.stage.name);
        let after = match self.cause {
            Cause::Promote => {
                format!("afterwards: `floe wait {deployment} {stage}` and `floe check {deployment} {stage}`")
            }
            Cause::RollBack => {
                "afterwards: what was wrong is written down, and the image recalled if nobody should run it".to_owned()
            }
        };
        items.push((false, after));
        items
    }
}

/// An amount of bytes, as registries count: in millions.
fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}
