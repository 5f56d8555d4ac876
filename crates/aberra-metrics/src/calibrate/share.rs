//! Shares between 0 and 1, such as rates and confidences: validation, and formatting as percentages.

use std::fmt;

use crate::{Error, Result};

/// A number strictly between 0 and 1, or a settings error.
pub(super) fn check_share(what: &str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    let error = Error::settings(format!("expected a {what} above 0 and below 1, found {value}"));
    Err(if (1.0..100.0).contains(&value) {
        error.with_hint(format!("{value} % is written {}", value / 100.0))
    } else {
        error
    })
}

/// A share as a percentage with at most two significant decimals where it is small: `5 %`, `1.7 %`, `0.02 %`.
pub(super) struct Percent(pub(super) f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        let decimals =
            if percent >= 0.995 { 1 } else { (1.0 - percent.log10().floor()).clamp(1.0, 12.0) as usize };
        let text = format!("{percent:.decimals$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        write!(f, "{text} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_read_well() {
        for (share, text) in [
            (0.05, "5 %"),
            (1.0 / 60.0, "1.7 %"),
            (0.0002, "0.02 %"),
            (0.00123, "0.12 %"),
            (0.01, "1 %"),
            (0.005, "0.5 %"),
            (0.9, "90 %"),
            (0.999, "99.9 %"),
            (1.0, "100 %"),
            (0.1, "10 %"),
        ] {
            assert_eq!(Percent(share).to_string(), text);
        }
    }
}
