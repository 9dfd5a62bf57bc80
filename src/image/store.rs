//! Where a container that reads layers has what it needs of the engine's own directory, and where it writes.

use crate::reference::Digest;

/// The only driver of Docker's classic store whose directories floe knows.
pub const DRIVER: &str = "overlay2";

/// The directories of the engine's own that are read.
pub const DIRECTORIES: [&str; 2] = ["image", DRIVER];

/// What the directory is called, beside that of a layer's files, where the engine mounts them on top of those below.
pub const MERGED: &str = "merged";

/// Where the container has them.
pub const ROOT: &str = "/opt/floe/engine";

/// A socket that takes what the container writes; where there is none, its output does.
pub const OUTLET: &str = "/opt/floe/outlet";

/// The directory of the door of a step of a build, in a container that leads from there to the outlet.
pub const DOOR: &str = "/opt/floe/door";

/// What the file of a layer is called, in the archive that the container writes.
#[must_use]
pub fn layer(digest: &Digest) -> String {
    format!("{}.tar", digest.hex())
}

/// What the file of the image's configuration is called there.
#[must_use]
pub fn configuration(digest: &Digest) -> String {
    format!("{}.json", digest.hex())
}
