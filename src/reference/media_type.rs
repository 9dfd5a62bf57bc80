//! What OCI calls the parts of an image.

/// A manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A list of manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The configuration of an image.
pub const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
