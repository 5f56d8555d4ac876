//! Groups of arguments that several verbs share.

use std::path::PathBuf;

use aberra::dataset::OpenOptions;
use clap::Args;

/// How a data set is read: which class folders are normal, and whether pages are images of their own, or volumes are taken apart.
#[derive(Args, Clone, Default)]
pub(crate) struct NormalArgs {
    /// Class folder of normal images; repeatable. By default, a usual name such as `good`, `normal` or `notumor` is
    /// looked for. `*` treats every image as normal.
    #[arg(long, value_name = "CLASS")]
    pub(crate) normal: Vec<String>,
    /// Take every page of a TIFF, frame of a GIF or DICOM file and slice of a NIfTI volume as an image of its own; by default the
    /// first of full resolution is read.
    #[arg(long)]
    pub(crate) pages: bool,
    /// Take volumes apart into their slices, without those that show nothing but air: NIfTI files, DICOM files of several frames, and
    /// the files of a DICOM series, ordered by position. The default beside a detector that is calibrated on volumes.
    #[arg(long, conflicts_with = "pages")]
    pub(crate) volumes: bool,
    /// Take files named `case_0000.png`, `case_0001.png`, or of one name in folders beside each other, as the channels of one image. The
    /// default in nnU-Net's own folders (`imagesTr`), in `rgb` beside `xyz`, and beside a detector of such numbers.
    #[arg(long)]
    pub(crate) cases: bool,
}

impl NormalArgs {
    /// How the folder is to be read.
    pub(crate) fn open_options(&self) -> OpenOptions {
        OpenOptions { normal: self.normal.clone(), cases: self.cases }
    }
}

/// The output format.
#[derive(Args, Clone, Copy)]
pub(crate) struct JsonArgs {
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A detector file.
#[derive(Args)]
pub(crate) struct DetectorArgs {
    /// Detector file.
    #[arg(value_name = "DETECTOR")]
    pub(crate) detector: PathBuf,
}
