//! `floe deploy`: the driver's apply, after every gate.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::{Global, OneStage};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::questions;
use crate::cli::session::Session;
use crate::fault::Explained as _;
use crate::quantity::{self, Limit};
use crate::workflow::{self, Deployed, Unchanged, WaitOptions};

/// Deploy a stage by its driver, if every gate lets it pass
///
/// Compared first is the account in use with the stage's own. The stage's files must be committed and checked out, and its
/// image pinned by a digest, in its registry and not recalled. What the driver would replace among the guarded resources needs
/// --supervised.
#[derive(Debug, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    stage: OneStage,
    /// Show what it would change, and what of that is guarded; change nothing
    #[arg(long, conflicts_with_all = ["supervised", "confirm"])]
    plan: bool,
    /// Somebody watches while guarded resources are replaced
    #[arg(long)]
    supervised: bool,
    /// The name of the stage, where it is protected and nobody can be asked
    #[arg(long, value_name = "STAGE")]
    confirm: Option<String>,
    /// How long to wait for a reconciler; other drivers have limits of their own
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = quantity::parsed::<Limit>)]
    timeout: Limit,
}

/// Deploys, or shows what that would do.
pub async fn execute(global: &Global, args: &DeployArgs) -> Result<(), Failure> {
    let session = Session::open_deployments(global, &[])?;
    let (workplace, interrupts) = (&session.workplace, &session.interrupts);
    let OneStage { deployment, stage } = &args.stage;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    if args.plan {
        let unchanged = workflow::unchanged(workplace, interrupts, deployment, stage, runtime).await?;
        return show(deployment, stage, &unchanged);
    }
    let ready = workflow::ready(workplace, interrupts, deployment, stage, args.supervised, runtime).await?;
    let image = ready.image();
    let typed = match &args.confirm {
        None if ready.is_protected() => {
            let question = format!("{deployment} {stage} is protected. To deploy {image}, type the name of the stage:");
            questions::ask(&question, interrupts).await?.text()
        }
        confirm => confirm.clone(),
    };
    let options = WaitOptions { limit: args.timeout.0 };
    let deployed = ready.deploy(typed.as_deref(), options).await?;
    told(deployment, stage, &deployed);
    Ok(())
}

fn told(deployment: &str, stage: &str, deployed: &Deployed) {
    match &deployed.reconciled {
        Some(waited) => {
            output::tell("a reconciler deploys what origin holds: floe changed nothing");
            super::wait::say(deployment, stage, waited);
        }
        None => output::tell(&format!("{deployment} {stage}: deployed {}", deployed.image)),
    }
    if !deployed.guarded.is_empty() {
        for guarded in &deployed.guarded {
            output::tell(&format!("note: {guarded}"));
        }
        output::tell(
            "look at what pointed to them: names in DNS, targets of load balancers, certificates, volumes and their snapshots",
        );
    }
    output::tell(&format!(
        "next: floe wait {deployment} {stage} && floe check {deployment} {stage}"
    ));
}

fn show(deployment: &str, stage: &str, unchanged: &Unchanged) -> Result<(), Failure> {
    if let Some(image) = &unchanged.image {
        output::tell(&format!("{deployment} {stage}: {image}"));
    }
    match &unchanged.plan {
        Some(plan) if plan.trim().is_empty() => output::tell("the driver would change nothing"),
        Some(plan) => output::result(&output::visible(plan))?,
        None => output::tell("the driver cannot tell what it would change"),
    }
    for guarded in &unchanged.guarded {
        output::tell(&format!("guarded: {guarded}"));
    }
    if !unchanged.guarded.is_empty() {
        output::tell(&format!("`floe deploy {deployment} {stage}` would need --supervised"));
    }
    if let Some(refused) = &unchanged.refused {
        output::tell(&format!("`floe deploy {deployment} {stage}` would refuse: {refused}"));
        if let Some(hint) = refused.hint() {
            output::tell(&format!("hint: {hint}"));
        }
    }
    Ok(())
}
