//! Helm's own program: values go to it as files in their order, decrypted ones from memory.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::line::{PLAN_TIMEOUT, STATUS_TIMEOUT, told};
use super::{Call, DriverError, Live, Scene, Vault, difference};
use crate::deployment::{DeploymentError, Helm, Layout, held};
use crate::event::Sink;
use crate::event::redact::Hidden;
use crate::values;

/// How long Helm waits for a roll-out where nobody says otherwise.
const ROLL_OUT: &str = "10m";

/// The release of a stage, as Helm is called for it.
struct Release<'a> {
    scene: &'a Scene<'a>,
    helm: &'a Helm,
    name: String,
}

impl<'a> Release<'a> {
    fn of(scene: &'a Scene<'a>, helm: &'a Helm) -> Self {
        let name = helm.release.clone();
        let name = name.unwrap_or_else(|| format!("{}-{}", scene.deployment.name, scene.stage.name));
        Self { scene, helm, name }
    }

    /// A call of Helm for this release. Options with their values are one word each, so that none is taken for another.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("helm");
        let namespace = self.helm.namespace.as_ref().unwrap_or(&self.name);
        command
            .current_dir(self.scene.root)
            .args(words)
            .arg(&self.name)
            .arg(format!("--namespace={namespace}"));
        if let Some(context) = &self.helm.context {
            command.arg(format!("--kube-context={context}"));
        }
        command
    }

    /// The same for the chart with the values of the stage.
    fn of_chart(&self, words: &[&str], vault: Option<&Vault>) -> Command {
        let Scene {
            root,
            deployment,
            stage,
            ..
        } = self.scene;
        let mut command = self.command(words);
        command.arg(Path::new(".").join(&deployment.chart));
        let layout = Layout(&deployment.name);
        for path in [layout.common(), layout.config(&stage.name)] {
            if root.join(&path).exists() {
                command.arg(format!("--values={}", path.display()));
            }
        }
        if let Some(vault) = vault {
            let path = vault.private.path().join(SECRETS);
            command.arg(format!("--values={}", path.display()));
        }
        command
    }

    fn timeout(&self) -> String {
        format!("--timeout={}", self.helm.timeout.as_deref().unwrap_or(ROLL_OUT))
    }
}

/// The decrypted secrets in a private directory.
const SECRETS: &str = "secrets.yaml";

impl Vault {
    /// Decrypts the secrets of a stage into the private directory, and masks each of their values.
    pub fn fill(&mut self, scene: &Scene<'_>) -> Result<(), DriverError> {
        let path = scene
            .root
            .join(Layout(&scene.deployment.name).secrets(&scene.stage.name));
        let plain = self.sops.decrypt(&path)?;
        let mut texts = Vec::new();
        if let Ok(value) = serde_yaml::from_slice(plain.as_bytes()) {
            collect(&value, &mut texts);
        }
        self.hidden = Hidden::new(texts);
        self.private.write(SECRETS, plain.as_bytes())?;
        Ok(())
    }
}

fn collect(value: &serde_yaml::Value, texts: &mut Vec<String>) {
    match value {
        serde_yaml::Value::String(text) => texts.push(text.clone()),
        serde_yaml::Value::Number(number) => texts.push(number.to_string()),
        serde_yaml::Value::Sequence(listed) => listed.iter().for_each(|value| collect(value, texts)),
        serde_yaml::Value::Mapping(entries) => entries.iter().for_each(|(_, value)| collect(value, texts)),
        _ => {}
    }
}

pub(super) fn apply(
    scene: &Scene<'_>,
    helm: &Helm,
    vault: Option<Vault>,
    sink: Arc<dyn Sink>,
) -> Result<Call, DriverError> {
    let release = Release::of(scene, helm);
    let mut command = release.of_chart(&["upgrade", "--install"], vault.as_ref());
    command
        .args(["--create-namespace", "--atomic", "--wait"])
        .arg(release.timeout());
    Call::start(command, "helm upgrade", vault, sink)
}

pub(super) fn destroy(scene: &Scene<'_>, helm: &Helm, sink: Arc<dyn Sink>) -> Result<Call, DriverError> {
    let release = Release::of(scene, helm);
    let mut command = release.command(&["uninstall"]);
    command.arg("--wait").arg(release.timeout());
    let call = Call::start(command, "helm uninstall", None, sink)?;
    Ok(call.or_absent(ABSENT))
}

/// The image in the values that a release was made with. Those that are secret are read into memory alone.
pub(super) async fn live(scene: &Scene<'_>, helm: &Helm) -> Result<Live, DriverError> {
    let release = Release::of(scene, helm);
    let command = release.command(&["get", "values", "--all", "--output=json"]);
    let text = match told(command, "helm get values", STATUS_TIMEOUT).await {
        Ok(printed) => printed,
        Err(error) if is_absent(&error) => return Ok(Live::Nothing),
        Err(error) => return Err(error),
    };
    named(&text, scene)
}

/// How Helm says that there is no such release.
const ABSENT: &str = "release: not found";

fn is_absent(error: &DriverError) -> bool {
    matches!(error, DriverError::Failed { cause, .. } if cause.contains(ABSENT))
}

fn named(text: &str, scene: &Scene<'_>) -> Result<Live, DriverError> {
    let file: Arc<Path> = Arc::from(Path::new("the release's values"));
    let values = values::read(text, &file).map_err(DeploymentError::from)?;
    for field in &scene.deployment.images {
        if let Some(held) = held(&values, field)? {
            return Ok(Live::Runs {
                image: held.reference(),
                digest: held.digest,
            });
        }
    }
    Ok(Live::Nothing)
}

/// What an upgrade would change: by Helm's plugin for that, if it is there, else by comparing the manifests.
pub(super) async fn plan(scene: &Scene<'_>, helm: &Helm, vault: Option<&Vault>) -> Result<String, DriverError> {
    let release = Release::of(scene, helm);
    let mut plugins = Command::new("helm");
    plugins.args(["plugin", "list"]);
    let plugins = told(plugins, "helm plugin list", STATUS_TIMEOUT).await?;
    let text = if plugins
        .lines()
        .any(|line| line.split_whitespace().next() == Some("diff"))
    {
        let mut command = release.of_chart(&["diff", "upgrade"], vault);
        command.args(["--allow-unreleased", "--no-color"]);
        told(command, "helm diff", PLAN_TIMEOUT).await?
    } else {
        let old = match told(
            release.command(&["get", "manifest"]),
            "helm get manifest",
            STATUS_TIMEOUT,
        )
        .await
        {
            Ok(printed) => printed,
            Err(error) if is_absent(&error) => String::new(),
            Err(error) => return Err(error),
        };
        let mut command = release.of_chart(&["template"], vault);
        command.arg("--no-hooks");
        let new = told(command, "helm template", PLAN_TIMEOUT).await?;
        difference::of(&old, &new)
    };
    Ok(match vault {
        Some(vault) => vault.hidden.mask(&text),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::{Driver, load};

    const DEFINITION: &str = "stages:\n- name: prod\n  driver: {helm: {namespace: jhub, context: c}}\n";

    fn words(command: &Command) -> Vec<String> {
        let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
        words.collect()
    }

    fn with_release(check: impl FnOnce(&Release<'_>)) {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("deployments/hub");
        std::fs::create_dir_all(directory.join("config")).unwrap();
        std::fs::write(directory.join("deployment.yml"), DEFINITION).unwrap();
        std::fs::write(directory.join("config/prod.yaml"), "").unwrap();
        let deployment = load(root.path(), "hub").unwrap();
        let stage = &deployment.stages[0];
        let Driver::Helm(helm) = &stage.driver else {
            panic!("{stage:?}");
        };
        let scene = Scene {
            root: root.path(),
            deployment: &deployment,
            stage,
            image: None,
        };
        check(&Release::of(&scene, helm));
    }

    #[test]
    fn values_go_to_helm_in_their_order_and_what_is_not_there_does_not() {
        with_release(|release| {
            let words = words(&release.of_chart(&["upgrade", "--install"], None));
            insta::assert_debug_snapshot!(words, @r#"
            [
                "upgrade",
                "--install",
                "hub-prod",
                "--namespace=jhub",
                "--kube-context=c",
                "./hub",
                "--values=deployments/hub/config/prod.yaml",
            ]
            "#);
        });
    }

    #[test]
    fn the_image_that_runs_is_read_from_the_values_of_the_release() {
        with_release(|release| {
            let digest = format!("sha256:{}", "b".repeat(64));
            let text = format!(r#"{{"singleuser":{{"image":{{"name":"r.example.org/one","tag":"1@{digest}"}}}}}}"#);
            assert!(named(&text, release.scene).unwrap().is(&digest.parse().unwrap()));
            assert_eq!(named("{}", release.scene).unwrap(), Live::Nothing);
        });
    }
}
