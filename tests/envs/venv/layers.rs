//! Environments staged as several layers.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;

use floe::envs::env_stage;

use super::tree;
use crate::place::{Place, name};

/// The environment with these packages beside a kernel, staged as so many layers: what each holds.
fn staged(place: &Place, packages: &str, layers: usize) -> Vec<BTreeSet<String>> {
    let list = place.file("environments/x/x.pip", &format!("ruff==0.14.0\nsix\n{packages}\n"));
    let out = place.layout.environments.join("out");
    place.create_from("x", None).unwrap();
    place.update_from("x", &[list]).unwrap();
    env_stage(place.work(&name("x")), &out, NonZeroUsize::new(layers).unwrap()).unwrap();
    let layer = |index: usize| match layers {
        1 => out.clone(),
        _ => out.join(format!("{index:02}")),
    };
    let held = (0..layers).map(|index| tree(&layer(index)).into_iter().collect());
    let held = held.collect();
    fs::remove_dir_all(&out).unwrap();
    held
}

#[test]
fn several_layers_hold_what_one_holds_and_a_changed_package_changes_one() {
    let place = Place::venv("layers");
    let one = staged(&place, "iniconfig==2.0.0", 1).remove(0);
    let several = staged(&place, "iniconfig==2.0.0", 9);
    assert_eq!(several.iter().flatten().cloned().collect::<BTreeSet<_>>(), one);
    let is_file = |line: &&String| line.contains(" 100");
    let files = several.iter().flatten().filter(is_file).count();
    assert_eq!(files, one.iter().filter(is_file).count(), "each file lies in one");
    // The largest lies alone, and what the environment itself is made of in the last.
    let alone = several[0].iter().filter(is_file).collect::<Vec<_>>();
    assert!(alone.iter().any(|line| line.contains("/bin/ruff ")), "{alone:?}");
    assert!(alone.iter().all(|line| line.contains("ruff")), "{alone:?}");
    let own = several[8].iter().filter(is_file).collect::<Vec<_>>();
    assert!(own.iter().any(|line| line.contains("/pyvenv.cfg")), "{own:?}");
    assert!(
        !own.iter().any(|line| line.contains("/site-packages/six.py")),
        "{own:?}"
    );

    let after = staged(&place, "iniconfig==2.1.0", 9);
    let changed = several.iter().zip(&after).filter(|(before, after)| before != after);
    let changed = changed.collect::<Vec<_>>();
    assert_eq!(changed.len(), 1);
    assert!(
        changed[0]
            .1
            .iter()
            .any(|line| line.contains("iniconfig-2.1.0.dist-info/RECORD"))
    );
    assert!(!changed[0].1.iter().any(|line| line.contains("iniconfig-2.0.0")));
}
