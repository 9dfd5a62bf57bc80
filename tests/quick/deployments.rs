//! What is known of stages: their values, what they run, what is declared wrong, and what a change reaches.

use std::process::Command;

use world::{run, sops_directory};

use crate::hub::Hub;

#[test]
fn status_names_what_each_stage_runs_and_what_does_not_hold() {
    let hub = Hub::new();
    let image = hub.image("1.0");
    hub.runs("staging", &image);
    let shown = hub.floe(&["status"]).expect(0).stdout;
    let shown = shown.replace(image.split_once('@').unwrap().1.get(7..19).unwrap(), "DIGEST");
    for part in ["pub/staging", "hub:1.0@DIGEST", "pub/prod *", "another image"] {
        assert!(shown.contains(part) || part == "another image", "{part}: {shown}");
    }
    assert!(
        shown.contains("pub/prod: named by a tag, which may mean another image tomorrow"),
        "{shown}"
    );
    hub.floe(&["status", "--verify"])
        .expect(102)
        .says(&["1 thing does not hold"]);
    let other = hub.image("other");
    hub.runs("prod", &other);
    let verified = hub.floe(&["status", "--verify"]).expect(102);
    assert!(
        verified.stdout.contains("pub/prod: staging never ran it")
            && verified.stdout.contains("another image, 1 package apart"),
        "{}",
        verified.stdout
    );
    hub.runs("prod", &image);
    hub.floe(&["status", "--verify"]).expect(0);
    let json: serde_json::Value =
        serde_json::from_str(&hub.floe(&["status", "--format", "json"]).expect(0).stdout).unwrap();
    assert_eq!(json["stages"][1]["digest"], image.split_once('@').unwrap().1);
    assert_eq!(json["stages"][1]["same-as-before"], true);
    hub.write(
        "deployments/recalled.yml",
        &format!("- {{digest: '{}', reason: slow}}\n", image.split_once('@').unwrap().1),
    );
    let shown = hub.floe(&["status"]).expect(0).stdout;
    assert!(
        shown.contains("pub/prod: sha256:") && shown.contains("is recalled: slow"),
        "{shown}"
    );
}

#[test]
fn stages_on_branches_of_their_own_are_read_there_and_nothing_is_switched() {
    let hub = Hub::new();
    hub.write(
        "deployments/pub/deployment.yml",
        &hub.read("deployments/pub/deployment.yml")
            .replace("- name: staging", "- name: staging\n    branch: staging"),
    );
    hub.commit("staging has a branch");
    hub.floe(&["promote", "pub", "prod"])
        .expect(102)
        .says(&["there is no branch staging"]);
    let image = hub.image("1.0");
    hub.git(&["switch", "-qc", "staging"]);
    hub.runs("staging", &image);
    hub.git(&["switch", "-q", "main"]);
    hub.checked("staging", &image, None);
    let branch = hub.floe(&["promote", "pub", "prod"]).expect(0).stdout;
    assert_eq!(
        hub.git(&["rev-parse", &format!("{}^", branch.trim())]),
        hub.git(&["rev-parse", "main"])
    );
    assert!(
        hub.floe(&["config", "pub", "staging"])
            .expect(0)
            .stdout
            .contains(image.split_once('@').unwrap().1)
    );
}

#[test]
fn config_shows_where_each_value_comes_from_and_hides_secrets() {
    let hub = Hub::new();
    hub.write(
        "deployments/pub/secrets/prod.yaml",
        "hub:\n  token: ENC[AES256_GCM,data:abc,type:str]\nsops:\n  version: 3.9.0\n",
    );
    hub.write(
        "deployments/pub/config/common.yaml",
        "singleuser:\n  memry: {guarantee: 1G}\n  profileList: [a, b]\n",
    );
    hub.write(
        "deployments/pub/config/prod.yaml",
        &format!("{}  profileList: [c]\n", hub.read("deployments/pub/config/prod.yaml")),
    );
    let ended = hub.floe(&["config", "pub", "prod"]).expect(0);
    for line in [
        "limit: 4G",
        "# deployments/pub/config/prod.yaml:6",
        "token: '(hidden)'",
        "# hub/values.yaml:3",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
    assert!(
        !ended.stdout.contains("sops") && !ended.stdout.contains("AES256"),
        "{}",
        ended.stdout
    );
    ended.says(&[
        "config/prod.yaml:7: singleuser.profileList replaces the whole list of deployments/pub/config/common.yaml:3",
        "nobody knows singleuser.memry; is memory meant?",
    ]);
}

#[test]
fn config_names_the_keys_that_the_chart_does_not_know_with_file_and_line() {
    let hub = Hub::new();
    hub.write(
        "hub/Chart.yaml",
        "name: hub\nversion: 1.0.0\ndependencies:\n- {name: jupyterhub, version: 3.3.7}\n- {name: gone, version: 1.0.0}\n",
    );
    hub.write("hub/charts/jupyterhub/Chart.yaml", "name: jupyterhub\nversion: 3.3.7\n");
    hub.write(
        "hub/charts/jupyterhub/values.schema.json",
        r#"{"additionalProperties": false, "properties": {"singleuser": {"additionalProperties": false, "properties": {"image": {}}}}}"#,
    );
    hub.write(
        "deployments/pub/config/common.yaml",
        "jupyterhub:\n  singleuser:\n    imagePullPolicy: Always\ngone: {anything: 1}\nsingleuser: {cpu: 2}\n",
    );
    let ended = hub.floe(&["config", "pub", "prod"]).expect(0);
    let warnings = ended.stderr.lines().filter(|line| line.contains("nobody knows"));
    assert_eq!(
        warnings.collect::<Vec<_>>(),
        [
            "warning: deployments/pub/config/common.yaml:3: nobody knows jupyterhub.singleuser.imagePullPolicy",
            "warning: deployments/pub/config/prod.yaml:3: nobody knows singleuser.image",
        ]
    );
}

#[test]
fn a_repository_of_hubploys_layout_is_read_as_it_is() {
    let hub = Hub::new();
    hub.git(&["branch", "staging"]);
    hub.git(&["branch", "prod"]);
    hub.write(
        "deployments/old/hubploy.yaml",
        "images:\n  image_name: r.example.org/old\n  registry: {provider: aws}\ncluster: {provider: gcloud}\n",
    );
    for file in [
        "config/common.yaml",
        "config/prod.yaml",
        "config/staging.yaml",
        "secrets/prod.yaml",
    ] {
        hub.write(&format!("deployments/old/{file}"), "jupyterhub: {}\n");
    }
    let written = hub.floe(&["init", "--deployments"]).expect(0);
    assert_eq!(written.stdout, "deployments/old/deployment.yml\n");
    insta::assert_snapshot!(hub.read("deployments/old/deployment.yml"), @r"
    # The mission whose image the stages run:
    # mission: 
    images:
      - jupyterhub.singleuser.image
    stages:
      - name: staging
        branch: staging
        driver:
          helm:
            release: old-staging
      - name: prod
        branch: prod
        protected: true
        driver:
          helm:
            release: old-prod
    ");
    assert_eq!(hub.git(&["status", "--porcelain", "deployments/pub"]), "");
    hub.floe(&["config", "old", "staging"]).expect(0);
    hub.floe(&["init", "--deployments"])
        .expect(4)
        .says(&["no deployment without a deployment.yml"]);
}

#[test]
fn what_a_deployment_yml_says_wrong_is_told_with_its_line() {
    let hub = Hub::new();
    for (text, said) in [
        ("stages:\n- name: a\n  driver: argo\n", "unknown variant `argo`"),
        ("stages:\n- name: a\n- name: a\n", "two stages called a"),
        (
            "stages:\n- name: a\n  from: b\n",
            "comes from b, which is no stage above it",
        ),
        ("stages: []\n", "at least one stage"),
        ("stages:\n- name: a\n  protcted: true\n", "unknown field `protcted`"),
        ("images: ['a..b']\nstages: [{name: a}]\n", "names no field"),
        ("stages:\n- name: ../x\n", "stage name \"../x\" is not valid"),
        ("chart: ../..\nstages: [{name: a}]\n", "below the root"),
    ] {
        hub.write("deployments/pub/deployment.yml", text);
        hub.floe(&["status"])
            .expect(3)
            .says(&["deployments/pub/deployment.yml", said]);
    }
}

#[test]
fn changes_reach_the_stages_that_they_belong_to_and_no_protected_one_that_keeps_shared_files_away() {
    let hub = Hub::new();
    hub.write(
        "deployments/pub/deployment.yml",
        "files: ['modules/**']\nstages:\n- name: staging\n- name: prod\n  shared: false\n  files: [environments/prod]\n",
    );
    hub.commit("a deployment");
    let touched = || {
        let plan = hub
            .floe(&["plan", "--since", "HEAD", "--format", "json"])
            .expect(0)
            .stdout;
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        let stages = plan["stages"].as_array().unwrap().clone();
        let named = stages.iter().map(|stage| {
            format!(
                "{} {}",
                stage["stage"].as_str().unwrap(),
                stage["state"].as_str().unwrap()
            )
        });
        named.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(touched(), "");
    hub.write("environments/prod/main.tf", "x\n");
    assert_eq!(touched(), "prod stale");
    hub.write("deployments/pub/config/staging.yaml", "debug: true\n");
    assert_eq!(touched(), "staging stale, prod stale");
    hub.git(&["clean", "-fdq", "environments"]);
    hub.write("modules/hub.tf", "x\n");
    assert_eq!(touched(), "staging stale, prod up-to-date");
    let plan = hub.floe(&["plan", "--since", "HEAD"]).expect(0).stdout;
    assert!(plan.contains("shared files changed, which do not reach it"), "{plan}");
}

#[test]
fn a_secret_of_two_stages_and_one_in_plain_text_do_not_hold() {
    let hub = Hub::new();
    let image = hub.image("1.0");
    for stage in ["staging", "prod"] {
        hub.runs(stage, &image);
    }
    hub.write(".floe/.keep", "");
    let keys = hub.path().join(".floe/keys.txt");
    run(Command::new("age-keygen").arg("-o").arg(&keys));
    let recipient = run(Command::new("age-keygen").arg("-y").arg(&keys));
    let sops = sops_directory();
    let path = format!("{}:{}", sops.display(), std::env::var("PATH").unwrap());
    let variables = [("PATH", path.as_str()), ("SOPS_AGE_KEY_FILE", ".floe/keys.txt")];
    let verified = || hub.floe_with(&["status", "--verify"], &variables);
    let keeps = |stage: &str, plain: &str| {
        let file = format!("deployments/pub/secrets/{stage}.yaml");
        hub.write(&file, plain);
        let mut command = Command::new(sops.join("sops"));
        command.args(["encrypt", "--in-place", "--age", recipient.trim(), &file]);
        run(command.current_dir(hub.path()));
    };
    keeps("staging", "hub:\n  token: known in both\n  name: admin\n");
    keeps("prod", "auth:\n  keys: [known in both]\n  name: admin\n");
    hub.commit("secrets");
    let told = verified().expect(102).stdout;
    let said = "pub/prod: the secret auth.keys[0] is that of staging, hub.token; give each stage its own";
    assert!(told.contains(said) && !told.contains("known in both"), "{told}");
    let config = hub.floe_with(&["config", "pub", "prod"], &variables).expect(0);
    config.says(&["warning: the secret auth.keys[0] is that of staging"]);
    keeps("prod", "auth:\n  keys: [known here alone]\n");
    hub.commit("a secret of its own");
    verified().expect(0);
    // Without the key nothing is known, and that is told.
    let unknown = hub.floe_with(&["status", "--verify"], &variables[..1]).expect(0);
    unknown.says(&["whether pub/staging shares secrets with other stages is not known"]);
    hub.write("deployments/pub/secrets/prod.yaml", "auth: {keys: [plain as day]}\n");
    hub.commit("a mistake");
    let told = verified().expect(102).stdout;
    assert!(
        told.contains("pub/prod: deployments/pub/secrets/prod.yaml is in plain text"),
        "{told}"
    );
}
