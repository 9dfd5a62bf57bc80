//! The names of the agent's applets. Each is the name of a program in an image, and of a subcommand of `floe applet`.

/// Creates an environment from a spec, or from nothing.
pub const ENV_CREATE: &str = "env-create";

/// Creates an environment as a copy of another.
pub const ENV_CLONE: &str = "env-clone";

/// Installs what spec files list into an environment.
pub const ENV_UPDATE: &str = "env-update";

/// Runs a command with an environment active.
pub const ENV_RUN: &str = "env-run";

/// Writes the frozen spec of an environment.
pub const ENV_EXPORT: &str = "env-export";

/// Moves a finished environment below a directory, as one layer's content.
pub const ENV_STAGE: &str = "env-stage";

/// Installs what all environments share into an environment.
pub const INSTALL_COMMON: &str = "install-common";

/// Registers environments as Jupyter kernels.
pub const KERNEL_SETUP: &str = "kernel-setup";

/// Imports modules.
pub const TEST_IMPORTS: &str = "test-imports";

/// Executes notebooks.
pub const TEST_NOTEBOOKS: &str = "test-notebooks";

/// Runs the tests of one environment.
pub const TEST_ENVIRONMENT: &str = "test-environment";

/// The same under its other name.
pub const ENV_TEST: &str = "env-test";

/// Runs the tests of all environments.
pub const TEST_ENVIRONMENTS: &str = "test-environments";

/// Tests the image's server.
pub const TEST_SERVER: &str = "test-server";

/// Is the first process of a container that runs tests. Only the host's own agent is called so.
pub const SUPERVISE: &str = "supervise";

/// Copies the program itself to where a container finds it. Only the host's own agent is called so.
pub const DELIVER: &str = "deliver";

/// Tells what can be imported of packages. Only the host's own agent is called so.
pub const MODULES: &str = "modules";

/// Tells what packages say of their licences. Only the host's own agent is called so.
pub const LICENCES: &str = "licences";

/// Reads layers where the engine keeps them. Only the host's own agent is called so.
pub const LAYERS: &str = "layers";

/// Leads from a step of a build to the host, past the builder. Only builds call it, by floe's own program in the image.
pub const LEAD: &str = "lead";

/// Tells the agent what environment the image's entrypoint leaves to what it starts.
pub const SURROUNDINGS: &str = "surroundings";

/// Is the first process of a container that somebody is let into. Only the host's own agent is called so.
pub const CONSOLE: &str = "console";

/// Becomes the command that somebody is let in for. Only the host's own agent is called so.
pub const ENTER: &str = "enter";

/// Writes what the image is and holds. Only builds call it, by floe's own program in the image.
pub const IMPRINT: &str = "imprint";

/// Solves the specs of an environment, and writes what it would hold. Only builds call it, by floe's own program in the image.
pub const ENV_SOLVE: &str = "env-solve";

/// Assembles an environment, and hands its layers over to the host. Only builds call it, by floe's own program in the image.
pub const ENV_ASSEMBLE: &str = "env-assemble";

/// Those that images have a program for.
pub const ALL: &[&str] = &[
    ENV_CREATE,
    ENV_CLONE,
    ENV_UPDATE,
    ENV_RUN,
    ENV_EXPORT,
    ENV_STAGE,
    INSTALL_COMMON,
    KERNEL_SETUP,
    TEST_IMPORTS,
    TEST_NOTEBOOKS,
    TEST_ENVIRONMENT,
    ENV_TEST,
    TEST_ENVIRONMENTS,
    TEST_SERVER,
];
