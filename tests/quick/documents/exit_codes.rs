//! `docs/reference/exit-codes.md`: the codes that the manual's first page tells.

use std::fmt::Write as _;

use world::Ended;

use super::assert_page;

const HEAD: &str = "\
# Exit codes

A code says how a call ended and is never a count. [When it fails](../when-it-fails.md) tells what to do for each.
`floe shell` and `floe exec` end with the exit code of their command; what keeps it from starting ends with one of these, and says
`error:`.

| exit code | meaning |
|---|---|
";

#[test]
fn every_exit_code_is_explained_in_the_manual_and_on_a_page() {
    let output = world::floe().arg("man").output().unwrap();
    let page = Ended::of(output).expect(0).stdout;
    let told = page.split("\n.SH \"EXIT STATUS\"\n").nth(1).unwrap();
    let mut text = HEAD.to_owned();
    for told in told.split(".TP\n").skip(1) {
        let (code, meaning) = told.trim_end().split_once('\n').unwrap();
        let _ = writeln!(text, "| {code} | {meaning} |");
    }
    assert_page("exit-codes.md", &text);
}
