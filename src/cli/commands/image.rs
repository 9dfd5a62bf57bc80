//! `floe image`: what a mission's built image is called.

use clap::Args;

use crate::builder::base_reference;
use crate::cli::args::{Format, Global};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::engine::Layer;
use crate::quantity::bytes;
use crate::workflow::{self, BuiltPlan};

/// Print the reference and ID of a mission's built image
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// The mission; `setup-env` names one otherwise
    mission: Option<String>,
    /// Print what the image says of itself, as JSON: mission, commit, inputs and environments
    #[arg(long)]
    info: bool,
    /// Print its layers, the lowest first: how large each is, and what it holds
    #[arg(long, conflicts_with = "info")]
    layers: bool,
    /// Print the references alone, a line each, of the base, the images that it extends, and the image itself: those that
    /// `docker save` must take along for `floe test --no-build` to find the image up to date elsewhere
    #[arg(long, conflicts_with_all = ["info", "layers", "format"])]
    with_parents: bool,
    /// How to print it
    #[arg(long, default_value = "text")]
    format: Format,
}

/// Prints the reference and ID.
pub async fn execute(global: &Global, args: &ImageArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[])?;
    let mission = session.workplace.mission(args.mission.as_deref())?;
    let plan = session.workplace.plan(std::slice::from_ref(&mission))?;
    let built = session.workplace.built(&plan).await?;
    if args.with_parents {
        let references = std::iter::once(base_reference(&plan.base));
        let references = references.chain(built.iter().map(|image| image.reference.to_string()));
        let lines = references.map(|reference| reference + "\n");
        return output::result(&lines.collect::<String>());
    }
    let images = BuiltPlan { plan, built };
    let image = images.of(&mission);
    if args.info {
        let (imprint, _) = workflow::told(&session.workplace, image.id.as_str()).await?;
        return output::result(&output::json(&imprint)?);
    }
    if args.layers {
        let layers = workflow::layers(&session.workplace, image).await?;
        return output::result(&match args.format {
            Format::Text => output::visible(&layers.iter().map(line).collect::<String>()),
            Format::Json => output::json(&layers)?,
        });
    }
    output::result(&match args.format {
        Format::Text => format!("{} {}\n", image.reference, image.id),
        Format::Json => {
            let value = serde_json::json!({
                "mission": mission,
                "reference": image.reference.to_string(),
                "id": image.id,
            });
            format!("{value:#}\n")
        }
    })
}

/// A layer as people read it.
fn line(layer: &Layer) -> String {
    format!(
        "{:>9}  {}  {}\n",
        bytes(layer.size),
        layer.digest.short(),
        layer.called()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Digest;

    #[test]
    fn a_layer_is_a_line_with_its_size_its_digest_and_what_it_is_called() {
        let layer = Layer {
            digest: Digest::of(b"x"),
            made: "floe: environment cal, layer 3 of 40".to_owned(),
            size: 12_300_000,
        };
        let expected = format!("  12.3 MB  {}  environment cal\n", layer.digest.short());
        assert_eq!(line(&layer), expected);
    }
}
