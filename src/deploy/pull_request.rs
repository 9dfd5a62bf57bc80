//! The text of a pull request: what changes, what was tested and checked, and what a person still has to look at.

use std::fmt::Write as _;

use super::checked::Checked;
use super::promotion::{Cause, Promotion};
use crate::deployment::{Deployment, Held, Stage, StageName};

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
    /// The stage before, and what its check said.
    pub checked: Option<(&'a StageName, &'a Checked)>,
}

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
        if let Some((stage, checked)) = self.checked {
            let _ = writeln!(text, "\n## Checked on {stage}\n");
            for test in &checked.tests {
                let _ = writeln!(text, "- [x] {}", test.name);
            }
        }
        let _ = writeln!(text, "\n## Before this is merged\n");
        for (done, item) in self.checklist() {
            let _ = writeln!(text, "- [{}] {item}", if done { 'x' } else { ' ' });
        }
        text
    }

    fn checklist(&self) -> Vec<(bool, String)> {
        let mut items = vec![
            (
                true,
                "the image is in its registry, by the digest that the file names".to_owned(),
            ),
            (true, "the image is not recalled".to_owned()),
        ];
        if let Some((stage, _)) = self.checked {
            items.push((true, format!("{stage} runs exactly this image, and its check passed")));
        }
        if self.stage.guard.is_some() {
            let (deployment, stage) = (&self.deployment.name, &self.stage.name);
            items.push((
                false,
                format!("floe deploy {deployment} {stage} --plan: it replaces no guarded resource"),
            ));
        }
        if self.stage.protected {
            items.push((false, "users know when it happens, and somebody watches it".to_owned()));
        }
        let (deployment, stage) = (&self.deployment.name, &self.stage.name);
        let after = match self.cause {
            Cause::Promote => {
                format!("afterwards: floe wait {deployment} {stage}, floe check {deployment} {stage}")
            }
            Cause::RollBack => {
                "afterwards: what was wrong is written down, and the image recalled if nobody should run it".to_owned()
            }
        };
        items.push((false, after));
        items
    }
}
