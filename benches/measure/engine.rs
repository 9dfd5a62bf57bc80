//! What an engine has kept of earlier rounds.

use std::process::Command;

use world::run;

/// Removes the images whose names begin with one of these, and the builder's steps that no image holds, and with them
/// the layers of both; leaves what is kept of packages.
pub fn forget(own: &[&str]) {
    let docker = |words: &[&str]| run(Command::new("docker").args(words));
    let listed = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    for image in listed.lines() {
        if own.iter().any(|own| image.starts_with(own)) {
            docker(&["rmi", "--force", image]);
        }
    }
    docker(&["builder", "prune", "--force", "--filter", "type=regular"]);
}
