//! The layers of environments: what makes them says in the image's history whose they are.

use crate::reference::EnvironmentName;

/// Begins the words of an assembled layer.
const ASSEMBLED: &str = "floe: environment ";

/// Where stages leave the trees of environments.
const STAGED: &str = "/floe/";

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
}
