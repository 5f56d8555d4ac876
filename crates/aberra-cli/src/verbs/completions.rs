//! `aberra completions`: what a shell needs to complete the command line, and manual pages; made from the command line itself.

use std::path::{Path, PathBuf};

use aberra::output::{make_folder, write};
use clap::{Args, Command};
use clap_complete::Shell;

use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  aberra completions bash > ~/.local/share/bash-completion/completions/aberra
  aberra completions zsh > ~/.zfunc/_aberra
  aberra completions --man ~/.local/share/man/man1";

/// Prints completions of the command line for a shell, or writes manual pages.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// Shell to print completions for.
    #[arg(required_unless_present = "man")]
    shell: Option<Shell>,
    /// Write a manual page for the program and for each verb to this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "shell")]
    man: Option<PathBuf>,
}

/// `command` is the whole command line.
pub(crate) fn run(args: &CompletionsArgs, mut command: Command) -> CommandResult {
    if let Some(shell) = args.shell {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "aberra", &mut script);
        output::data(String::from_utf8_lossy(&script).trim_end())?;
    }
    if let Some(folder) = &args.man {
        make_folder(folder)?;
        command.build();
        page(folder, &command)?;
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            page(folder, verb)?;
        }
        output::note(&format!("wrote manual pages to {}", folder.display()));
    }
    Ok(ExitStatus::Done)
}

/// Writes the manual page of a command that has been built.
fn page(folder: &Path, command: &Command) -> Result<(), CommandError> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(write(&folder.join(format!("{name}.1")), &page)?)
}
