//! Random sets of specs: what they come to is frozen, made again from the frozen spec, and frozen once more.

use std::fs;

use floe::envs::conda::CondaError;
use floe::envs::env_export;
use floe::spec::frozen::Frozen;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use world::channel::synthetic::{PART_VERSIONS, PARTS};

use crate::place::{Place, conda_error, name, packages, yml};

/// Some parts, each free or bound to versions.
fn specs() -> impl Strategy<Value = Vec<String>> {
    let bound = prop_oneof![
        2 => Just(String::new()),
        3 => (select(vec!["=", ">=", "<=", "!=", "~="]), select(PART_VERSIONS))
            .prop_map(|(operator, version)| format!("{operator}{version}.0")),
    ];
    subsequence(PARTS, 1..=5).prop_flat_map(move |parts| {
        let bounds = prop::collection::vec(bound.clone(), parts.len());
        bounds.prop_map(move |bounds| {
            parts
                .iter()
                .zip(bounds)
                .map(|(part, bound)| format!("{part}{bound}"))
                .collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn freezing_what_was_made_from_a_frozen_spec_gives_the_same_bytes(specs in specs()) {
        let place = Place::new();
        let specs = specs.iter().map(String::as_str).collect::<Vec<_>>();
        let prefix = match place.create("x", &yml(&specs)) {
            Ok(prefix) => prefix,
            Err(error) => {
                let error = conda_error(error);
                prop_assert!(matches!(error, CondaError::Unsatisfiable { .. }), "{specs:?}: {error}");
                prop_assert!(place.layout.installed().unwrap().is_empty());
                return Ok(());
            }
        };
        let freeze = || env_export(&place.layout, &name("x"), None, &place.sink).unwrap();
        let (frozen, installed) = (freeze(), packages(&prefix));
        let file = Frozen::yml_path(place.root.path(), "x");
        frozen.save(&file).unwrap();
        fs::remove_dir_all(&prefix).unwrap();
        place.create_from("x", Some(&file)).unwrap();
        prop_assert_eq!(packages(&prefix), installed);
        let again = freeze();
        prop_assert_eq!(again.to_yml(), frozen.to_yml());
        prop_assert_eq!(again.to_lock().unwrap(), frozen.to_lock().unwrap());
    }
}
