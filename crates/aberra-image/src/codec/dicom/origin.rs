//! Whose a frame is, with what it was taken, its series and its place: the only reader of identifiers and of free texts, which
//! it returns as keyed hashes alone.

use super::data_set::DataSet;
use super::tag;
use crate::{Acquisition, Error, Origin};

/// The kinds of device that take images (PS3.3, C.7.3.1.1.1), the retired ones among them.
const MODALITIES: [&str; 35] = [
    "BI", "BMD", "CR", "CT", "DG", "DX", "ES", "GM", "IO", "IVOCT", "IVUS", "LS", "MG", "MR", "NM", "OAM",
    "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OSS", "OT", "PA", "PT", "PX", "RF", "RG", "SM", "ST",
    "TG", "US", "XA", "XC",
];

pub(super) fn of(data: &DataSet<'_>, groups: &[DataSet<'_>], key: &[u8; 32]) -> Result<Origin, Error> {
    let patient = name(data, tag::PATIENT)
        .map(|patient| hash(key, "patient", &[name(data, tag::PATIENT_ISSUER).unwrap_or_default(), patient]));
    let group = patient.or_else(|| Some(hash(key, "study", &[name(data, tag::STUDY)?])));
    let orientation = numbers(data, groups, tag::FRAME_ORIENTATION, tag::ORIENTATION)?;
    let position: Option<[f64; 3]> = numbers(data, groups, tag::FRAME_POSITION, tag::POSITION)?;
    let position_mm = orientation.zip(position).map(|([a, b, c, d, e, f], [x, y, z])| {
        x * (b * f - c * e) + y * (c * d - a * f) + z * (a * e - b * d)
    });
    let kind = data.text(tag::IMAGE_TYPE).unwrap_or_default();
    Ok(Origin {
        group,
        acquisition: acquisition(data, key),
        series: name(data, tag::SERIES).map(|series| hash(key, "series", &[series])),
        is_localizer: kind.split('\\').any(|value| value.trim() == "LOCALIZER"),
        orientation,
        corner_mm: position.filter(|corner| corner.iter().all(|at| at.is_finite())),
        echo: data.decimal(tag::ECHO).or(frame_number(groups, tag::FRAME_ECHO, tag::FRAME_ECHO_TIME)?),
        time: data.decimal(tag::TIME).or(frame_number(groups, tag::FRAME_CONTENT, tag::FRAME_TIME)?),
        position_mm: position_mm.filter(|position| position.is_finite()),
    })
}

fn acquisition(data: &DataSet<'_>, key: &[u8; 32]) -> Acquisition {
    let modality = data.text(tag::MODALITY).unwrap_or_default();
    let manufacturer = name(data, tag::MANUFACTURER);
    let model = name(data, tag::MODEL).map(|model| [manufacturer.unwrap_or_default(), model]);
    Acquisition {
        modality: MODALITIES.into_iter().find(|&known| known == modality),
        manufacturer: manufacturer.map(|manufacturer| hash(key, "manufacturer", &[manufacturer])),
        model: model.map(|names| hash(key, "model", &names)),
        protocol: name(data, tag::PROTOCOL).map(|protocol| hash(key, "protocol", &[protocol])),
        field_strength_t: data.decimal(tag::FIELD_STRENGTH).filter(|strength| strength.is_finite()),
    }
}

/// What a text says, if anything.
fn name<'a>(data: &DataSet<'a>, tag: u32) -> Option<&'a [u8]> {
    data.element(tag).map(|element| trimmed(element.value)).filter(|name| !name.is_empty())
}

/// A binary number within a sequence of the functional groups.
fn frame_number(groups: &[DataSet<'_>], sequence: u32, tag: u32) -> Result<Option<f64>, Error> {
    for group in groups {
        if let Some(item) = group.item(sequence, 0)? {
            return Ok(item.element(tag).and_then(|element| element.number()));
        }
    }
    Ok(None)
}

/// The numbers of an element in the first group of functional groups that has it, or in the data set.
fn numbers<const COUNT: usize>(
    data: &DataSet<'_>,
    groups: &[DataSet<'_>],
    sequence: u32,
    tag: u32,
) -> Result<Option<[f64; COUNT]>, Error> {
    // Within a functional group the element has the same tag.
    for group in groups {
        if let Some(item) = group.item(sequence, 0)? {
            return Ok(item.decimals(tag).try_into().ok());
        }
    }
    Ok(data.decimals(tag).try_into().ok())
}

/// Without the blanks that pad it.
fn trimmed(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, 0 | b' ');
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// The hash of what names something: the kind and each name, after its length in eight bytes, lowest first.
fn hash(key: &[u8; 32], kind: &str, names: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for name in [kind.as_bytes()].iter().chain(names) {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
    }
    *hasher.finalize().as_bytes()
}
