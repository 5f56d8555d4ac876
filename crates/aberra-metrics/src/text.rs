//! Text for terminals and logs: what would control a terminal, break a line or turn the direction of writing is shown as an
//! escape instead.

use std::borrow::Cow;

/// The text on one line: also its line breaks and tabs are escaped. For names.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, controls)
}

/// The text with its lines and tabs as they are. For whole messages.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| controls(character) && !matches!(character, '\n' | '\t'))
}

fn controls(character: char) -> bool {
    let turns =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(character, '\u{2028}' | '\u{2029}');
    character.is_control() || turns || breaks
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let one = |character: char| match is_escaped(character) {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    Cow::Owned(text.chars().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_shown_and_letters_of_any_script_stay() {
        let hostile = "\u{1b}]0;owned\u{7}\u{9b}31m\r\u{202e}gnp.exe";
        assert_eq!(lines(hostile), r"\u{1b}]0;owned\u{7}\u{9b}31m\r\u{202e}gnp.exe");
        assert_eq!(printable("two\nlines\t"), r"two\nlines\t");
        assert_eq!(lines("two\nlines\t"), "two\nlines\t");
        for plain in ["断層 é.png", "\u{1f9e0}", "עברית"] {
            assert!(matches!(printable(plain), Cow::Borrowed(same) if same == plain));
        }
    }
}
