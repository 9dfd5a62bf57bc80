//! Several shell commands in one setting.

/// Commands separated by semicolons or line breaks. Those within quotes separate nothing.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut commands = vec![String::new()];
    let (mut quote, mut escaped) = (None, false);
    for c in text.chars() {
        let last = commands.last_mut().expect("there is a last one");
        match (quote, c) {
            (None, ';' | '\n') if !escaped => {
                commands.push(String::new());
                continue;
            }
            (None, '\'' | '"') if !escaped => quote = Some(c),
            (Some(open), _) if c == open && !(escaped && open == '"') => quote = None,
            _ => {}
        }
        escaped = c == '\\' && !escaped && quote != Some('\'');
        last.push(c);
    }
    let commands = commands.iter().map(|command| command.trim());
    commands
        .filter(|command| !command.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_separated_by_semicolons_outside_of_quotes() {
        assert_eq!(
            split("trivy image $FLOE_IMAGE; ; sh -c 'a; b' \\; c;grep \";\" x\nlast"),
            ["trivy image $FLOE_IMAGE", "sh -c 'a; b' \\; c", "grep \";\" x", "last"]
        );
    }
}
