//! What `docker login`, or `podman login` on a machine without Docker, has stored for registries.

use std::fs::File;
use std::path::PathBuf;

use docker_credential::{DockerCredential, get_credential, get_credential_from_reader};
use rustix::process::getuid;

use crate::engine::Credentials;
use crate::reference::RegistryHost;

/// The credentials for a registry: Docker's, else Podman's.
pub fn login(registry: &RegistryHost) -> Option<Credentials> {
    let found = get_credential(registry.login()).ok().or_else(|| of_podman(registry))?;
    Some(match found {
        DockerCredential::UsernamePassword(username, password) => Credentials::Password { username, password },
        DockerCredential::IdentityToken(token) => Credentials::IdentityToken(token),
    })
}

/// Podman stores the name of the registry as it was typed; it has no other one for Docker's.
fn of_podman(registry: &RegistryHost) -> Option<DockerCredential> {
    let mut files = files().into_iter().filter_map(|file| File::open(file).ok());
    files.find_map(|file| get_credential_from_reader(file, registry.as_str()).ok())
}

/// Where Podman keeps them, as containers-auth.json(5) has it: the first is where `podman login` writes.
fn files() -> Vec<PathBuf> {
    let path = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(file) = path("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let runtime = path("XDG_RUNTIME_DIR");
    let runtime = runtime.map_or_else(
        || PathBuf::from(format!("/run/containers/{}", getuid().as_raw())),
        |runtime| runtime.join("containers"),
    );
    let home = path("XDG_CONFIG_HOME").or_else(|| path("HOME").map(|home| home.join(".config")));
    let home = home.map(|home| home.join("containers"));
    let directories = [Some(runtime), home];
    directories
        .into_iter()
        .flatten()
        .map(|directory| directory.join("auth.json"))
        .collect()
}
