//! Which style stands for what: the terminal's own sixteen colours, bold and dim, nothing else.
//!
//! Not for: layout. A style is never the only carrier of a meaning: a sign or a word goes with it, so
//! that `NO_COLOR` loses nothing.

use ratatui::style::{Color, Modifier, Style};

use super::text::highlight::Kind;
use crate::task::Effort;

/// The styles in force. The foreground of ordinary text is always the terminal's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    light: bool,
    colours: bool,
}

impl Theme {
    pub const DARK: Self = Self { light: false, colours: true };
    pub const LIGHT: Self = Self { light: true, colours: true };
    pub const PLAIN: Self = Self { light: false, colours: false };

    #[must_use]
    pub const fn with_background(self, light: bool) -> Self {
        Self { light, ..self }
    }

    const fn colour(self, dark: Color, light: Color) -> Style {
        if !self.colours {
            return Style::new();
        }
        Style::new().fg(if self.light { light } else { dark })
    }

    pub const fn text(self) -> Style {
        Style::new()
    }
    /// Less important; dim where the terminal can, never a grey that may be the background.
    pub const fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
    pub const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }
    /// What the eye should find: prompts, keys, the selected entry.
    pub const fn accent(self) -> Style {
        self.colour(Color::Cyan, Color::Blue)
    }
    pub const fn good(self) -> Style {
        self.colour(Color::Green, Color::Green)
    }
    pub const fn bad(self) -> Style {
        self.colour(Color::Red, Color::Red)
    }
    /// Attention without alarm. Yellow cannot be read on white.
    pub const fn warn(self) -> Style {
        self.colour(Color::Yellow, Color::Magenta)
    }
    pub const fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The composer's border: the effort at a glance.
    pub const fn effort(self, effort: Effort) -> Style {
        match effort {
            Effort::Fast => self.colour(Color::Green, Color::Green),
            Effort::Auto => self.colour(Color::Cyan, Color::Blue),
            Effort::Deep => self.colour(Color::Magenta, Color::Magenta),
            Effort::Window(_) => self.colour(Color::Yellow, Color::Red),
        }
    }

    pub const fn code(self, kind: Kind) -> Style {
        match kind {
            Kind::Plain => Style::new(),
            Kind::Keyword => self.colour(Color::Magenta, Color::Magenta),
            Kind::Type => self.colour(Color::Cyan, Color::Cyan),
            Kind::Call => self.colour(Color::LightBlue, Color::Blue),
            Kind::Text => self.colour(Color::Green, Color::Green),
            Kind::Number => self.colour(Color::Yellow, Color::Red),
            Kind::Comment => Style::new().add_modifier(Modifier::DIM).add_modifier(Modifier::ITALIC),
        }
    }
}
