//! Which crates are named in one place only.

use super::{code_lines, module, sources};

/// The crates that one module alone may name.
const OWNERS: &[(&str, &str)] = &[
    ("bollard", "engine"),
    ("p256", "dsse"),
    ("spdx", "sbom"),
    ("oci_spec", "reference"),
    ("procfs_core", "process"),
    ("percent_encoding", "address"),
    ("clap", "cli"),
    ("indicatif", "report"),
    ("quick_junit", "report"),
    ("jupyter_protocol", "kernel"),
    ("tokio_tungstenite", "server"),
    ("rattler", "envs"),
    ("rattler_networking", "envs"),
    ("rattler_package_streaming", "envs"),
    ("rattler_repodata_gateway", "envs"),
    ("rattler_solve", "envs"),
    ("rattler_virtual_packages", "envs"),
];

#[test]
fn a_crate_at_an_edge_is_named_by_its_owner_alone() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        for (name, owner) in OWNERS {
            let named = code_lines(&text).any(|(_, line)| line.contains(&format!("{name}::")));
            if named && module(&path).split("::").next() != Some(owner) {
                broken.push(format!("{} names {name}, which is {owner}'s", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
