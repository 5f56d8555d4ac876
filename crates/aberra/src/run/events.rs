//! Event files of TensorBoard: a record for each event, whose length and bytes are guarded by checksums.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::{Message, Oneof};

/// The format, as the first event of a file names it.
const FORMAT: &str = "brain.Event:2";
/// What is added to a turned checksum, so that checksums of checksums tell something.
const MASK: u32 = 0xa282_ead8;

static CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An event, as `event.proto` of TensorBoard numbers its fields.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// In seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// What became of the program. That one starts at a step makes TensorBoard drop what files before this one say of that step and
/// of those after it.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// The status of a program that starts.
const START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// In a `oneof` of TensorBoard's: it is written also where it is 0.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Writer of an event file.
pub(super) struct Events<W: Write>(W);

impl<W: Write> Events<W> {
    /// Begins a file: with the event that names its format, and with one that says at which step the training goes on.
    pub(super) fn new(writer: W, first_step: usize) -> io::Result<Self> {
        let mut events = Self(writer);
        events.write(now_s(), 0, What::FileVersion(FORMAT.to_owned()))?;
        events.write(now_s(), first_step as i64, What::SessionLog(SessionLog { status: START }))?;
        events.0.flush()?;
        Ok(events)
    }

    /// Adds one event with the named `scalars` at `step`, and flushes it.
    pub(super) fn write_scalars(&mut self, step: usize, scalars: Vec<(String, f64)>) -> io::Result<()> {
        self.write(now_s(), step as i64, summary(scalars))?;
        self.0.flush()
    }

    fn write(&mut self, wall_time: f64, step: i64, what: What) -> io::Result<()> {
        let event = Event { wall_time, step, what: Some(what) }.encode_to_vec();
        let length = (event.len() as u64).to_le_bytes();
        for part in [&length[..], &checksum(&length), &event, &checksum(&event)] {
            self.0.write_all(part)?;
        }
        Ok(())
    }
}

fn summary(scalars: Vec<(String, f64)>) -> What {
    let value = |(tag, value)| Value { tag, simple_value: Some(value as f32) };
    What::Summary(Summary { value: scalars.into_iter().map(value).collect() })
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    CHECKSUM.checksum(bytes).rotate_right(15).wrapping_add(MASK).to_le_bytes()
}

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// What TensorBoard shows of files that it reads one after the other: steps and values by name.
#[cfg(test)]
pub(super) fn shown(files: &[Vec<u8>]) -> std::collections::BTreeMap<String, Vec<(i64, f32)>> {
    let mut shown = std::collections::BTreeMap::<String, Vec<(i64, f32)>>::new();
    for mut rest in files.iter().map(Vec::as_slice) {
        while let Some((length, after)) = rest.split_first_chunk::<8>() {
            let length = u64::from_le_bytes(*length) as usize;
            let event = Event::decode(&after[4..][..length]).unwrap();
            match event.what.unwrap() {
                What::FileVersion(version) => assert_eq!(version, FORMAT),
                What::SessionLog(SessionLog { status: START }) => {
                    shown.values_mut().for_each(|steps| steps.retain(|&(step, _)| step < event.step));
                }
                What::SessionLog(other) => panic!("found {other:?}"),
                What::Summary(summary) => {
                    for Value { tag, simple_value } in summary.value {
                        shown.entry(tag).or_default().push((event.step, simple_value.unwrap()));
                    }
                }
            }
            rest = &after[8 + length..];
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_file_has_the_bytes_of_tensorboards_own() {
        let mut events = Events(Vec::new());
        events.write(1.5, 0, What::FileVersion(FORMAT.to_owned())).unwrap();
        events.write(1.75, 300, What::SessionLog(SessionLog { status: START })).unwrap();
        let scalars =
            vec![("loss/train".to_owned(), 0.25), ("figures/größe".to_owned(), -3e30), ("0".to_owned(), 0.0)];
        events.write(1_700_000_000.125, 300, summary(scalars)).unwrap();
        events.write(2.0, 0, summary(vec![("not a number".to_owned(), f64::INFINITY)])).unwrap();
        assert_eq!(events.0, include_bytes!("../../tests/golden/events.tfevents"));
    }
}
