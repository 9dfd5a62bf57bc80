//! `docs/reference/settings.md`: every setting, in the words of `setup-env.template`.

use std::fmt::Write as _;

use floe::config::declared::SETTINGS;

use super::assert_page;

const HEAD: &str = "\
# Settings

A flag of the call wins over an environment variable, which wins over a line of `setup-env`, which wins over the default.
`setup-env.template` has all of them, to be copied and edited. Of the shell's language floe reads comments and
`export NAME=value` with quotes and `${NAME}`, and refuses the rest with its line.
";

#[test]
fn every_setting_is_told_of() {
    let mut text = HEAD.to_owned();
    for setting in SETTINGS {
        let _ = write!(text, "\n## `{}`\n\n", setting.name);
        for (number, line) in setting.about.lines().enumerate() {
            // Each value that is explained begins a paragraph.
            if number > 0 && line.starts_with(|c: char| c.is_ascii_digit()) {
                text.push('\n');
            }
            let _ = writeln!(text, "{}", line.replace('<', "\\<"));
        }
        if !setting.default.is_empty() {
            let _ = write!(text, "\nDefault: `{}`\n", setting.default);
        }
    }
    assert_page("settings.md", &text);
}
