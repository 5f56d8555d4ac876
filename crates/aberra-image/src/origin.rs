//! Where an image comes from: whose it is, with what it was taken, in which series, and where in that it lies.

/// Where an image of a file belongs among those of other files. Identifiers leave a file only as hashes with a key, which
/// cannot be led back without it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Origin {
    /// Keyed BLAKE3 hash of whose image it is: of a DICOM file the patient, or the study where the file names no patient.
    /// Images of one group must not be on both sides of a split.
    pub group: Option<[u8; 32]>,
    /// With what it was taken.
    pub acquisition: Acquisition,
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

/// With what an image was taken, as far as a DICOM file says so. Free texts, which may name a person, leave the file only as
/// hashes with the key of the [origin](Origin).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Acquisition {
    /// The kind of device, a term of the DICOM standard such as `MR`; `None` also for what is none of its terms.
    pub modality: Option<&'static str>,
    /// Keyed BLAKE3 hash of the manufacturer's name.
    pub manufacturer: Option<[u8; 32]>,
    /// Keyed BLAKE3 hash of the names of manufacturer and model.
    pub model: Option<[u8; 32]>,
    /// Keyed BLAKE3 hash of the protocol's name.
    pub protocol: Option<[u8; 32]>,
    /// Strength of the magnetic field, in tesla.
    pub field_strength_t: Option<f64>,
}
