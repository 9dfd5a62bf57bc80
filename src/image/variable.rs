//! The environment variables between a host and its agent. Tests do not inherit them: one that calls an applet itself
//! reads its result.

/// Says that a host reads events from the standard output; its value is the key that seals them. Programs of floe's own
/// tests, which need no proof, set `1`.
pub const EVENTS: &str = "FLOE_EVENTS";

/// The socket where the agent, the first process of the container, is asked for tests by what the mission's script calls.
pub const AGENT: &str = "FLOE_AGENT";

/// Where to leave executed notebooks.
pub const ARTIFACTS: &str = "FLOE_ARTIFACTS";

/// Where tests are, if not in [`super::ENVIRONMENTS`].
pub const ENVIRONMENTS: &str = "FLOE_ENVIRONMENTS";

/// What somebody is let into a container for, as JSON.
pub const VISIT: &str = "FLOE_VISIT";

/// Of a build: whether environments are made of frozen specs alone.
pub const USE_FROZEN: &str = "USE_FROZEN";

/// Of a build: where what was made of packages is kept for the next environment.
pub const CACHE: &str = "FLOE_CACHE_DIR";

/// Of a step that assembles an environment: what no other build has, so that no builder takes it for one that it has carried out
/// already, or is carrying out for somebody else.
pub const ASSEMBLY: &str = "FLOE_ASSEMBLY";

/// Of a step that assembles an environment: whether nothing is used that is kept of packages.
pub const ANEW: &str = "FLOE_ANEW";

/// Of a build on top of environments that were assembled: the image that holds them.
pub const LAYERED: &str = "FLOE_LAYERED";

/// Of a build: what the host knows of the image, as JSON.
pub const IMPRINT: &str = "FLOE_IMPRINT";

/// What to run, as JSON; `FLOE_TESTS_2`, `FLOE_TESTS_3` … continue it where one variable is too short.
pub const TESTS: &str = "FLOE_TESTS";

/// The variable of the piece `number` of a request, counted from 1.
#[must_use]
pub fn tests(number: usize) -> String {
    match number {
        1 => TESTS.to_owned(),
        _ => format!("{TESTS}_{number}"),
    }
}

/// Whether a variable is one by which a host speaks to its agent.
#[must_use]
pub fn is_between_host_and_agent(name: &str) -> bool {
    let request = name
        .strip_prefix(TESTS)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    request || [EVENTS, AGENT, ARTIFACTS, ENVIRONMENTS, VISIT].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_of_a_request_is_known_and_nothing_else_of_a_like_name() {
        assert!(is_between_host_and_agent(&super::tests(1)));
        assert!(is_between_host_and_agent(&super::tests(12)));
        assert!(is_between_host_and_agent(EVENTS));
        assert!(is_between_host_and_agent(AGENT));
        assert!(!is_between_host_and_agent("FLOE_TESTSUITE"));
    }
}
