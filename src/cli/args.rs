//! Arguments that several commands share.

pub mod cluster;
pub mod console;
pub mod held;
pub mod machines;
pub mod run;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::output::Manner;
use super::session::Flag;
use crate::quantity::Size;
use crate::reference::MissionName;
use crate::workflow::{Budget, BuildOptions, WorkflowError, Workplace};

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The repository, if it is not the current directory or one above
    #[arg(short = 'C', long, global = true, hide_short_help = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// When to colour the display
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub color: When,
    /// Show what every step of a build prints
    #[arg(short, long, global = true, hide_short_help = true)]
    pub verbose: bool,
    /// Show results, warnings and failures alone
    #[arg(short, long, global = true, hide_short_help = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Build from frozen specs (1) or floating ones (0)
    #[arg(long, global = true, hide_short_help = true, value_name = "0|1")]
    use_frozen: Option<String>,
    /// What the common image extends: an image, or `debian`
    #[arg(long, global = true, hide_short_help = true, value_name = "IMAGE")]
    base_image: Option<String>,
    /// Where images are pushed
    #[arg(long, global = true, hide_short_help = true, value_name = "HOST/PATH")]
    registry: Option<String>,
}

impl Global {
    /// How the call wants things said.
    #[must_use]
    pub fn manner(&self) -> Manner {
        Manner {
            color: self.color,
            quiet: self.quiet,
            verbose: self.verbose,
        }
    }

    /// What the command line sets, by the name of the setting.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<&'static str, String> {
        let flags = [
            ("USE_FROZEN", &self.use_frozen),
            ("BASE_IMAGE", &self.base_image),
            ("REGISTRY", &self.registry),
        ];
        flags
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }
}

/// When to do something that suits a terminal only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people and shells
    Text,
    /// For programs
    Json,
}

/// The missions that a command is for.
#[derive(Debug, Clone, Args)]
pub struct Missions {
    /// The missions; `setup-env` names one otherwise
    #[arg(value_name = "MISSION")]
    pub missions: Vec<String>,
    /// Take all missions
    #[arg(long, conflicts_with = "missions")]
    pub all_missions: bool,
}

impl Missions {
    /// The words of a call for the same missions, with a blank before them.
    #[must_use]
    pub fn words(&self) -> String {
        if self.all_missions {
            return " --all-missions".to_owned();
        }
        self.missions
            .iter()
            .map(|mission| format!(" {mission}"))
            .collect::<Vec<_>>()
            .concat()
    }

    /// The missions that are meant.
    pub fn of(&self, workplace: &Workplace) -> Result<Vec<MissionName>, WorkflowError> {
        workplace.missions(self.all_missions, &self.missions)
    }
}

/// Which images are built, and how.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub missions: Missions,
    /// Build everything again
    #[arg(long)]
    no_cache: bool,
    /// Solve floating specs again: with `USE_FROZEN=0`, build the common image and the missions' without the builder's cache
    #[arg(long)]
    refresh: bool,
    /// Refuse frozen specs whose floating specs have changed since
    #[arg(long)]
    strict: bool,
    /// Refuse an image that is larger, e.g. 8G, and name its largest packages [default: `SIZE_BUDGET`]
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    size_budget: Option<Size>,
    /// Refuse an image that has grown by more since it was built here before, e.g. 200M [default: `GROWTH_BUDGET`]
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    growth_budget: Option<Size>,
}

impl BuildArgs {
    /// How to build.
    #[must_use]
    pub fn options(&self) -> BuildOptions {
        BuildOptions {
            no_cache: self.no_cache,
            refresh: self.refresh,
            strict: self.strict,
            budget: Some(Budget {
                size: self.size_budget,
                growth: self.growth_budget,
            }),
            ..BuildOptions::default()
        }
    }
}

/// What else pushed images are called.
#[derive(Debug, Clone, Args)]
pub struct TagArgs {
    /// Give what is pushed this tag, too; repeat it for more
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

impl TagArgs {
    /// What this sets; nothing, where no tag is named.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let tags = (!self.tags.is_empty()).then(|| ("IMAGE_TAG", self.tags.join(" ")));
        tags.into_iter().collect()
    }
}

/// One stage of a deployment.
#[derive(Debug, Clone, Args)]
pub struct OneStage {
    /// The deployment: a directory below `deployments/`
    pub deployment: String,
    /// The stage, as its `deployment.yml` calls it
    pub stage: String,
}
