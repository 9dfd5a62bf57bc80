//! `floe packages`: which version of a package is in which environment.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::cli::args::held::Held;
use crate::cli::args::{Format, Global};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::packages::{About, Environment, Listing, page};
use crate::workflow;

/// Show which version of a package is in which environment, and which line asks for it
#[derive(Debug, Args)]
pub struct PackagesArgs {
    /// The packages; all of them, if none is named
    #[arg(value_name = "PACKAGE")]
    packages: Vec<String>,
    #[command(flatten)]
    held: Held,
    /// Put the largest first; how large packages are, an image says
    #[arg(long, conflicts_with = "html")]
    by_size: bool,
    /// How to print it
    #[arg(long, default_value = "text")]
    format: Format,
    /// Write a page of all packages of one mission or image, with what changed since the image before
    #[arg(long, conflicts_with_all = ["packages", "format"])]
    html: bool,
    /// The file of the page; by default below `.floe/packages/`
    #[arg(short, long, value_name = "FILE", requires = "html")]
    output: Option<PathBuf>,
}

/// Prints a line for each package and environment.
pub async fn execute(global: &Global, args: &PackagesArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[])?;
    if args.html {
        return write_page(&session, args).await;
    }
    let environments = args.held.environments(&session).await?;
    let nowhere = args.packages.iter().find(|name| {
        let holds = |environment: &Environment| environment.called(name).next().is_some();
        !environments.iter().any(holds)
    });
    if let Some(name) = nowhere {
        return Err(args.held.nowhere(&environments, name));
    }
    let mut listing = Listing::of(&environments, &args.packages);
    if args.by_size {
        listing.sort_by_size();
    }
    let mut reasons = BTreeMap::<&str, Vec<&str>>::new();
    for unknown in &listing.unknown {
        reasons.entry(unknown.reason).or_default().push(&unknown.environment);
    }
    for (reason, environments) in reasons {
        output::warn(&format!(
            "it is not known what {} holds: {reason}",
            environments.join(", ")
        ));
    }
    output::result(&match args.format {
        Format::Text => output::visible(&listing.to_text()),
        Format::Json => output::json(&listing)?,
    })
}

/// Writes the page, and prints where it is.
async fn write_page(session: &Session, args: &PackagesArgs) -> Result<(), Failure> {
    let workplace = &session.workplace;
    let held = args.held.of_one_mission(session)?;
    let environments = held.environments(session).await?;
    let mut about = About::default();
    let mut commit = held.commit().map(str::to_owned);
    if let Some(image) = held.image() {
        let (imprint, _) = workflow::told(workplace, image).await?;
        image.clone_into(&mut about.title);
        about.facts.push(("Image", image.to_owned(), true));
        if let Some(build) = imprint.build {
            about.title = build.mission.to_string();
            let specs = if build.frozen { "frozen" } else { "floating" };
            about
                .facts
                .push(("Built from", format!("{specs} specs, by floe {}", build.floe), false));
            about.facts.push(("Inputs", build.input_digest.to_string(), true));
            commit = build.commit;
        }
    } else if let Some(mission) = held.mission() {
        about.title = mission.to_string();
    }
    about
        .facts
        .extend(commit.clone().map(|commit| ("Commit", commit, true)));
    let file = args.output.clone().unwrap_or_else(|| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        workplace
            .state
            .page_of_packages(&about.title.replace(|c| !fits(c), "-"))
    });
    let page = page(
        &about,
        &workflow::with_before(workplace, environments, commit.as_deref()),
    );
    let page = page.map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
    if let Some(directory) = file.parent() {
        let failed = |error: io::Error| Failure::new(ExitCode::Invalid, format!("{}: {error}", directory.display()));
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    output::to(Some(&file), &page)
}
