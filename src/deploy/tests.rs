//! What the gates say.

use super::*;
use crate::deploy::checked::{Checked, CheckedTest};
use crate::fault::{Explained as _, Kind};
use crate::reference::Digest;

fn checked(digest: &Digest, failed: &[Option<&str>]) -> Checked {
    let tests = failed.iter().map(|failed| CheckedTest {
        name: "hub".to_owned(),
        failed: failed.map(str::to_owned),
    });
    Checked {
        digest: digest.clone(),
        tests: tests.collect(),
        untested: Vec::new(),
        time: 0,
    }
}

#[test]
fn a_check_of_another_image_of_nothing_or_that_failed_lets_nothing_pass() {
    let (digest, other) = (Digest::of(b"image"), Digest::of(b"other"));
    let (deployment, stage) = ("pub".parse().unwrap(), "staging".parse().unwrap());
    let gate = |checked: Option<&Checked>| passed(checked, &deployment, &stage, &digest);
    assert_eq!(gate(Some(&checked(&digest, &[None, None]))), Ok(()));
    assert!(matches!(gate(None), Err(Refusal::Unchecked { .. })));
    assert!(matches!(
        gate(Some(&checked(&other, &[None]))),
        Err(Refusal::Unchecked { .. })
    ));
    for failed in [
        checked(&digest, &[]),
        checked(&digest, &[None, Some("it does not answer")]),
    ] {
        let refused = DeployError::from(gate(Some(&failed)).unwrap_err());
        assert_eq!(refused.kind(), Kind::Refused);
        assert!(refused.hint().unwrap().contains("floe check pub staging"), "{refused}");
    }
}
