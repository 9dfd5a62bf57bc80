//! The area at the bottom of a terminal that shows what is going on now.
//!
//! What it shows is the data of [`Model`], which turns itself into lines; indicatif draws them and takes them away again.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use super::model::{Model, lock};
use super::paint::Paint;
use super::pulse::{Pulse, SILENCE_INTERVAL};
use super::{Style, Writer};

/// The display: lines that stay, and below them the area, where there is one.
pub(super) struct Screen {
    writer: Writer,
    model: Arc<Mutex<Model>>,
    below: Below,
    muted: bool,
}

/// What tells of what goes on now.
enum Below {
    /// The area of a terminal.
    Area(Area),
    /// A line from time to time.
    Pulse(Pulse),
    /// Nothing.
    Nothing,
}

struct Area {
    bar: ProgressBar,
    width: fn() -> u16,
}

impl Screen {
    pub(super) fn new(writer: Box<dyn Write + Send>, style: Style) -> Self {
        let writer = Arc::new(Mutex::new(writer));
        let model = Arc::new(Mutex::new(Model::default()));
        let (shown, to) = (Arc::clone(&model), Arc::clone(&writer));
        let below = if style.live {
            Below::Area(Area::begin(to, shown, style))
        } else if style.quiet {
            Below::Nothing
        } else {
            let paint = Paint { color: style.color };
            Below::Pulse(Pulse::begin(to, shown, paint, SILENCE_INTERVAL))
        };
        Self {
            writer,
            model,
            below,
            muted: false,
        }
    }

    /// Whether lines are passed over from now on.
    pub(super) fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// The columns of the terminal, where there is an area.
    pub(super) fn columns(&self) -> Option<usize> {
        match &self.below {
            Below::Area(area) => Some(usize::from((area.width)())),
            Below::Pulse(_) | Below::Nothing => None,
        }
    }

    /// Shows lines that stay. A display that cannot be written to stops nothing.
    pub(super) fn lines(&self, lines: &[String]) {
        if lines.is_empty() || self.muted {
            return;
        }
        let mut text = lines.join("\n");
        text.push('\n');
        let write = || {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
        };
        match &self.below {
            Below::Area(area) => area.bar.suspend(write),
            Below::Pulse(pulse) => {
                pulse.heard();
                write();
            }
            Below::Nothing => write(),
        }
    }

    /// Changes what goes on.
    pub(super) fn update(&self, change: impl FnOnce(&mut Model)) {
        change(&mut lock(&self.model));
    }

    /// Takes the area away for good.
    pub(super) fn clear(&self) {
        if let Below::Area(area) = &self.below {
            area.bar.finish_and_clear();
        }
    }
}

impl Area {
    fn begin(writer: Writer, shown: Arc<Mutex<Model>>, style: Style) -> Self {
        let paint = Paint { color: style.color };
        let draw = move |_: &ProgressState, out: &mut dyn fmt::Write| {
            // Ctrl-C is echoed as `^C`, which must not take a line of its own: the area would not be taken away whole.
            let columns = usize::from((style.width)()).saturating_sub(2);
            let lines = lock(&shown).area(paint, columns, Instant::now());
            let _ = out.write_str(&lines.join("\n"));
        };
        let terminal = Terminal {
            writer,
            width: style.width,
            pending: Mutex::default(),
        };
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal), 10);
        let bar = ProgressBar::with_draw_target(None, target);
        // The template is valid: it is a constant with one key.
        let template = ProgressStyle::with_template("{area}").unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(template.with_key("area", draw));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self {
            bar,
            width: style.width,
        }
    }
}

/// A terminal behind a writer. What is drawn at a time is written at once, so that nothing flickers.
struct Terminal {
    writer: Writer,
    width: fn() -> u16,
    pending: Mutex<String>,
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Terminal {
    #[expect(clippy::unnecessary_wraps, reason = "the type that indicatif asks for")]
    fn push(&self, text: &str) -> io::Result<()> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.push_str(text);
        Ok(())
    }

    fn move_cursor(&self, n: usize, direction: char) -> io::Result<()> {
        if n == 0 {
            return Ok(());
        }
        self.push(&format!("\u{1b}[{n}{direction}"))
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        (self.width)()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.push(text)?;
        self.push("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.push(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.push("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(std::mem::take(&mut *pending).as_bytes())?;
        writer.flush()
    }
}
