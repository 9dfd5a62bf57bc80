//! The labels by which floe knows its own images and containers.

/// Of an image: the digest of its inputs.
pub const INPUT_DIGEST: &str = "org.floe.input-digest";

/// Of an image: the version of the floe that built it.
pub const VERSION: &str = "org.floe.version";

/// Of an image: the commit that last touched its inputs.
pub const COMMIT: &str = "org.floe.commit";

/// Of an image or a container: its mission.
pub const MISSION: &str = "org.floe.mission";

/// Of an image that only serves to take frozen specs out of it: the call that made it.
pub const FREEZE: &str = "org.floe.freeze";

/// Of an image in which a package is tried: the call that made it.
pub const TRY: &str = "org.floe.try";

/// Of a container: the run that it belongs to.
pub const RUN: &str = "org.floe.run";

/// Of a container: the process that needs it, as `process` writes it.
pub const OWNER: &str = "org.floe.owner";

/// Of a container: when it was started, in UTC.
pub const STARTED: &str = "org.floe.started";

/// Of a volume: that it holds floe's own agent.
pub const AGENT: &str = "org.floe.agent";
