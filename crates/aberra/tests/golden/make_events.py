"""Writes events.tfevents with TensorBoard's own messages and its writer of records, for the test of `run/events.rs`.

    python3 -m venv venv && venv/bin/pip install tensorboard==2.21.0
    venv/bin/python make_events.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter


def scalars(wall_time, step, values):
    event = Event(wall_time=wall_time, step=step)
    for tag, value in values:
        event.summary.value.add(tag=tag, simple_value=value)
    return event


def start(wall_time, step):
    return Event(wall_time=wall_time, step=step, session_log=SessionLog(status=SessionLog.START))


def write(path, events):
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for event in [Event(wall_time=1.5, file_version="brain.Event:2"), *events]:
            writer.write(event.SerializeToString(deterministic=True))
        writer.flush()


write(
    Path(__file__).parent / "events.tfevents",
    [
        start(1.75, 300),
        scalars(1_700_000_000.125, 300, [("loss/train", 0.25), ("figures/größe", -3e30), ("0", 0.0)]),
        scalars(2.0, 0, [("not a number", float("inf"))]),
    ],
)

# That a training which goes on after step 2 replaces what followed, as the test of `run/history.rs` takes it.
with TemporaryDirectory() as folder:
    for name, first, values in [("1", 1, [1.0, 2.0, 3.0, 4.0]), ("2", 3, [5.0])]:
        steps = [scalars(2.0, first + at, [("loss/train", value)]) for at, value in enumerate(values)]
        write(Path(folder) / f"events.out.tfevents.{name}", [start(1.75, first), *steps])
    read = EventAccumulator(folder).Reload().Scalars("loss/train")
    assert [(event.step, event.value) for event in read] == [(1, 1.0), (2, 2.0), (3, 5.0)], read
