//! Groups of arguments that several verbs share.

use std::path::PathBuf;

use clap::Args;

/// Which class folders are normal.
#[derive(Args, Default)]
pub(crate) struct NormalArgs {
    /// A class folder that is normal; may be given several times. By default one with a usual name, such as `good`,
    /// `normal` or `notumor`. `*` takes every image as normal.
    #[arg(long, value_name = "CLASS")]
    pub(crate) normal: Vec<String>,
}

/// How data is printed.
#[derive(Args, Clone, Copy)]
pub(crate) struct JsonArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A detector file.
#[derive(Args)]
pub(crate) struct DetectorArgs {
    /// The detector file.
    #[arg(value_name = "DETECTOR")]
    pub(crate) detector: PathBuf,
}
