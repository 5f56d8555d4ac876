"""Writes events.tfevents with TensorBoard's own messages and its writer of records, for the test of `run/events.rs`.

    python3 -m venv venv && venv/bin/pip install tensorboard==2.21.0
    venv/bin/python make_events.py
"""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter


def scalars(wall_time, step, values):
    event = Event(wall_time=wall_time, step=step)
    for tag, value in values:
        event.summary.value.add(tag=tag, simple_value=value)
    return event


with (Path(__file__).parent / "events.tfevents").open("wb") as file:
    writer = RecordWriter(file)
    for event in [
        Event(wall_time=1.5, file_version="brain.Event:2"),
        scalars(1_700_000_000.125, 300, [("loss/train", 0.25), ("figures/größe", -3e30), ("0", 0.0)]),
        scalars(2.0, 0, [("not a number", float("inf"))]),
    ]:
        writer.write(event.SerializeToString(deterministic=True))
    writer.flush()
