//! A name for a user whom an image does not know: programs ask for it.

use std::fmt::Write as _;
use std::fs;

use super::super::WorkflowError;
use crate::context::Context;
use crate::engine::{Consoles, Container, Image, User};
use crate::state::FileError;

/// Gives the user of a container that has not begun the name of the image's own user.
pub async fn add(
    consoles: &(impl Consoles + ?Sized),
    container: &Container,
    image: &Image,
    user: User,
    home: &str,
) -> Result<(), WorkflowError> {
    let own = tempfile::tempdir().map_err(FileError::of(&std::env::temp_dir()))?;
    let file = own.path().join("passwd");
    if !consoles.fetch(container, "/etc/passwd", own.path().to_owned()).await? || !file.is_file() {
        return Ok(());
    }
    let text = fs::read_to_string(&file).map_err(FileError::of(&file))?;
    let own_name = image.variables.get("NB_USER").map(String::as_str);
    let Some(text) = named(
        &text,
        own_name,
        image.user.split(':').next().unwrap_or_default(),
        user,
        home,
    ) else {
        return Ok(());
    };
    fs::write(&file, text).map_err(FileError::of(&file))?;
    Ok(consoles.give(container, "/etc", &Context::new(own.path())).await?)
}

/// The text of `/etc/passwd` with this user in it; `None` where it has one.
fn named(text: &str, name: Option<&str>, image_user: &str, user: User, home: &str) -> Option<String> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let lines = text.lines().map(fields).collect::<Vec<_>>();
    let id = user.id.to_string();
    if lines.iter().any(|line| line.get(2) == Some(&id)) {
        return None;
    }
    let is_own = |line: &Vec<String>| {
        line.len() >= 7
            && line[2] != "0"
            && (Some(line[0].as_str()) == name || line[0] == image_user || line[2] == image_user)
    };
    let own = lines.iter().position(is_own);
    let mut changed = String::new();
    for (index, mut line) in lines.into_iter().enumerate() {
        if Some(index) == own {
            line[2].clone_from(&id);
            line[3] = user.group.to_string();
        }
        let _ = writeln!(changed, "{}", line.join(":"));
    }
    if own.is_none() {
        let _ = writeln!(changed, "floe:x:{id}:{}::{home}:/bin/sh", user.group);
    }
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "root:x:0:0:root:/root:/bin/bash\njovyan:x:1000:100::/home/jovyan:/bin/bash\n";

    const USER: User = User {
        id: 1234,
        group: 1235,
        beside: 100,
    };

    #[test]
    fn a_user_of_the_host_takes_the_name_of_the_images_own() {
        for own in [(Some("jovyan"), "1000"), (None, "jovyan"), (None, "1000")] {
            let text = named(TEXT, own.0, own.1, USER, "/home/jovyan").unwrap();
            assert!(
                text.contains("\njovyan:x:1234:1235::/home/jovyan:/bin/bash\n"),
                "{text}"
            );
            assert!(text.starts_with("root:x:0:0:"), "{text}");
        }
        let unknown = named(TEXT, None, "", USER, "/root").unwrap();
        assert!(unknown.ends_with("floe:x:1234:1235::/root:/bin/sh\n"), "{unknown}");
    }

    #[test]
    fn a_user_whom_the_image_knows_keeps_the_name_there() {
        assert_eq!(
            named(TEXT, Some("jovyan"), "1000", User { id: 0, ..USER }, "/root"),
            None
        );
    }
}
