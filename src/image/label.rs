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

/// Of a container: the run that it belongs to.
pub const RUN: &str = "org.floe.run";

/// Of a container: the number of the process that runs it.
pub const PID: &str = "org.floe.pid";

/// Of a container: when that process started.
pub const STARTED: &str = "org.floe.started";
