//! What needs what, in environments that are written down here.

use super::*;

fn package(manager: Manager, name: &str, version: &str, needs: &[&str]) -> Package {
    Package {
        manager,
        name: name.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        ..Package::of_venv(version)
    }
}

fn line(by: Manager, text: &str, line: usize) -> Asked {
    let parsed = requirement::Requirement::of_pip(text).unwrap();
    Asked {
        name: parsed.name,
        by,
        limits: false,
        text: text.to_owned(),
        constraint: parsed.constraint,
        extras: parsed.extras,
        file: format!("missions/m/environments/e/e.{}", by.word()).into(),
        line: Some(line),
    }
}

/// conda packages with pip packages on top, one of which conda has, too.
fn example() -> Environment {
    let conda = |name, version, needs| package(Manager::Conda, name, version, needs);
    let pip = |name, version, needs| package(Manager::Pip, name, version, needs);
    let mut environment = Environment {
        mission: Some("m".parse().unwrap()),
        name: "e".parse().unwrap(),
        source: None,
        unknown: None,
        packages: vec![
            conda("libblas", "3.9", &["__glibc >=2.17"]),
            conda("numpy", "2.1.0", &["libblas >=3.9,<4", "python >=3.12,<3.13.0a0"]),
            conda("pandas", "2.2", &["numpy >=1.26,<3", "python >=3.12"]),
            conda("python", "3.12.4", &[]),
            conda("pyyaml", "6.0", &["python"]),
            pip(
                "asdf",
                "4.0",
                &[
                    "numpy>=1.22",
                    "PyYAML>=5",
                    "lz4 ; extra == 'lz4'",
                    "old ; python_version < '3.9'",
                ],
            ),
            pip("lz4", "4.3", &[]),
            pip("old", "1", &[]),
            pip("pyyaml", "6.1", &[]),
            pip("roman-datamodels", "0.20", &["asdf[lz4]>=3,<5"]),
        ],
        size: None,
        asked: vec![
            line(Manager::Conda, "pandas>=2", 3),
            line(Manager::Pip, "Roman_Datamodels", 1),
            line(Manager::Pip, "numpy!=2.2", 2),
        ],
    };
    environment.asked[2].limits = true;
    environment
}

fn why(name: &str) -> String {
    let environment = example();
    let links = Links::of(&environment);
    let reasons = environment.called(name).map(|index| Why::of(&links, index).to_text());
    reasons.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_ways_from_lines_to_a_package_are_told_the_shortest_first() {
    insta::assert_snapshot!(why("numpy"), @"
    numpy 2.1.0 in m/e (conda)
      needed by what is asked for
        pandas → numpy  (missions/m/environments/e/e.conda:3)
        roman-datamodels → asdf → numpy  (missions/m/environments/e/e.pip:1)
      limited by
        pandas 2.2                         >=1.26,<3
        asdf 4.0                           >=1.22
        missions/m/environments/e/e.pip:2  !=2.2
    ");
}

#[test]
fn an_extra_that_a_package_asks_for_makes_another_need_more() {
    insta::assert_snapshot!(why("lz4"), @"
    lz4 4.3 in m/e (pip)
      needed by what is asked for
        roman-datamodels → asdf → lz4  (missions/m/environments/e/e.pip:1)
    ");
}

#[test]
fn what_holds_on_no_such_python_is_needed_by_nobody() {
    assert_eq!(
        why("old"),
        "old 1 in m/e (pip)\n  no line asks for it, and no package needs it\n"
    );
}

#[test]
fn what_conda_and_pip_both_claim_is_told_for_both() {
    assert_eq!(example().claimed_twice(), ["pyyaml"]);
    insta::assert_snapshot!(why("PyYAML"), @"
    pyyaml 6.0 in m/e (conda)
      claimed by conda and pip, which has 6.1: the one that was installed last is in use
      no line asks for it, and no package needs it

    pyyaml 6.1 in m/e (pip)
      claimed by pip and conda, which has 6.0: the one that was installed last is in use
      needed by what is asked for
        roman-datamodels → asdf → pyyaml  (missions/m/environments/e/e.pip:1)
      limited by
        asdf 4.0  >=5
    ");
}

#[test]
fn sizes_are_listed_where_they_are_known_and_the_largest_first_if_wanted() {
    let mut environment = example();
    let environments = [environment.clone()];
    assert!(!Listing::of(&environments, &[]).to_text().contains(" B"));
    for (package, size) in environment.packages.iter_mut().zip([7, 2_000_000, 900]) {
        package.size = Some(size);
    }
    let environments = [environment];
    let mut listing = Listing::of(&environments, &[]);
    listing.sort_by_size();
    let text = listing.to_text();
    let first = text.lines().take(3).collect::<Vec<_>>();
    for (line, (name, size)) in first
        .iter()
        .zip([("numpy", "2.0 MB"), ("pandas", "900 B"), ("libblas", "7 B")])
    {
        assert!(line.starts_with(name) && line.contains(&format!(" {size} ")), "{text}");
    }
}

#[test]
fn names_of_pip_have_one_spelling_and_those_of_conda_are_as_they_are() {
    let environment = example();
    let called = |name: &str| environment.called(name).collect::<Vec<_>>();
    assert_eq!(called("roman_datamodels"), called("Roman.Datamodels"));
    assert_eq!(called("roman_datamodels").len(), 1);
    assert_eq!(called("Pandas").len(), 1);
    let mut conda = example();
    conda.packages[2].name = "ruamel_yaml".to_owned();
    assert_eq!(conda.called("ruamel_yaml").count(), 1);
    assert_eq!(conda.called("ruamel-yaml").count(), 0);
}

#[test]
fn a_name_that_is_nowhere_brings_those_that_are_like_it() {
    let environments = [example()];
    assert_eq!(near(&environments, "nunpy"), ["numpy"]);
    assert_eq!(near(&environments, "datamodels"), ["roman-datamodels"]);
    assert_eq!(near(&environments, "qqq"), Vec::<String>::new());
}

#[test]
fn a_graph_holds_what_is_so_many_steps_away_and_no_more() {
    let environment = example();
    let links = Links::of(&environment);
    let names = |depth: usize| {
        let graph = Graph::around(&links, environment.called("asdf").next().unwrap(), depth);
        let nodes = graph.nodes.iter();
        nodes
            .map(|node| format!("{} {}", node.name, node.layer))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(0), ["asdf 0"]);
    assert_eq!(
        names(1),
        ["numpy 1", "asdf 0", "lz4 1", "pyyaml 1", "roman-datamodels -1"]
    );
    assert!(names(2).contains(&"libblas 2".to_owned()));
}

#[test]
fn what_is_left_out_of_a_picture_is_counted_and_data_has_it_all() {
    let mut environment = example();
    for index in 0..60 {
        let needs = format!("p{}>=1", index + 1);
        environment
            .packages
            .push(package(Manager::Pip, &format!("p{index}"), "1", &["numpy", &needs]));
    }
    let links = Links::of(&environment);
    let graph = Graph::around(&links, environment.called("numpy").next().unwrap(), 1);
    assert_eq!(graph.to_dot().matches("label=\"p").count(), 62);
    let picture = svg(&graph);
    assert_eq!(picture.matches("<g class").count(), 24 + 1 + 2);
    assert!(picture.contains(">and 38 more</text>"), "{picture}");
}

#[test]
fn nothing_of_a_package_is_markup_in_a_picture() {
    let mut environment = example();
    environment.packages[0].version = "<script>\"&".to_owned();
    let links = Links::of(&environment);
    let picture = svg(&Graph::whole(&links));
    assert!(
        picture.contains("&lt;script&gt;&quot;&amp;") && !picture.contains("<script"),
        "{picture}"
    );
}

#[test]
fn a_circle_of_packages_is_walked_once() {
    let mut environment = example();
    environment.packages[6].needs = vec!["asdf".to_owned()];
    let links = Links::of(&environment);
    let index = environment.called("lz4").next().unwrap();
    assert_eq!(Why::of(&links, index).ways.len(), 1);
    assert_eq!(Graph::around(&links, index, 9).nodes.len(), 3);
}
