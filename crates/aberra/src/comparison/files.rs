//! A comparison's table as files of its run folder.

use crate::Result;
use crate::output;
use crate::run::RunFolder;
use crate::wire::ComparisonData;

impl ComparisonData {
    /// The comparison as JSON.
    pub fn to_json(&self) -> String {
        // Serialising to memory fails for maps whose keys are not text alone, and there are none.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Writes [`RunFolder::comparison`] and [`RunFolder::comparison_page`], each atomically and durably.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<()> {
        output::write(&folder.comparison(), self.to_json().as_bytes())?;
        output::write(&folder.comparison_page(), self.page().as_bytes())
    }
}
