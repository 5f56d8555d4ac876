//! Runs commands whose output goes to the terminal.

use std::process::Command;

/// Whether a command ran and ended well; why it could not run is printed.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("error: {}: {error}", command.get_program().to_string_lossy());
            false
        }
    }
}
