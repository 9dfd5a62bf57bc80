//! What a program printed, as HTML: escaped, with its colours as classes of the page's style.
//!
//! A program chooses its colours for a terminal that it does not know, and a page is read on light and on dark ground.
//! So of each colour only the hue is kept, and the style says what is legible.

use std::fmt::Write as _;

use crate::report::untrusted::Untrusted;

/// The text as HTML for inside of `<pre>`. It holds no element but `<span class="…">`.
pub(super) fn markup(text: &str) -> String {
    let untrusted = Untrusted {
        color: true,
        commands: false,
    };
    let lines = untrusted.lines(text);
    lines.iter().map(|line| self::line(line)).collect::<Vec<_>>().join("\n")
}

/// The text as HTML, without any markup of its own.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(c),
        }
    }
    html
}

/// One line, whose only control sequences set colours.
fn line(line: &str) -> String {
    let mut html = String::new();
    let mut pen = Pen::default();
    let mut rest = line;
    while let Some((text, after)) = rest.split_once("\u{1b}[") {
        pen.write(text, &mut html);
        let (parameters, after) = after.split_once('m').unwrap_or((after, ""));
        pen.set(parameters);
        rest = after;
    }
    pen.write(rest, &mut html);
    html
}

/// The hues that the style knows, by their place among the eight colours of a terminal.
const HUES: [&str; 8] = ["", "red", "green", "yellow", "blue", "magenta", "cyan", ""];

/// How text is written.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
struct Pen {
    hue: &'static str,
    ground: &'static str,
    bold: bool,
    dim: bool,
    italic: bool,
    underlined: bool,
}

impl Pen {
    fn write(&self, text: &str, html: &mut String) {
        if text.is_empty() {
            return;
        }
        let mut classes = Vec::new();
        let switches = [
            (self.bold, "bold"),
            (self.dim, "faint"),
            (self.italic, "italic"),
            (self.underlined, "underlined"),
        ];
        classes.extend(
            switches
                .iter()
                .filter(|(on, _)| *on)
                .map(|(_, class)| (*class).to_owned()),
        );
        if !self.hue.is_empty() {
            classes.push(self.hue.to_owned());
        }
        if !self.ground.is_empty() {
            classes.push(format!("on-{}", self.ground));
        }
        if classes.is_empty() {
            html.push_str(&escaped(text));
        } else {
            let _ = write!(html, "<span class=\"{}\">{}</span>", classes.join(" "), escaped(text));
        }
    }

    fn set(&mut self, parameters: &str) {
        let mut numbers = parameters
            .split([';', ':'])
            .map(|item| item.parse::<u16>().unwrap_or(0));
        while let Some(number) = numbers.next() {
            match number {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 => self.underlined = true,
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underlined = false,
                30..=37 => self.hue = HUES[usize::from(number - 30)],
                90..=97 => self.hue = HUES[usize::from(number - 90)],
                40..=47 => self.ground = HUES[usize::from(number - 40)],
                100..=107 => self.ground = HUES[usize::from(number - 100)],
                38 => self.hue = extended(&mut numbers),
                48 => self.ground = extended(&mut numbers),
                58 => _ = extended(&mut numbers),
                39 => self.hue = "",
                49 => self.ground = "",
                _ => {}
            }
        }
    }
}

/// The hue of a colour of a palette of 256, or of one given by its parts.
fn extended(numbers: &mut impl Iterator<Item = u16>) -> &'static str {
    match numbers.next() {
        Some(5) => match numbers.next().unwrap_or(0) {
            number @ 0..=15 => HUES[usize::from(number % 8)],
            number @ 16..=231 => {
                let level = |digit: u16| if digit == 0 { 0 } else { 55 + 40 * digit };
                let cube = number - 16;
                hue(level(cube / 36), level(cube / 6 % 6), level(cube % 6))
            }
            _ => "",
        },
        Some(2) => {
            let mut part = || numbers.next().unwrap_or(0).min(255);
            let (red, green, blue) = (part(), part(), part());
            hue(red, green, blue)
        }
        _ => "",
    }
}

/// The hue of a colour; none of a grey.
fn hue(red: u16, green: u16, blue: u16) -> &'static str {
    let most = red.max(green).max(blue);
    let least = red.min(green).min(blue);
    if most - least < 48 {
        return "";
    }
    // A part counts where it is nearer to the greatest than to the least.
    let counts = |part: u16| 2 * part > most + least;
    match (counts(red), counts(green), counts(blue)) {
        (true, true, false) => "yellow",
        (false, true, true) => "cyan",
        (true, false, true) => "magenta",
        (true, ..) => "red",
        (_, true, _) => "green",
        _ => "blue",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_become_classes() {
        assert_eq!(
            markup("a \u{1b}[1;31mred\u{1b}[0m\n\u{1b}[38;5;28;43mx\u{1b}[49m<y>\u{1b}[39m z"),
            "a <span class=\"bold red\">red</span>\n\
             <span class=\"green on-yellow\">x</span><span class=\"green\">&lt;y&gt;</span> z"
        );
        assert_eq!(markup("\u{1b}[38;2;10;20;200mblue"), "<span class=\"blue\">blue</span>");
        assert_eq!(
            markup("\u{1b}[38;5;240mgrey\u{1b}[97mwhite\u{1b}[30mblack"),
            "greywhiteblack"
        );
    }

    #[test]
    fn nothing_but_spans_comes_out() {
        let hostile = "</pre><script>alert(1)</script>\u{1b}[31m\" onclick='x'\u{1b}[\"><b>m&";
        let html = markup(hostile);
        let spans = html.matches("<span class=\"red\">").count();
        assert_eq!(
            html.matches('<').count(),
            spans + html.matches("</span>").count(),
            "{html}"
        );
        assert_eq!(html.matches('"').count(), 2 * spans, "{html}");
    }

    #[test]
    fn every_color_of_the_palette_is_some_hue() {
        for number in 0..=400 {
            let html = markup(&format!("\u{1b}[38;5;{number};1mx"));
            assert!(html.contains("bold"), "{number}: {html}");
        }
    }
}
