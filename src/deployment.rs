//! Deployments: what `deployment.yml` declares, and the files that a stage's values come from.

mod definition;
mod driver;
mod error;
pub mod hubploy;
mod image;
mod layout;
mod stage;

pub use self::definition::{Deployment, load};
pub use self::driver::{Driver, Helm};
pub use self::error::DeploymentError;
pub use self::image::{Held, edits, held};
pub use self::layout::{FILE, Layout, RECALLED, Reach, list};
pub use self::stage::Stage;

#[cfg(test)]
mod tests;
