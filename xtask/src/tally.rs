//! Counts what `cargo test` ran, from what it prints.

/// How many passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

/// One check that passed.
pub(crate) const PASSED: Tally = Tally { passed: 1, failed: 0, skipped: 0 };
/// One check that failed.
pub(crate) const FAILED: Tally = Tally { passed: 0, failed: 1, skipped: 0 };
/// One check that cannot run here.
pub(crate) const SKIPPED: Tally = Tally { passed: 0, failed: 0, skipped: 1 };

impl Tally {
    /// The same counts, with a failure where nothing passed and nothing failed.
    pub(crate) fn at_least_one(mut self) -> Self {
        self.failed += usize::from(self.passed == 0 && self.failed == 0);
        self
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The closing line: `N passed, N failed`, and what was skipped where something was.
impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 { write!(f, ", {} skipped", self.skipped) } else { Ok(()) }
    }
}

/// Reads the standard output of `cargo test -- --show-output`, line by line.
///
/// A test that cannot run here (data that is not there) passes with a line `skipped: why` in its output; it is counted
/// as skipped, not as passed. So is a test that the harness ignores.
#[derive(Default)]
pub(crate) struct Reader {
    tally: Tally,
    begun: usize,
    ended: usize,
    said_skipped: usize,
    /// Inside the output of tests that passed.
    in_successes: bool,
    /// The test whose output is being read, and whether it has said that it is skipped.
    test: Option<(String, bool)>,
}

impl Reader {
    /// Takes a line; returns what of it to show. The output of tests that passed is shown only where it says `skipped:`.
    pub(crate) fn line(&mut self, line: &str) -> Option<String> {
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.begun += usize::from(!self.in_successes);
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.ended += 1;
            self.tally.passed += count(result, "passed");
            self.tally.failed += count(result, "failed");
            self.tally.skipped += count(result, "ignored");
            self.in_successes = false;
        } else if line == "failures:" {
            self.in_successes = false;
        } else if line == "successes:" {
            self.in_successes = true;
            self.test = None;
            return None;
        }
        if !self.in_successes {
            return Some(line.to_owned());
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----")) {
            self.test = Some((name.to_owned(), false));
        } else if let Some((name, told @ false)) = &mut self.test
            && line.starts_with("skipped:")
        {
            *told = true;
            self.said_skipped += 1;
            return Some(format!("{line} ({name})"));
        }
        None
    }

    /// The counts, given whether cargo itself succeeded: a test program that died without a result has failed, and so
    /// has one that could not be built.
    pub(crate) fn end(mut self, succeeded: bool) -> Tally {
        self.tally.failed += self.begun.saturating_sub(self.ended);
        self.tally.passed = self.tally.passed.saturating_sub(self.said_skipped);
        self.tally.skipped += self.said_skipped;
        if !succeeded && self.tally.failed == 0 {
            self.tally.failed = 1;
        }
        self.tally
    }
}

/// The number before `word` in `ok. 3 passed; 0 failed; ...`.
fn count(result: &str, word: &str) -> usize {
    let words: Vec<&str> = result.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
    words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, succeeded: bool) -> (Tally, Vec<String>) {
        let mut reader = Reader::default();
        let shown = text.lines().filter_map(|line| reader.line(line)).collect();
        (reader.end(succeeded), shown)
    }

    #[test]
    fn programs_are_added_up() {
        let text = "running 3 tests\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
            running 1 test\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(read(text, false).0, Tally { passed: 2, failed: 1, skipped: 1 });
    }

    #[test]
    fn a_test_that_says_skipped_is_not_counted_as_passed_and_only_once() {
        let text = "running 2 tests\n\nsuccesses:\n\n---- a::b stdout ----\nnoise\nskipped: no data\nskipped: again\n\n\
            ---- c stdout ----\nskipped nothing\n\n\nsuccesses:\n    a::b\n    c\n\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        let (tally, shown) = read(text, true);
        assert_eq!(tally, Tally { passed: 1, failed: 0, skipped: 1 });
        assert!(shown.contains(&"skipped: no data (a::b)".to_owned()), "{shown:?}");
        assert!(!shown.iter().any(|line| line.contains("noise") || line.contains("again")), "{shown:?}");
    }

    #[test]
    fn where_no_test_passed_there_is_a_failure() {
        let none =
            "running 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(read(none, true).0.at_least_one(), FAILED);
        let ignored = none.replace("0 ignored", "2 ignored");
        assert_eq!(read(&ignored, true).0.at_least_one(), Tally { passed: 0, failed: 1, skipped: 2 });
        for tally in [PASSED, FAILED, Tally { passed: 3, failed: 0, skipped: 1 }] {
            assert_eq!(tally.at_least_one(), tally);
        }
    }

    #[test]
    fn the_output_of_failures_is_shown() {
        let text = "running 1 test\n\nsuccesses:\n\nfailures:\n\n---- a stdout ----\nwhy\n\nfailures:\n    a\n\n\
            test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert!(read(text, false).1.contains(&"why".to_owned()));
    }

    #[test]
    fn a_program_that_dies_or_cannot_be_built_is_a_failure() {
        assert_eq!(read("running 5 tests\ntest a ... ok", false).0.failed, 1);
        assert_eq!(read("", false).0, Tally { passed: 0, failed: 1, skipped: 0 });
        assert_eq!(read("", true).0, Tally::default());
    }

    #[test]
    fn the_closing_line_is_plain() {
        let mut tally = Tally { passed: 2, failed: 0, skipped: 0 };
        assert_eq!(tally.to_string(), "2 passed, 0 failed");
        tally.add(Tally { passed: 1, failed: 1, skipped: 1 });
        assert_eq!(tally.to_string(), "3 passed, 1 failed, 1 skipped");
    }
}
