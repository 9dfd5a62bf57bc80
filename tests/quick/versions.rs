//! One version, told in several places.

use world::Ended;

#[test]
fn the_changelog_begins_with_the_version_that_the_program_and_its_wheel_have() {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = include_str!("../../CHANGELOG.md");
    let heading = changelog.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    let told = heading.split(',').next().unwrap();
    assert_eq!(told, version, "CHANGELOG.md: {heading}");
    let said = Ended::of(world::floe().arg("--version").output().unwrap()).expect(0);
    assert_eq!(said.stdout, format!("floe {version}\n"));
    // maturin takes from Cargo.toml what is dynamic.
    let wheel = include_str!("../../pyproject.toml").parse::<toml::Table>().unwrap();
    let project = wheel["project"].as_table().unwrap();
    assert_eq!(project["name"].as_str(), Some(env!("CARGO_PKG_NAME")));
    assert!(project.get("version").is_none());
    let dynamic = project["dynamic"].as_array().unwrap();
    assert!(dynamic.iter().any(|name| name.as_str() == Some("version")));
}
