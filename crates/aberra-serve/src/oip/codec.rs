//! A gRPC codec that rejects messages whose decoded form would need far more memory than their encoding.
//!
//! A message can hold hundreds of millions of empty tensors or strings of two bytes each, which take hundreds of bytes
//! each once decoded. So the records of a `ModelInferRequest` are counted before it is decoded; the other request
//! messages have no lists.

use std::marker::PhantomData;

use bytes::{Buf, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

/// Encodes `T` and decodes `U`.
#[derive(Debug)]
pub(super) struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Send + 'static, U: Message + Default + Send + 'static> Codec for BoundedCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(PhantomData)
    }
}

/// Decodes `U` if it is within the limits.
#[derive(Debug)]
pub(super) struct BoundedDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let message = buffer.copy_to_bytes(buffer.remaining());
        if !fits(&message) {
            return Err(Status::invalid_argument(
                "expected a message of at most 4096 tensors, parameters and elements, or numbers in packed form, found more",
            ));
        }
        // The client's error, so not `internal`.
        U::decode(message).map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

/// Maximum number of records: tensors, parameters, and elements that are not packed numbers.
const MOST_RECORDS: usize = 4096;
/// Maximum bytes of packed integers that grow when decoded (one byte may become eight): shapes, and types that no input
/// has.
const MOST_WIDE_BYTES: usize = 64 << 10;

/// Whether a message, once decoded, takes no more than a few times its encoded length.
pub(super) fn fits(message: &Bytes) -> bool {
    let mut count = RecordBudget { records: MOST_RECORDS, wide: MOST_WIDE_BYTES };
    count.walk(message, MessageKind::Request).is_some()
}

/// The records and bytes that a message may still have.
struct RecordBudget {
    records: usize,
    wide: usize,
}

/// The message type whose fields are counted.
#[derive(Clone, Copy)]
enum MessageKind {
    Request,
    Input,
    Output,
    Contents,
    Other,
}

impl MessageKind {
    /// The message type of a length-delimited field.
    fn inner(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Self::Request, 5) => Some(Self::Input),
            (Self::Request, 6) => Some(Self::Output),
            (Self::Input, 5) => Some(Self::Contents),
            // Parameters: pairs of a name and a value.
            (Self::Request | Self::Input, 4) | (Self::Output, 2) => Some(Self::Other),
            _ => None,
        }
    }

    /// Whether a length-delimited field holds packed integers that grow when decoded.
    fn is_wide(self, field: u64) -> bool {
        matches!((self, field), (Self::Input, 3) | (Self::Contents, 2 | 3 | 5))
    }
}

impl RecordBudget {
    /// Counts the fields of a message; `None` if there are too many or the encoding is invalid.
    fn walk(&mut self, mut message: &[u8], level: MessageKind) -> Option<()> {
        while !message.is_empty() {
            self.records = self.records.checked_sub(1)?;
            let tag = varint(&mut message)?;
            let field = tag >> 3;
            match tag & 7 {
                0 => {
                    varint(&mut message)?;
                }
                1 => drop(split(&mut message, 8)?),
                5 => drop(split(&mut message, 4)?),
                2 => {
                    let length = usize::try_from(varint(&mut message)?).ok()?;
                    let bytes = split(&mut message, length)?;
                    if level.is_wide(field) {
                        self.wide = self.wide.checked_sub(bytes.len())?;
                    }
                    if let Some(inner) = level.inner(field) {
                        self.walk(bytes, inner)?;
                    }
                }
                _ => return None,
            }
        }
        Some(())
    }
}

fn split<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(bytes)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(message).ok()
}
