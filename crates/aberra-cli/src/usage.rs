//! Wrong use in the words of the other errors: which argument, what was expected and what was found. What is expected follows
//! from the type of the argument, so that a new one needs nothing here.

use std::any::TypeId;
use std::num::{NonZeroU16, NonZeroU32};

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;
use crate::error::CommandError;

/// The error of a value that does not parse; `None` for other errors, which clap words well.
pub(crate) fn wrong_value(error: &clap::Error) -> Option<CommandError> {
    if error.kind() != ErrorKind::ValueValidation {
        return None;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (argument, found) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let mut command = Cli::command();
    command.build();
    let arg = arguments(&command).find(|arg| arg.to_string() == argument)?;
    let name = arg.get_long().map_or_else(|| argument.to_owned(), |long| format!("--{long}"));
    let reason = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    // Parsers of our own say what they expect, and some what they found.
    let message = match expected(arg.get_value_parser()) {
        _ if reason.contains("expected") && reason.contains("found") => format!("{name}: {reason}"),
        _ if reason.contains("expected") => format!("{name}: {reason}, found {found:?}"),
        Some(expected) => format!("{name}: expected {expected}, found {found:?}"),
        None => format!("{name}: expected {}, found {found:?} ({reason})", placeholder(arg)),
    };
    Some(CommandError::new(message).with_hint("--help says what each argument takes"))
}

/// The arguments of the program and of its verbs.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let verbs = command.get_subcommands().flat_map(Command::get_arguments);
    command.get_arguments().chain(verbs)
}

/// What a parser of a plain type expects.
fn expected(parser: &ValueParser) -> Option<&'static str> {
    let id = parser.type_id();
    let is = |types: &[TypeId]| types.iter().any(|one| id == *one);
    if is(&[TypeId::of::<f64>()]) {
        Some("a number")
    } else if is(&[TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()]) {
        Some("a whole number of 0 or above")
    } else if is(&[TypeId::of::<NonZeroU16>(), TypeId::of::<NonZeroU32>()]) {
        Some("a whole number of 1 or above")
    } else {
        None
    }
}

/// How help writes the value.
fn placeholder(arg: &Arg) -> String {
    let names: Vec<&str> = arg.get_value_names().into_iter().flatten().map(|name| name.as_str()).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;

    /// What anything is a value of; settings among them are looked at by `settings`.
    fn takes_any_text(arg: &Arg) -> bool {
        let id = arg.get_value_parser().type_id();
        let texts = [TypeId::of::<String>(), TypeId::of::<PathBuf>(), TypeId::of::<OsString>()];
        texts.iter().any(|text| id == *text)
    }

    #[test]
    fn every_argument_with_a_type_says_what_it_expects() {
        let command = Cli::command();
        let mut tried = 0;
        for verb in command.get_subcommands() {
            let own = verb.get_arguments().chain(command.get_arguments());
            for arg in own.filter(|arg| arg.get_action().takes_values() && !takes_any_text(arg)) {
                let Some(long) = arg.get_long() else { continue };
                let words = ["aberra", verb.get_name(), &format!("--{long}=gr\u{fc}n")].map(str::to_owned);
                let error = match Cli::try_parse_from(words) {
                    Ok(_) => panic!("{} --{long} takes anything", verb.get_name()),
                    Err(error) => error,
                };
                let said = match wrong_value(&error) {
                    Some(CommandError::Own { message, .. }) => message,
                    _ => error.to_string(),
                };
                assert!(said.contains(&format!("--{long}")), "{said}");
                assert!(said.contains("expected") || said.contains("possible values"), "{said}");
                assert!(said.contains("gr\u{fc}n"), "{said}");
                tried += 1;
            }
        }
        assert!(tried > 30, "{tried}");
    }

    #[test]
    fn a_wrong_value_is_told_as_other_errors_are() {
        let said = |words: &str| {
            let error = Cli::try_parse_from(words.split(' ')).err();
            match error.as_ref().and_then(wrong_value) {
                Some(CommandError::Own { message, .. }) => message,
                _ => panic!("{error:?}"),
            }
        };
        assert_eq!(
            said("aberra train x --out y --epochs many"),
            "--epochs: expected a whole number of 0 or above, found \"many\""
        );
        assert_eq!(said("aberra train x --out y --rate 5%"), "--rate: expected a number, found \"5%\"");
        assert_eq!(
            said("aberra info d --threads 0"),
            "--threads: expected a whole number of 1 or above, found \"0\""
        );
        assert_eq!(
            said("aberra serve d --queue 0"),
            "--queue: expected a whole number of at least 1, found \"0\""
        );
        assert_eq!(
            said("aberra serve d --address here"),
            "--address: expected IP:PORT, found \"here\" (invalid socket address syntax)"
        );
    }
}
