"""Aberra learns what *normal* looks like from normal images alone, scores new images for anomalies, shows where they are unusual,
and states how often it will be wrong about a normal one.

>>> import tempfile, aberra
>>> folder = tempfile.mkdtemp()
>>> data = aberra.phantoms(folder, size=32, train_normals=60, test_normals=4, anomalies_per_kind=1)
>>> detector = aberra.Detector.train(data / "train" / "good", family="vae", size=32, epochs=1, rate=0.1, group="none")
>>> verdicts = detector.score(data / "test", maps=True)
>>> bool(verdicts[0].score > detector.threshold) == verdicts[0].anomalous
True
>>> verdicts[0].map.shape
(32, 32)
"""

from . import errors
from ._aberra import __version__
from .data import Dataset, Sample, doctor, phantoms, settings_schema
from .detector import Detector
from .errors import (
    AberraError,
    AberraNote,
    AberraWarning,
    DataError,
    DetectorError,
    FileError,
    InputError,
    SettingsError,
)
from .evaluation import Curve, Evaluation, Interval
from .program import Server, bench, serve
from .results import Explanation, Verdict, Verdicts, VolumeVerdict

__all__ = [
    "AberraError",
    "AberraNote",
    "AberraWarning",
    "Curve",
    "DataError",
    "Dataset",
    "Detector",
    "DetectorError",
    "Evaluation",
    "Explanation",
    "FileError",
    "InputError",
    "Interval",
    "Sample",
    "Server",
    "SettingsError",
    "Verdict",
    "Verdicts",
    "VolumeVerdict",
    "__version__",
    "bench",
    "doctor",
    "errors",
    "phantoms",
    "serve",
    "settings_schema",
]
