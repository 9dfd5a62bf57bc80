//! `docs/reference/commands.md`: the help of every command, with the options that all of them have told once.

use std::fmt::Write as _;

use world::Ended;

use super::assert_page;

const HEAD: &str = "\
# Commands

What `floe --help` and `floe COMMAND --help` print. The options of `floe` are those of every command.
";

const APPLETS: &str = "
## Inside an image

The same program is in `/opt/common-scripts/` of every image, under these names. On the host, `floe applet NAME …` does the
same.
";

#[test]
fn every_command_and_option_is_explained() {
    let mut text = HEAD.to_owned();
    let all = help(&[]);
    write_section(&mut text, "## floe", &all);
    for name in commands(&all).filter(|name| *name != "applet") {
        let help_of_it = help(&[name]);
        write_section(&mut text, &format!("## floe {name}"), &own(&help_of_it, &all));
        for below in commands(&help_of_it) {
            let heading = format!("### floe {name} {below}");
            write_section(&mut text, &heading, &own(&help(&[name, below]), &all));
        }
    }
    text.push_str(APPLETS);
    let all = help(&["applet"]);
    for name in commands(&all) {
        write_section(&mut text, &format!("### {name}"), &own(&help(&["applet", name]), &all));
    }
    assert_page("commands.md", &text);
}

#[test]
fn what_all_commands_have_is_taken_out_of_the_help_of_each() {
    let all = "About\n\nOptions:\n  -C, --dir <DIR>\n          Where\n\n      --when <WHEN>\n          When\n\n          Values:\n          - auto: x\n\n  -h, --help\n          Help";
    let one = format!("{all}\n\nOther:\n      --own\n          Its own");
    assert_eq!(own(&one, all), "About\n\nOther:\n      --own\n          Its own");
    assert_eq!(
        own("About\n\nOptions:\n  -h, --help  Print help", all),
        "About\n\nOptions:\n  -h, --help  Print help"
    );
}

/// What floe says of the command that these words are.
fn help(words: &[&str]) -> String {
    let output = world::floe().args(words).arg("--help").output().unwrap();
    let lines = Ended::of(output).expect(0).stdout;
    let lines = lines.lines().map(str::trim_end).collect::<Vec<_>>();
    lines.join("\n").trim_end().to_owned()
}

/// The names below `Commands:`, or those of floe itself in all their groups.
fn commands(help: &str) -> impl Iterator<Item = &str> {
    let grouped = || {
        let (_, listed) = help.split_once("\nEvery day:\n")?;
        Some(listed.split("\nOptions:\n").next().unwrap_or_default())
    };
    let below = help.split_once("\nCommands:\n");
    let below = below.map(|(_, listed)| listed.split("\n\n").next().unwrap_or_default());
    let listed = below.or_else(grouped).unwrap_or_default().lines();
    // What is said of a command may go on in further lines.
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next())
}

/// Help without the options that `all` tells of with the same first line, and without headings that have nothing left.
fn own(help: &str, all: &str) -> String {
    let is_option = |line: &str| line.trim_start().starts_with('-') && line.len() - line.trim_start().len() < 8;
    let common = all.lines().filter(|line| is_option(line)).collect::<Vec<_>>();
    let mut kept: Vec<&str> = Vec::new();
    let mut skipping = false;
    for line in help.lines() {
        if is_option(line) {
            skipping = common.contains(&line);
        } else if !line.is_empty() && !line.starts_with(' ') {
            skipping = false;
            pop_empty_heading(&mut kept);
        }
        if !skipping {
            kept.push(line);
        }
    }
    pop_empty_heading(&mut kept);
    kept.join("\n").trim_end().to_owned()
}

fn pop_empty_heading(kept: &mut Vec<&str>) {
    let last = kept.iter().rposition(|line| !line.is_empty());
    if let Some(last) = last.filter(|&last| kept[last].ends_with(':') && !kept[last].starts_with(' ')) {
        kept.truncate(last);
    }
}

fn write_section(text: &mut String, heading: &str, help: &str) {
    let _ = write!(text, "\n{heading}\n\n```text\n{help}\n```\n");
}
