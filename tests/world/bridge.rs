//! The network of the engine's containers.

use std::process::Command;

use super::run;

/// The address under which the engine's containers reach this machine: the first of the network that they are in. The engine
/// names it as the gateway only since its second start.
///
/// # Panics
///
/// There is no engine, or its network is not one of 256 addresses or of as many times 256.
#[must_use]
pub fn bridge_address() -> String {
    let format = "{{(index .IPAM.Config 0).Subnet}}";
    let subnet = run(Command::new("docker").args(["network", "inspect", "bridge", "--format", format]));
    let network = subnet.rsplit_once(".0/").map(|(network, _)| network);
    format!("{}.1", network.unwrap_or_else(|| panic!("the network {subnet}")))
}
