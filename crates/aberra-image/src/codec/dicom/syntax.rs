//! Transfer syntaxes: how a DICOM file writes its elements and compresses its pixels.

use super::data_set::Encoding;

/// How the pixels of each frame are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// They lie one after the other.
    None,
    /// Each frame is a fragment.
    Encapsulated,
    RunLength,
    Jpeg,
    JpegLs,
    Jpeg2000,
}

/// A transfer syntax that is decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    pub(super) encoding: Encoding,
    pub(super) is_deflated: bool,
    pub(super) compression: Compression,
    /// Compression may change values.
    pub(super) is_lossy: bool,
}

impl Syntax {
    const fn of(encoding: Encoding, compression: Compression) -> Self {
        Self { encoding, is_deflated: false, compression, is_lossy: false }
    }

    /// What files without a transfer syntax are: the first value representation shows whether there are any.
    pub(super) fn guessed(data_set: &[u8]) -> Self {
        let is_explicit = data_set.get(4..6).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
        let encoding = if is_explicit { Encoding::EXPLICIT } else { Encoding::IMPLICIT };
        Self::of(encoding, Compression::None)
    }

    /// The syntax with this identifier.
    ///
    /// # Errors
    /// In words, what it is instead.
    pub(super) fn named(identifier: &str) -> Result<Self, String> {
        const PREFIX: &str = "1.2.840.10008.1.2";
        let compressed = |compression| Self::of(Encoding::EXPLICIT, compression);
        let lossy = |compression| Self { is_lossy: true, ..compressed(compression) };
        let name = match identifier.strip_prefix(PREFIX) {
            Some("") => return Ok(Self::of(Encoding::IMPLICIT, Compression::None)),
            Some(".1") => return Ok(compressed(Compression::None)),
            Some(".1.98") => return Ok(compressed(Compression::Encapsulated)),
            Some(".1.99") => return Ok(Self { is_deflated: true, ..compressed(Compression::None) }),
            Some(".2") => return Ok(Self::of(Encoding::BIG_ENDIAN, Compression::None)),
            Some(".5") => return Ok(compressed(Compression::RunLength)),
            Some(".4.50" | ".4.51") => return Ok(lossy(Compression::Jpeg)),
            Some(".4.57" | ".4.70") => return Ok(compressed(Compression::Jpeg)),
            Some(".4.80") => return Ok(compressed(Compression::JpegLs)),
            Some(".4.81") => return Ok(lossy(Compression::JpegLs)),
            Some(".4.90" | ".4.201" | ".4.202") => return Ok(compressed(Compression::Jpeg2000)),
            Some(".4.91" | ".4.203") => return Ok(lossy(Compression::Jpeg2000)),
            Some(".4.92" | ".4.93") => "JPEG 2000 part 2",
            Some(".4.94" | ".4.95" | ".4.204" | ".4.205") => "pixels on a server (JPIP)",
            Some(".4.110" | ".4.111" | ".4.112") => "JPEG XL",
            Some(".8.1") => "deflated frames",
            Some(rest) if rest.starts_with(".4.10") => "MPEG video",
            Some(rest) if rest.starts_with(".4.5") || rest.starts_with(".4.6") => "a retired kind of JPEG",
            _ if identifier == "1.2.840.113619.5.2" => "GE's own order of bytes",
            _ => "an unknown transfer syntax",
        };
        // An identifier is digits and points; anything else in its place could be a name, and is not repeated.
        let is_identifier =
            identifier.len() <= 64 && identifier.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        Err(if is_identifier { format!("{name} (transfer syntax {identifier})") } else { name.to_owned() })
    }
}
