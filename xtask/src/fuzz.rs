//! Fuzzing at length: tests of `aberra-fuzz` and of the program, optimised as all tests are, to which the environment says
//! how much to do. They print what they run, what they find, and a line that counts.

use std::path::Path;
use std::process::Command;

/// Environment variables by option, as `fuzz/tests/fuzz/at_length.rs` reads them.
const OPTIONS: &[(&str, &str)] =
    &[(SECONDS.0, SECONDS.1), ("--input", "FUZZ_INPUT"), ("--seed", "FUZZ_SEED")];
const SECONDS: (&str, &str) = ("--seconds", "FUZZ_SECONDS");
const USUAL_SECONDS: &str = "60";
const TARGET: &str = "FUZZ_TARGET";
const KILLS: &str = "FUZZ_KILLS";

/// A test binary, the tests of it that are run, and environment variables.
type Asked = ([&'static str; 2], Vec<(&'static str, String)>);

/// Runs what the words behind `cargo xtask fuzz` ask for. Returns whether nothing was found.
///
/// # Errors
/// Words that ask for nothing.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<bool, String> {
    let ([binary, tests], variables) = asked(words)?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--workspace", "--locked", "--test", binary, "--", tests, "--nocapture"]);
    command.envs(variables).current_dir(root);
    command.status().map(|status| status.success()).map_err(|error| format!("cargo test: {error}"))
}

fn asked(words: &[&str]) -> Result<Asked, String> {
    let mut tests = ["fuzz", "no_parser_gives_way"];
    let mut variables = vec![(SECONDS.1, USUAL_SECONDS.to_owned())];
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let option = OPTIONS.iter().find(|(option, _)| *option == word);
        match (word, option) {
            ("--kills", _) => {
                tests = ["cli", "kills::"];
                variables.push((KILLS, "1".to_owned()));
            }
            (_, Some((_, variable))) => {
                let value =
                    words.next().ok_or_else(|| format!("expected a value after {word}, found none"))?;
                // The tests run elsewhere.
                let value = if word == "--input" { absolute(value) } else { (*value).to_owned() };
                variables.push((*variable, value));
            }
            _ if word.starts_with('-') => return Err(format!("expected an option of fuzz, found `{word}`")),
            _ => variables.push((TARGET, word.to_owned())),
        }
    }
    Ok((tests, variables))
}

fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_variables_of_the_tests() {
        let [usual, seconds] = ["60", "5"].map(|seconds| (SECONDS.1, seconds.to_owned()));
        let target = (TARGET, "image".to_owned());
        let (tests, variables) = asked(&["--seconds", "5", "image"]).unwrap_or_default();
        // The last value of a variable counts.
        assert_eq!((tests[0], variables), ("fuzz", vec![usual, seconds, target]));
        assert_eq!(asked(&["--kills"]).unwrap_or_default().0, ["cli", "kills::"]);
        assert!(asked(&["--seconds"]).is_err() && asked(&["--minutes", "3"]).is_err());
    }
}
