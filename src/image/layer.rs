//! The layers of environments: what makes them says in the image's history whose they are.

use crate::reference::EnvironmentName;

/// Begins the words of an assembled layer.
const ASSEMBLED: &str = "floe: environment ";

/// What the history says of the layer that holds floe's own program.
pub const PROGRAM: &str = "floe: its own program";

/// Where stages leave the trees of environments.
const STAGED: &str = "/floe/";

/// Characters of an instruction that are shown.
const WIDEST: usize = 100;

/// What the history says of a layer that was assembled: which it is of those of its environment.
#[must_use]
pub fn assembled(environment: &EnvironmentName, number: usize, all: usize) -> String {
    format!("{ASSEMBLED}{environment}, layer {number} of {all}")
}

/// Where a stage leaves the tree of an environment, or the trees of its layers, for the image to copy.
#[must_use]
pub fn staged(environment: &EnvironmentName) -> String {
    format!("{STAGED}{environment}")
}

/// The directory there of one layer, of several that are counted from 0.
#[must_use]
pub fn numbered(index: usize) -> String {
    format!("{index:02}")
}

/// The environment that a layer holds, by what the history says that made it; `None` where it says nothing of the kind.
#[must_use]
pub fn environment_of(made: &str) -> Option<EnvironmentName> {
    let (name, _) = match made.strip_prefix(ASSEMBLED) {
        Some(rest) => rest.split_once(", ")?,
        None => made.strip_prefix("COPY ")?.strip_prefix(STAGED)?.split_once('/')?,
    };
    name.parse().ok()
}

/// What people call a layer: an environment's by its name, and any other by the instruction that made it.
#[must_use]
pub fn called(made: &str) -> String {
    match environment_of(made) {
        Some(environment) => format!("environment {environment}"),
        None => instruction(made),
    }
}

/// What a shell ran, without the arguments of the build; or what else made a layer. On one line, and cut where it is long.
fn instruction(made: &str) -> String {
    let words = made.trim_end_matches(" # buildkit");
    let words = words.split_once("/bin/sh -c ").map_or(words, |(_, words)| words);
    let words = words.trim_start_matches("#(nop) ").split_whitespace();
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WIDEST) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_made_a_layer_says_whose_it_is() {
        let name = "roman-cal".parse().unwrap();
        let copied = format!("COPY {}/ / # buildkit", staged(&name));
        let one_of_several = format!("COPY {}/03/ / # buildkit", staged(&name));
        for made in [assembled(&name, 3, 20), copied, one_of_several] {
            assert_eq!(environment_of(&made), Some(name.clone()), "{made}");
        }
        for other in [
            "",
            "RUN env-create roman-cal",
            "COPY /floe-imprint/files/ / # buildkit",
            "COPY environments/ /opt/environments/ # buildkit",
            "floe: environment ",
            "COPY /floe/../ /",
        ] {
            assert_eq!(environment_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_layer_is_called_by_what_it_holds_or_by_what_made_it() {
        for (made, name) in [
            ("floe: environment cal, layer 3 of 40", "environment cal"),
            ("COPY /floe/cal/03/ / # buildkit", "environment cal"),
            (
                "RUN |2 A=1 B=2 /bin/sh -c apt-install nano # buildkit",
                "apt-install nano",
            ),
            ("/bin/sh -c #(nop) ADD file:1 in / ", "ADD file:1 in /"),
            ("COPY a/ /b/ # buildkit", "COPY a/ /b/"),
            ("/bin/sh -c a \\\n    b", "a \\ b"),
            ("", ""),
        ] {
            assert_eq!(called(made), name);
        }
    }
}
