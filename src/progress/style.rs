//! Whether there are colours, and which.

use std::env;

use console::Term;

use crate::platform;

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Style(bool);

impl Style {
    #[cfg(test)]
    pub(super) const COLOR: Self = Self(true);

    /// As the user and the terminal have it: <https://no-color.org>, then
    /// <https://bixense.com/clicolors>. An empty variable is unset.
    pub(super) fn for_stderr() -> Self {
        let is_attended = can_draw() && Term::stderr().features().colors_supported();
        Self(is_wanted(|name| env::var(name).ok(), is_attended))
    }

    pub(super) fn is_enabled(self) -> bool {
        self.0
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.with("1;31", text)
    }

    pub(super) fn cyan(self, text: &str) -> String {
        self.with("36", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn is_wanted(variable: impl Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    match (set("CLICOLOR_FORCE").as_deref(), set("CLICOLOR").as_deref()) {
        (Some(force), _) if force != "0" => true,
        (_, Some("0")) => false,
        _ => is_terminal,
    }
}

/// Bars need a terminal that moves its cursor; anywhere else they would be noise in a file.
pub(super) fn can_draw() -> bool {
    Term::stderr().features().is_attended()
        && !console::is_dumb()
        && !is_empty("TERM")
        && platform::can_move_cursor()
}

fn is_empty(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_a_wish_of_the_user_and_a_matter_of_the_terminal() {
        for (variables, on_terminal, elsewhere) in [
            (&[][..], true, false),
            (&[("NO_COLOR", "1")], false, false),
            (&[("NO_COLOR", "")], true, false),
            (&[("CLICOLOR", "0")], false, false),
            (&[("CLICOLOR", "1")], true, false),
            (&[("CLICOLOR_FORCE", "1")], true, true),
            (&[("CLICOLOR_FORCE", "0")], true, false),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false, false),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(is_wanted(variable, true), on_terminal, "{variables:?}");
            assert_eq!(is_wanted(variable, false), elsewhere, "{variables:?}");
        }
    }
}
