//! Reading, merging, naming and editing values.

use std::path::Path;
use std::sync::Arc;

use super::*;

fn file() -> Arc<Path> {
    Arc::from(Path::new("values.yaml"))
}

fn parsed(text: &str) -> Node {
    read(text, &file()).unwrap()
}

fn plain(node: &Node) -> serde_json::Value {
    json(node, &|_| String::new(), &|_| false)["values"].clone()
}

fn edit(text: &str, edits: &[(&str, &str)]) -> Result<String, ValuesError> {
    let edits = edits.iter().map(|(field, text)| Edit {
        field: field.parse().unwrap(),
        text: (*text).to_owned(),
    });
    edited(text, &file(), &edits.collect::<Vec<_>>())
}

fn remarks(chart: &str, files: &[&str]) -> Vec<Remark> {
    let chart = Layer {
        values: parsed(chart),
        children: Vec::new(),
    };
    merged(&chart, &files.iter().map(|text| parsed(text)).collect::<Vec<_>>()).remarks
}

#[test]
fn a_value_knows_its_line() {
    let values = parsed("# a hub\nsingleuser:\n  image:\n    name: r/x\n    tag: 'é'\n  list: [1,\n    two]\n");
    let field: Field = "singleuser.image.tag".parse().unwrap();
    assert_eq!(
        field.of_values(&values).unwrap().source.place().to_string(),
        "values.yaml:5"
    );
    let field: Field = "singleuser.list[1]".parse().unwrap();
    assert_eq!(field.of_values(&values).unwrap().source.line, 7);
}

#[test]
fn what_is_no_map_is_refused_with_its_line() {
    let refused = read("\n- a\n", &file()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "values.yaml:2: values are a map of names and values"
    );
    let refused = read("a: [1\nb: 2\n", &file()).unwrap_err();
    assert!(refused.to_string().starts_with("values.yaml:2: "), "{refused}");
    assert_eq!(plain(&parsed("")), serde_json::json!({}));
    assert_eq!(plain(&parsed("# nothing\n")), serde_json::json!({}));
}

#[test]
fn aliases_that_stand_for_more_than_memory_holds_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let of = format!("*a{}", level - 1);
        let many = [of.as_str(); 10].join(", ");
        text = format!("{text}a{level}: &a{level} [{many}]\n");
    }
    let refused = read(&text, &file()).unwrap_err();
    assert!(refused.to_string().contains("aliases stand for more than"), "{refused}");
}

#[test]
fn an_edit_touches_nothing_but_the_text_of_its_field() {
    let text = "\u{feff}# The hub.\r\nsingleuser:   # users\r\n  image: {name: r/x, tag: \"old\"}  # by hand\r\n  é: &a b\r\n  c: *a\r\n";
    let new = edit(text, &[("singleuser.image.tag", "new@sha256:ab")]).unwrap();
    assert_eq!(new, text.replace("\"old\"", "\"new@sha256:ab\""));
    assert_eq!(edit(&new, &[("singleuser.image.tag", "old")]).unwrap(), text);
}

#[test]
fn quotes_stay_and_come_where_the_text_would_mean_something_else() {
    for (before, text, after) in [
        ("tag: old", "new", "tag: new"),
        ("tag: old # why", "1.10", "tag: \"1.10\" # why"),
        ("tag: 'o''ld' # 'why'", "it's", "tag: 'it''s' # 'why'"),
        ("tag: \"o\\\"ld\"  # \"why\"", "new", "tag: \"new\"  # \"why\""),
        ("tag: \"old\"", "new", "tag: \"new\""),
        ("tag: 2024.10", "2024.11", "tag: \"2024.11\""),
        ("tag: old", "on", "tag: \"on\""),
        ("tag: old", "a: b", "tag: \"a: b\""),
        ("tag:", "new", "tag: new"),
        ("tag: ~", "new", "tag: new"),
        ("tag: !!str 12", "13", "tag: !!str \"13\""),
        ("tag: &t old", "new", "tag: &t new"),
    ] {
        assert_eq!(edit(before, &[("tag", text)]).unwrap(), after, "{before}");
    }
}

#[test]
fn an_edit_that_would_change_more_than_it_says_is_refused() {
    let text = "tag: &t old\nother:\n  tag: *t\n";
    let refused = edit(text, &[("tag", "new")]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "values.yaml:1: tag is shared by an anchor with other.tag, which would change with it"
    );
    let both = edit(text, &[("tag", "new"), ("other.tag", "new")]).unwrap();
    assert_eq!(both, "tag: &t new\nother:\n  tag: *t\n");
    assert!(matches!(
        edit("tag: |\n  old\n", &[("tag", "new")]),
        Err(ValuesError::Block { .. })
    ));
    assert!(matches!(
        edit("tag: [a]\n", &[("tag", "new")]),
        Err(ValuesError::NotText { .. })
    ));
    assert!(matches!(
        edit("tog: a\n", &[("tag", "new")]),
        Err(ValuesError::Absent { .. })
    ));
}

#[test]
fn entries_of_lists_are_named_by_number_or_by_what_they_say() {
    let text = "profileList:\n- slug: cpu\n  image: a\n- slug: gpu\n  image: b\n- slug: gpu\n  image: c\n";
    let new = edit(
        text,
        &[("profileList[slug=gpu].image", "x"), ("profileList[0].image", "z")],
    )
    .unwrap();
    assert_eq!(
        new,
        text.replace("image: b", "image: x").replace("image: a", "image: z")
    );
    for wrong in ["", ".", "a..b", "a[", "a[x]", "a[1]b", "[0]", "a."] {
        assert!(wrong.parse::<Field>().is_err(), "{wrong}");
    }
    let dotted: Field = r"hub.extraConfig.01\.py[0]".parse().unwrap();
    assert_eq!(dotted.to_string(), r"hub.extraConfig.01\.py[0]");
    assert_eq!(dotted.steps()[2], Step::Key("01.py".to_owned()));
}

#[test]
fn the_origin_of_each_value_stands_behind_it() {
    let values = parsed("a:\n  b: 1\n  l:\n  - x: w\n    z: [[1, 2], {}]\nempty: {}\n'on': no\n");
    let text = yaml(&values, &|source| format!("line {}", source.line), &|source| {
        source.line == 2
    });
    insta::assert_snapshot!(text, @r#"
    a:
      b: '(hidden)'  # line 2
      l:
        - x: w       # line 4
          z:
            - - 1    # line 5
              - 2    # line 5
            - {}     # line 5
    empty: {}        # line 6
    "on": false      # line 7
    "#);
    let shown = parsed(&text);
    assert_eq!(plain(&shown)["a"]["l"], plain(&values)["a"]["l"]);
    let json = json(&values, &|source| source.line.to_string(), &|_| false);
    assert_eq!(json["origins"]["a.l[0].z[0][1]"], "5");
}

#[test]
fn a_list_that_takes_entries_away_is_told_and_one_that_adds_is_not() {
    let shared = "singleuser:\n  profileList: [a, b]\n";
    let lost = remarks("{}", &[shared, "singleuser:\n  profileList: [c]\n"]);
    assert!(matches!(&lost[..], [Remark::ListReplaced { lost: 2, .. }]), "{lost:?}");
    let lost = remarks(shared, &["singleuser:\n  profileList: [c, a]\n"]);
    assert!(matches!(&lost[..], [Remark::ListReplaced { lost: 1, .. }]), "{lost:?}");
    assert!(remarks(shared, &["singleuser:\n  profileList: [a, b, c]\n"]).is_empty());
    assert!(remarks(shared, &["singleuser:\n  profileList: null\n"]).is_empty());
}

#[test]
fn a_map_in_place_of_something_else_is_told() {
    let mixed = remarks("{}", &["a: {b: 1}", "a: 2"]);
    assert!(matches!(&mixed[..], [Remark::Mixed { .. }]), "{mixed:?}");
}

#[test]
fn a_key_that_nobody_knows_beside_a_known_one_is_told() {
    let chart = "singleuser:\n  memory: {limit: 1G}\n  image: {name: a, tag: b}\n  cpu: 1\n";
    let told = remarks(
        chart,
        &["singleuser:\n  memry: {limit: 2G}\n  image: {Tag: c}\n  gpu: 1\n  other: 2\n"],
    );
    let told = told.iter().map(|remark| match remark {
        Remark::Unknown { field, meant, .. } => format!("{field}: {}", meant.as_deref().unwrap_or_default()),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        ["singleuser.memry: memory", "singleuser.image.Tag: tag"]
    );
}
