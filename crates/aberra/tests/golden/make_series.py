"""Writes a folder of small DICOM files, in which several series lie in no order, and what highdicom and pydicom say of them
(`series.json`): which files are slices of one volume, from the lowest to the highest, and the affine of its grid.

    python3 -m venv venv && venv/bin/pip install pydicom==3.0.2 highdicom==0.28.2 numpy==2.4.6
    venv/bin/python make_series.py

Deterministic.
"""

import json
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

FOLDER = Path(__file__).parent / "series"
AXIAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1]
OBLIQUE = [0.8, 0.6, 0, -0.36, 0.48, -0.8]
ROWS, COLUMNS = 12, 10
random = np.random.default_rng(16)


def write(name, series, orientation, position, number, echo=None, image_type="ORIGINAL", empty=False):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = MRImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"1.2.3.{series}.{len(list(FOLDER.glob('*'))) + 1}"
    ds.ImageType = [image_type, "PRIMARY", "LOCALIZER" if image_type == "OVERVIEW" else "M"]
    if image_type == "OVERVIEW":
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    ds.Modality = "MR"
    ds.PatientName, ds.PatientID = "PLANTED^NAME", "PLANTED-ID"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", f"1.2.3.{series}"
    ds.FrameOfReferenceUID = "1.2.3.9"
    ds.InstanceNumber = number
    if echo is not None:
        ds.EchoNumbers = echo
    ds.ImageOrientationPatient, ds.ImagePositionPatient = orientation, [float(f"{at:.6g}") for at in position]
    ds.PixelSpacing, ds.SliceThickness = [2, 1.5], 4
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = ROWS, COLUMNS, 8, 8, 7, 0
    ds.PixelData = (np.zeros if empty else random.integers)(*([(ROWS, COLUMNS)] if empty else [0, 256, (ROWS, COLUMNS)])).astype(np.uint8).tobytes()
    ds.save_as(FOLDER / name, enforce_file_format=True)


def along(orientation, origin, distance):
    normal = np.cross(orientation[:3], orientation[3:])
    return np.array(origin) + distance * normal


FOLDER.mkdir(exist_ok=True)
for path in FOLDER.glob("*"):
    path.unlink()
# Eight axial slices of one series, named and numbered against their order, the two lowest of air; two sagittal ones in it.
for slice_, letter in enumerate("hcafbegd"):
    write(f"{letter}.dcm", 1, AXIAL, [-7, -11, 5 + 4 * slice_], 8 - slice_, empty=slice_ < 2)
for slice_ in range(2):
    write(f"s{slice_}.dcm", 1, SAGITTAL, [3 - 3 * slice_, 0, 20], 20 + slice_)
# Three oblique slices with two echoes each, numbered in turn.
for slice_ in range(3):
    for echo in [1, 2]:
        write(f"e{2 - slice_}-{echo}", 2, OBLIQUE, along(OBLIQUE, [1, 2, 3], 2.5 * slice_), 2 * slice_ + echo, echo)
write("overview.dcm", 3, AXIAL, [0, 0, 0], 1, image_type="OVERVIEW")

files = {path.name: pydicom.dcmread(path) for path in sorted(FOLDER.iterdir())}
groups = {}
for name, ds in files.items():
    if "LOCALIZER" not in ds.ImageType:
        key = (ds.SeriesInstanceUID, tuple(ds.ImageOrientationPatient), ds.get("EchoNumbers"))
        groups.setdefault(key, []).append(name)
volumes = []
for names in groups.values():
    volume = highdicom.get_volume_from_series([files[name] for name in names])
    # Indices of slice, row and column -> millimetres leftwards, backwards and upwards.
    affine = volume.affine
    normal = np.cross(files[names[0]].ImageOrientationPatient[:3], files[names[0]].ImageOrientationPatient[3:])
    names = sorted(names, key=lambda name: float(np.dot(normal, files[name].ImagePositionPatient)))
    first = np.array(files[names[0]].ImagePositionPatient, dtype=float)
    step = affine[:3, 0] if np.dot(affine[:3, 0], normal) > 0 else -affine[:3, 0]
    grid = np.stack([affine[:3, 2], affine[:3, 1], step, first], axis=1)
    grid[:2] *= -1
    volumes.append({"files": names, "affine": [[float(f"{value:.7g}") for value in row] for row in grid]})
(FOLDER.parent / "series.json").write_text(json.dumps(volumes, indent=1) + "\n")
