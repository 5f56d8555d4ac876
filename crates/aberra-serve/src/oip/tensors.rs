//! Tensors: data types, shapes, and the binary representation of values. Nothing is allocated because a shape or a
//! length says so: the bytes must be present first.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::problem::Problem;

/// The element types of a detector's inputs and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    Bool,
    Uint8,
    Fp32,
    Fp64,
    /// Byte strings of any length.
    Bytes,
}

impl Datatype {
    const ALL: [Self; 5] = [Self::Bool, Self::Uint8, Self::Fp32, Self::Fp64, Self::Bytes];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| datatype.name() == name)
    }
}

/// A tensor's elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Bool(Vec<bool>),
    Uint8(Bytes),
    Fp32(Vec<f32>),
    Fp64(Vec<f64>),
    Bytes(Vec<Bytes>),
}

/// Maximum number of byte strings in a tensor: more than the images of any request, yet few enough that empty strings,
/// encoded in four bytes each, do not take much memory.
pub(super) const MOST_STRINGS: usize = 4096;

/// A named tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

/// Checks the shape that a client gives; returns it with the number of elements, which is 1 for a scalar.
///
/// # Errors
/// A length is negative, or the number of elements overflows.
pub(super) fn shape(axes: &[i64]) -> Result<(Vec<usize>, usize), Problem> {
    let checked: Option<Vec<usize>> = axes.iter().map(|&axis| usize::try_from(axis).ok()).collect();
    let counted =
        checked.and_then(|axes| Some((axes.iter().try_fold(1, |a: usize, &b| a.checked_mul(b))?, axes)));
    let (count, axes) = counted.ok_or_else(|| {
        Problem::bad_request(format!(
            "expected a shape of lengths from 0 whose product does not overflow, found {axes:?}"
        ))
    })?;
    Ok((axes, count))
}

impl Values {
    pub(super) fn datatype(&self) -> Datatype {
        match self {
            Self::Bool(_) => Datatype::Bool,
            Self::Uint8(_) => Datatype::Uint8,
            Self::Fp32(_) => Datatype::Fp32,
            Self::Fp64(_) => Datatype::Fp64,
            Self::Bytes(_) => Datatype::Bytes,
        }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bool(values) => values.len(),
            Self::Uint8(values) => values.len(),
            Self::Fp32(values) => values.len(),
            Self::Fp64(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }

    /// Decodes `count` elements: little-endian numbers, or byte strings each preceded by its length in four bytes.
    ///
    /// # Errors
    /// There are more or fewer bytes.
    pub(super) fn from_raw(datatype: Datatype, count: usize, raw: Bytes) -> Result<Self, Problem> {
        let size = match datatype {
            Datatype::Bytes => return strings(count, raw).map(Self::Bytes),
            Datatype::Bool | Datatype::Uint8 => 1,
            Datatype::Fp32 => 4,
            Datatype::Fp64 => 8,
        };
        if count.checked_mul(size) != Some(raw.len()) {
            return Err(Problem::bad_request(format!(
                "expected {count} elements of {size} bytes, as the shape says, found {} bytes",
                raw.len()
            )));
        }
        Ok(match datatype {
            Datatype::Bool => Self::Bool(raw.iter().map(|&byte| byte != 0).collect()),
            Datatype::Fp32 => Self::Fp32(numbers(&raw, f32::from_le_bytes)),
            Datatype::Fp64 => Self::Fp64(numbers(&raw, f64::from_le_bytes)),
            Datatype::Uint8 | Datatype::Bytes => Self::Uint8(raw),
        })
    }

    /// Encodes the elements as [`from_raw`](Self::from_raw) decodes them.
    pub(super) fn to_raw(&self) -> Bytes {
        match self {
            Self::Bool(values) => values.iter().map(|&value| u8::from(value)).collect(),
            Self::Uint8(values) => values.clone(),
            Self::Fp32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Fp64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Bytes(values) => {
                let mut raw = BytesMut::new();
                for value in values {
                    // Request bodies are far below this limit.
                    raw.put_u32_le(u32::try_from(value.len()).unwrap_or(u32::MAX));
                    raw.put_slice(value);
                }
                raw.freeze()
            }
        }
    }
}

fn numbers<T, const SIZE: usize>(raw: &[u8], of: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    raw.as_chunks::<SIZE>().0.iter().map(|&bytes| of(bytes)).collect()
}

fn strings(count: usize, mut raw: Bytes) -> Result<Vec<Bytes>, Problem> {
    if count > MOST_STRINGS {
        return Err(Problem::bad_request(format!("expected at most {MOST_STRINGS} elements, found {count}")));
    }
    let mut strings = Vec::with_capacity(count);
    for at in 0..count {
        let length = raw.try_get_u32_le().ok().map(|length| length as usize);
        match length.filter(|&length| length <= raw.len()) {
            Some(length) => strings.push(raw.split_to(length)),
            None => {
                return Err(Problem::bad_request(format!(
                    "expected {count} elements, each preceded by its length in 4 bytes, found that element {at} is cut off"
                )));
            }
        }
    }
    if raw.is_empty() {
        return Ok(strings);
    }
    Err(Problem::bad_request(format!("expected {count} elements, found {} bytes after the last", raw.len())))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn bits(values: &Values) -> Vec<u64> {
        match values {
            Values::Fp32(values) => values.iter().map(|value| u64::from(value.to_bits())).collect(),
            Values::Fp64(values) => values.iter().map(|value| value.to_bits()).collect(),
            _ => Vec::new(),
        }
    }

    fn values() -> impl Strategy<Value = Values> {
        prop_oneof![
            vec(any::<bool>(), 0..40).prop_map(Values::Bool),
            vec(any::<u8>(), 0..40).prop_map(|values| Values::Uint8(values.into())),
            vec(any::<u32>().prop_map(f32::from_bits), 0..40).prop_map(Values::Fp32),
            vec(any::<u64>().prop_map(f64::from_bits), 0..40).prop_map(Values::Fp64),
            vec(vec(any::<u8>(), 0..9).prop_map(Bytes::from), 0..9).prop_map(Values::Bytes),
        ]
    }

    proptest! {
        #[test]
        fn values_come_back_from_their_bytes(values in values()) {
            let back = Values::from_raw(values.datatype(), values.len(), values.to_raw()).unwrap();
            prop_assert_eq!(bits(&back), bits(&values));
            if bits(&values).is_empty() {
                prop_assert_eq!(back, values);
            }
        }

        #[test]
        fn any_other_number_of_elements_is_refused(values in values(), count in any::<usize>()) {
            prop_assume!(count != values.len());
            prop_assert!(Values::from_raw(values.datatype(), count, values.to_raw()).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(raw in vec(any::<u8>(), 0..64), count in 0usize..20, which in 0..Datatype::ALL.len()) {
            let _ = Values::from_raw(Datatype::ALL[which], count, raw.into());
        }

        #[test]
        fn shapes_never_overflow(axes in vec(any::<i64>(), 0..6)) {
            if let Ok((axes, count)) = shape(&axes) {
                prop_assert_eq!(count as u128, axes.iter().map(|&axis| axis as u128).product::<u128>());
            }
        }
    }

    #[test]
    fn lengths_that_lie_allocate_nothing() {
        let huge = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
        for count in [1, 2, usize::MAX] {
            assert!(Values::from_raw(Datatype::Bytes, count, huge.clone()).is_err());
        }
        assert!(Values::from_raw(Datatype::Fp64, usize::MAX, Bytes::new()).is_err());
        let zeros = Bytes::from(vec![0; 4 * (MOST_STRINGS + 1)]);
        assert!(Values::from_raw(Datatype::Bytes, MOST_STRINGS, zeros.slice(4..)).is_ok());
        assert!(Values::from_raw(Datatype::Bytes, MOST_STRINGS + 1, zeros).is_err());
        assert!(shape(&[i64::MAX, i64::MAX]).is_err());
        assert!(shape(&[-1]).is_err());
        assert_eq!(shape(&[]).unwrap().1, 1);
    }

    #[test]
    fn names_are_those_of_the_protocol() {
        for datatype in Datatype::ALL {
            assert_eq!(Datatype::of(datatype.name()), Some(datatype));
        }
        assert_eq!(Datatype::of("FP16"), None);
    }
}
