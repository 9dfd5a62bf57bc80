//! The driver that is Helm's own program. No Kubernetes answers here: what it is asked is seen by what it says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use world::Ended;

use super::place::Place;

const STAGE: &str = "name: staging, driver: {helm: {namespace: jhub}}";

/// A chart with a Secret, and a configuration that leads to a closed port.
fn place() -> Place {
    let place = Place::new(&[STAGE]);
    place.write("hub/Chart.yaml", "apiVersion: v2\nname: hub\nversion: 1.0.0\n");
    place.write(
        "hub/values.yaml",
        "word: none\nsingleuser: {image: {name: none, tag: none}}\n",
    );
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  image: {{ .Values.singleuser.image.tag }}\n\
                    ---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  word: {{ .Values.word | quote }}\n";
    place.write("hub/templates/x.yaml", template);
    place.commit();
    place
}

/// Calls floe with Helm on PATH, and Kubernetes at `server`.
fn floe(place: &Place, server: &str, words: &[&str]) -> Ended {
    let helm = world::helm();
    let config = format!(
        "{{apiVersion: v1, kind: Config, clusters: [{{name: c, cluster: {{server: '{server}'}}}}], contexts: [{{name: c, \
         context: {{cluster: c, user: u}}}}], users: [{{name: u, user: {{}}}}], current-context: c}}\n"
    );
    let kube = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kube.path(), config).unwrap();
    let path = std::env::var("PATH").unwrap();
    let directory = Path::new(&helm).parent().unwrap();
    let mut command = place.repository.command(words);
    command
        .env(
            "PATH",
            format!("{}:{}:{path}", directory.display(), world::sops_directory().display()),
        )
        .env("SOPS_AGE_KEY_FILE", place.path().join("word"))
        .env("KUBECONFIG", kube.path());
    Ended::of(command.output().unwrap())
}

#[test]
fn a_cluster_that_does_not_answer_is_temporary_and_a_context_that_is_none_is_not() {
    let place = place();
    let down = "http://127.0.0.1:9";
    floe(&place, down, &["deploy", "hub", "staging"]).expect(75).says(&[
        "helm upgrade: Error: Kubernetes cluster unreachable",
        "connection refused",
    ]);
    floe(&place, down, &["wait", "hub", "staging", "--timeout", "1s"])
        .expect(75)
        .says(&["waiting for the roll-out: helm get values"]);
    let stage = STAGE.replace("jhub", "jhub, context: nope");
    place.write("deployments/hub/deployment.yml", &format!("stages:\n- {{{stage}}}\n"));
    place.commit();
    floe(&place, down, &["deploy", "hub", "staging"])
        .expect(101)
        .says(&["context \"nope\" does not exist", "get-contexts"]);
    floe(&place, down, &["wait", "hub", "staging"])
        .expect(101)
        .says(&["context \"nope\""]);
}

#[test]
fn the_chart_is_waited_for_where_it_names_others() {
    let place = place();
    let chart = "apiVersion: v2\nname: hub\nversion: 1.0.0\ndependencies:\n- {name: jupyterhub, version: 3.3.7, repository: \
                 'https://example.org/'}\n";
    place.write("hub/Chart.yaml", chart);
    place.commit();
    floe(
        &place,
        "http://127.0.0.1:9",
        &["wait", "hub", "staging", "--timeout", "1s"],
    )
    .expect(75)
    .says(&[
        "hub/charts/jupyterhub-3.3.7.tgz is not there",
        "helm dependency build hub",
    ]);
}

#[test]
fn without_helm_its_name_is_told() {
    let place = place();
    let mut command = place.repository.command(&["deploy", "hub", "staging"]);
    let git = tempfile::tempdir().unwrap();
    for program in ["git", "sh", "unshare", "mount", "rm"] {
        let found = world::run(Command::new("sh").args(["-c", &format!("command -v {program}")]));
        std::os::unix::fs::symlink(found.trim(), git.path().join(program)).unwrap();
    }
    command.env("PATH", git.path());
    Ended::of(command.output().unwrap())
        .expect(3)
        .says(&["cannot start helm", "put it on PATH"]);
}

/// An API server of the tests that knows the version, and one release of Helm: a Secret that holds it.
fn cluster(release: Option<&serde_json::Value>) -> String {
    let items = release.map(|release| {
        let mut packed = Command::new("sh");
        packed.args(["-c", "printf %s \"$1\" | gzip -c | base64 -w0 | base64 -w0", "sh"]);
        let packed = world::run(packed.arg(release.to_string()));
        json!({
            "metadata": {"name": "sh.helm.release.v1.hub-staging.v1", "namespace": "jhub",
                         "labels": {"owner": "helm", "name": "hub-staging", "version": "1", "status": "deployed"}},
            "type": "helm.sh/release.v1",
            "data": {"release": packed},
        })
    });
    let items = items.into_iter().collect::<Vec<_>>();
    let secrets = json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": items}).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut asked, mut line) = (String::new(), String::new());
            reader.read_line(&mut asked).unwrap();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                line.clear();
            }
            let path = asked.split(' ').nth(1).unwrap_or_default();
            let body = match path {
                path if path.contains("/secrets") => &secrets,
                path if path.starts_with("/version") => r#"{"major": "1", "minor": "31", "gitVersion": "v1.31.0"}"#,
                path if path.starts_with("/apis") => r#"{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}"#,
                path if path.starts_with("/api/v1") => {
                    r#"{"kind": "APIResourceList", "groupVersion": "v1", "resources": []}"#
                }
                _ => r#"{"kind": "APIVersions", "versions": ["v1"]}"#,
            };
            let length = body.len();
            let head = format!("Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close");
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
        }
    });
    format!("http://127.0.0.1:{port}")
}

/// A release that runs the image of `tag` by this manifest.
fn release(place: &Place, tag: &str, manifest: &str) -> serde_json::Value {
    json!({
        "name": "hub-staging", "namespace": "jhub", "version": 1, "manifest": manifest,
        "info": {"status": "deployed", "first_deployed": "2024-01-01T00:00:00Z", "last_deployed": "2024-01-01T00:00:00Z"},
        "chart": {"metadata": {"name": "hub", "version": "1.0.0", "apiVersion": "v2"}, "values": {"word": "none"}},
        "config": {"singleuser": {"image": {"name": place.registry.address("hub/one"), "tag": tag}}},
    })
}

#[test]
fn what_runs_is_what_the_release_was_made_with() {
    let place = place();
    let wait = ["wait", "hub", "staging", "--timeout", "2s"];
    floe(&place, &cluster(None), &wait)
        .expect(75)
        .says(&["nothing runs yet"]);
    let old = release(&place, "0", "");
    floe(&place, &cluster(Some(&old)), &wait)
        .expect(75)
        .says(&["it runs", "hub/one:0"]);
    let new = release(&place, &format!("1@{}", place.digest), "");
    floe(&place, &cluster(Some(&new)), &wait).expect(0).says(&["is there"]);
    let status = ["status", "--live"];
    let shown = |release| floe(&place, &cluster(release), &status).expect(0).stdout;
    assert!(shown(Some(&new)).contains("  the same"), "{}", shown(Some(&new)));
    assert!(shown(Some(&old)).contains("  one:0"), "{}", shown(Some(&old)));
    assert!(shown(None).contains("  nothing"), "{}", shown(None));
}

#[test]
fn a_plan_compares_manifests_and_shows_no_secret() {
    let place = place();
    let manifest = "---\n# Source: hub/templates/x.yaml\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  \
                    word: \"hunter2\"\n";
    let old = release(&place, "0", manifest);
    let plan = floe(&place, &cluster(Some(&old)), &["deploy", "hub", "staging", "--plan"])
        .expect(0)
        .stdout;
    for part in [
        "*** (changed)",
        "+kind: ConfigMap",
        &format!("+  image: 1@{}", place.digest),
    ] {
        assert!(plan.contains(part), "{part} is not in:\n{plan}");
    }
    assert!(!plan.contains("hunter2") && !plan.contains("none"), "{plan}");
}

/// What is in memory and belongs to a call that has ended.
fn left() -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path().join("secrets.yaml"));
    let holds = |path: &std::path::PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.contains("hunter2"));
    files.filter(holds).collect()
}

#[test]
fn secrets_reach_helm_and_are_neither_shown_nor_left() {
    let place = place();
    let keys = place.path().join("word");
    world::run(Command::new("age-keygen").arg("-o").arg(&keys));
    let recipient = world::run(Command::new("age-keygen").arg("-y").arg(&keys));
    place.write("plain.yaml", "word: hunter2-hunter2\n");
    let mut sops = Command::new(world::sops_directory().join("sops"));
    sops.args(["encrypt", "--age", recipient.trim()])
        .arg(place.path().join("plain.yaml"));
    place.write("deployments/hub/secrets/staging.yaml", &world::run(&mut sops));
    std::fs::remove_file(place.path().join("plain.yaml")).unwrap();
    // The word is where no Secret holds it.
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  word: {{ .Values.word }}\n  {{- if \
                    .Values.bad }}\n  bad: {{ fail .Values.word }}\n  {{- end }}\n";
    place.write("hub/templates/x.yaml", template);
    place.commit();
    let plan = floe(&place, &cluster(None), &["deploy", "hub", "staging", "--plan"]).expect(0);
    assert!(plan.stdout.contains("+  word: ***"), "{}", plan.stdout);
    place.write("deployments/hub/config/common.yaml", "bad: true\n");
    place.commit();
    let failed = floe(&place, &cluster(None), &["deploy", "hub", "staging"]).expect(101);
    assert!(failed.stderr.contains("***"), "{}", failed.stderr);
    for text in [&plan.stdout, &plan.stderr, &failed.stdout, &failed.stderr] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert_eq!(left(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_release_that_is_not_there_is_destroyed_already() {
    let place = place();
    let destroy = ["destroy", "hub", "staging", "--confirm", "staging"];
    floe(&place, &cluster(None), &destroy)
        .expect(0)
        .says(&["hub staging: nothing was there to destroy"]);
    // A cluster that does not answer is something else.
    floe(&place, "http://127.0.0.1:9", &destroy).expect(75);
}
