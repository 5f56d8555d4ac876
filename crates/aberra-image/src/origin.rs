//! What an image belongs to: whose it is, in which series it was taken, and where in that it lies.

/// Where an image of a file belongs among those of other files. Identifiers leave a file only as hashes with a key, which
/// cannot be led back without it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Origin {
    /// Keyed BLAKE3 hash of whose image it is: of a DICOM file the patient, or the study where the file names no patient.
    /// Images of one group must not be on both sides of a split.
    pub group: Option<[u8; 32]>,
    /// Keyed BLAKE3 hash of the series that it belongs to.
    pub series: Option<[u8; 32]>,
    /// An overview from which the others were planned (a localizer), no image of its series.
    pub is_localizer: bool,
    /// Directions of its rows and of its columns in the patient: leftwards, backwards, upwards each.
    pub orientation: Option<[f64; 6]>,
    /// Where the centre of its first pixel lies: millimetres leftwards, backwards and upwards.
    pub corner_mm: Option<[f64; 3]>,
    /// Number or time of the echo, where a series has several of each slice.
    pub echo: Option<f64>,
    /// Number of the point in time, where a series has several of each slice.
    pub time: Option<f64>,
    /// Millimetres along the normal of its plane: what orders the slices of a series that have one orientation.
    pub position_mm: Option<f64>,
}
