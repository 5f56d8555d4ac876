//! Images in the terminal, through the graphics protocols of kitty and iTerm2.

use std::env;
use std::io::{self, IsTerminal, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::CommandError;

/// A terminal graphics protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GraphicsProtocol {
    /// kitty, Ghostty: <https://sw.kovidgoyal.net/kitty/graphics-protocol/>.
    Kitty,
    /// iTerm2, WezTerm: <https://iterm2.com/documentation-images.html>.
    Iterm,
}

/// Maximum size of a chunk in kitty's protocol, in bytes.
const PART_BYTES: usize = 4096;

/// The graphics protocol of the terminal at standard output; `None` if it is not a terminal or not known to support
/// one.
pub(crate) fn protocol() -> Option<GraphicsProtocol> {
    if !io::stdout().is_terminal() {
        return None;
    }
    detect(|name| env::var(name).ok())
}

/// Displays a PNG in the terminal, if it supports that.
pub(crate) fn show(png: &[u8]) -> Result<(), CommandError> {
    let Some(protocol) = protocol() else { return Ok(()) };
    let mut out = io::stdout().lock();
    out.write_all(encoded(protocol, png).as_bytes())?;
    Ok(out.flush()?)
}

/// Detects the protocol from environment variables. Terminal multiplexers do not pass graphics through.
fn detect(variable: impl Fn(&str) -> Option<String>) -> Option<GraphicsProtocol> {
    let is =
        |name: &str, values: &[&str]| variable(name).is_some_and(|value| values.contains(&value.as_str()));
    if variable("TMUX").is_some() || variable("STY").is_some() {
        return None;
    }
    if variable("KITTY_WINDOW_ID").is_some()
        || is("TERM", &["xterm-kitty", "xterm-ghostty"])
        || is("TERM_PROGRAM", &["ghostty"])
    {
        return Some(GraphicsProtocol::Kitty);
    }
    is("TERM_PROGRAM", &["iTerm.app", "WezTerm"]).then_some(GraphicsProtocol::Iterm)
}

fn encoded(protocol: GraphicsProtocol, png: &[u8]) -> String {
    let text = STANDARD.encode(png);
    match protocol {
        GraphicsProtocol::Iterm => {
            format!("\u{1b}]1337;File=inline=1;size={};preserveAspectRatio=1:{text}\u{7}\n", png.len())
        }
        GraphicsProtocol::Kitty => {
            let parts: Vec<&str> = text
                .as_bytes()
                .chunks(PART_BYTES)
                .filter_map(|part| std::str::from_utf8(part).ok())
                .collect();
            let part = |(index, part): (usize, &&str)| {
                let first = if index == 0 { "a=T,f=100,q=2," } else { "" };
                let more = u8::from(index + 1 < parts.len());
                format!("\u{1b}_G{first}m={more};{part}\u{1b}\\")
            };
            parts.iter().enumerate().map(part).collect::<String>() + "\n"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<GraphicsProtocol> {
        detect(|name| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn terminals_are_known_by_their_variables() {
        assert_eq!(of(&[("TERM", "xterm-kitty")]), Some(GraphicsProtocol::Kitty));
        assert_eq!(of(&[("TERM_PROGRAM", "iTerm.app")]), Some(GraphicsProtocol::Iterm));
        assert_eq!(of(&[("TERM", "xterm-256color")]), None);
        assert_eq!(of(&[("TERM", "xterm-kitty"), ("TMUX", "socket")]), None);
    }

    #[test]
    fn a_picture_comes_in_parts_that_join_to_it() {
        let png: Vec<u8> = (0..9_000_u32).map(|at| (at % 251) as u8).collect();
        let kitty = encoded(GraphicsProtocol::Kitty, &png);
        let parts: Vec<(&str, &str)> = kitty
            .split("\u{1b}_G")
            .skip(1)
            .map(|part| part.split_once("\u{1b}\\").unwrap().0.split_once(';').unwrap())
            .collect();
        assert_eq!(
            parts.iter().map(|(keys, _)| *keys).collect::<Vec<_>>(),
            ["a=T,f=100,q=2,m=1", "m=1", "m=0"]
        );
        let joined: String = parts.iter().map(|(_, text)| *text).collect();
        assert_eq!(STANDARD.decode(joined).unwrap(), png);
        let iterm = encoded(GraphicsProtocol::Iterm, &png);
        let text = iterm.strip_prefix("\u{1b}]1337;File=inline=1;size=9000;preserveAspectRatio=1:").unwrap();
        assert_eq!(STANDARD.decode(text.strip_suffix("\u{7}\n").unwrap()).unwrap(), png);
    }
}
