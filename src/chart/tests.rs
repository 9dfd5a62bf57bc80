//! Charts as directories and archives, and what they know.

use std::fs;

use super::*;

/// A chart that depends on `jupyterhub` and on `proxy` under the name `front`, which is not at hand.
const ABOUT: &str = "name: hub\nversion: 1.0.0\ndependencies:\n- {name: jupyterhub, version: 3.3.7}\n\
                     - {name: proxy, alias: front, version: '>=1', condition: extra.proxied}\n";

const SCHEMA: &str = r##"{
    "type": "object", "additionalProperties": false,
    "properties": {
        "hub": {"type": "object", "additionalProperties": false, "properties": {
            "config": {"type": "object", "additionalProperties": true},
            "db": {"$ref": "#/$defs/db"}
        }},
        "singleuser": {"type": "object", "properties": {
            "memory": {"type": "object", "additionalProperties": false, "properties": {"limit": {}, "guarantee": {}}},
            "profileList": {"type": "array", "items": {"type": "object", "additionalProperties": false,
                "properties": {"display_name": {}}, "patternProperties": {"^x-": {}}}}
        }}
    },
    "$defs": {"db": {"anyOf": [{"additionalProperties": false, "properties": {"url": {}}}, {"type": "null"}]}}
}"##;

struct Case(tempfile::TempDir);

impl Case {
    fn new() -> Self {
        let case = Self(tempfile::tempdir().unwrap());
        case.write("hub/Chart.yaml", ABOUT);
        case.write(
            "hub/values.yaml",
            "extra:\n  a: 1\n  # b: commented out\n  free: {}\njupyterhub: {hub: {}}\n",
        );
        case.write("hub/templates/x.yaml", "{{ .Values.extra.templated }}\n");
        case.write("jupyterhub/Chart.yaml", "name: jupyterhub\nversion: 3.3.7\n");
        case.write(
            "jupyterhub/values.yaml",
            "singleuser: {defaultUrl: /lab, memory: {limit: 1G}}\n",
        );
        case.write("jupyterhub/values.schema.json", SCHEMA);
        case
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.0.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Packs the chart that the other one depends on, as `helm dependency build` leaves it.
    fn pack(&self) {
        fs::create_dir_all(self.0.path().join("hub/charts")).unwrap();
        let file = fs::File::create(self.0.path().join("hub/charts/jupyterhub-3.3.7.tgz")).unwrap();
        let packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut archive = tar::Builder::new(packed);
        archive
            .append_dir_all("jupyterhub", self.0.path().join("jupyterhub"))
            .unwrap();
        archive.into_inner().unwrap().finish().unwrap();
    }

    fn unknown(&self, text: &str) -> Vec<String> {
        let chart = load(&self.0.path().join("hub")).unwrap();
        let file = values::read(text, &Arc::from(Path::new("v.yaml"))).unwrap();
        let found = chart.unknown(&file).into_iter().map(|remark| match remark {
            Remark::Unknown { field, by, meant } => {
                let meant = meant.map(|meant| format!(" ({meant}?)")).unwrap_or_default();
                format!("{}: {field}{meant}", by.place())
            }
            other => panic!("{other:?}"),
        });
        found.collect()
    }
}

const FILE: &str = "jupyterhub:
  hub:
    # A comment.
    db: {url: x, urll: y}
    confg: {}
  singleuser:
    defautUrl: /tree
    memory: {limit: 1G, guarante: 1G}
    profileList:
    - {display_name: a, x-own: 1}
    - {x-own: 1, displayname: b}
  proxy: {}
";

#[test]
fn what_a_charts_schema_forbids_is_unknown_however_the_chart_lies_there() {
    let found = [
        // What is known stands beside it, and so is not meant.
        "v.yaml:4: jupyterhub.hub.db.urll",
        "v.yaml:5: jupyterhub.hub.confg (config?)",
        "v.yaml:7: jupyterhub.singleuser.defautUrl (defaultUrl?)",
        "v.yaml:8: jupyterhub.singleuser.memory.guarante (guarantee?)",
        "v.yaml:11: jupyterhub.singleuser.profileList[1].displayname (display_name?)",
        "v.yaml:12: jupyterhub.proxy",
    ];
    let case = Case::new();
    case.pack();
    assert_eq!(case.unknown(FILE), found);
    let open = "jupyterhub: {hub: {config: {Anything: {goes: here}}}, singleuser: {defaultUrl: /tree}}\n";
    assert_eq!(case.unknown(open), [""; 0]);
    fs::remove_dir_all(case.0.path().join("hub/charts")).unwrap();
    fs::create_dir(case.0.path().join("hub/charts")).unwrap();
    fs::rename(
        case.0.path().join("jupyterhub"),
        case.0.path().join("hub/charts/jupyterhub"),
    )
    .unwrap();
    assert_eq!(case.unknown(FILE), found);
}

#[test]
fn without_a_schema_a_key_is_known_that_values_or_templates_name() {
    let case = Case::new();
    let file = "extra: {a: 2, b: 3, templated: 4, proxied: true, other: 5, free: {x: 1}}\nglobal: {x: 1}\nfront: {x: 1}\n\
                jupyterhub: {x: 1}\nexra: {}\n";
    assert_eq!(case.unknown(file), ["v.yaml:1: extra.other", "v.yaml:5: exra"]);
    // Neither chart is at hand.
    let chart = load(&case.0.path().join("hub")).unwrap();
    let judges = |field: &str| chart.judges(&field.parse().unwrap());
    assert_eq!(
        ["extra.x", "front.x", "jupyterhub.hub"].map(judges),
        [true, false, false]
    );
}

#[test]
fn what_is_no_chart_or_cannot_be_read_knows_nothing() {
    let case = Case::new();
    assert!(load(&case.0.path().join("nowhere")).is_none());
    assert!(load(&case.0.path().join("hub/values.yaml")).is_none());
    fs::create_dir(case.0.path().join("hub/charts")).unwrap();
    fs::write(case.0.path().join("hub/charts/jupyterhub-3.3.7.tgz"), "no archive").unwrap();
    assert_eq!(case.unknown("jupyterhub: {x: 1}\n"), [""; 0]);
    case.write("hub/Chart.yaml", "[");
    assert!(load(&case.0.path().join("hub")).is_none());
}

#[test]
fn a_dependency_has_the_key_that_it_is_given_and_a_version_that_may_be_a_range() {
    let about = values::read(ABOUT, &Arc::from(Path::new("Chart.yaml"))).unwrap();
    let told = dependencies(&about);
    let told = told.iter().map(|it| (it.name.as_str(), it.key(), it.exact_version()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [("jupyterhub", "jupyterhub", Some("3.3.7")), ("proxy", "front", None)]
    );
    let none = values::read("name: hub\n", &Arc::from(Path::new("Chart.yaml"))).unwrap();
    assert_eq!(dependencies(&none), []);
}
