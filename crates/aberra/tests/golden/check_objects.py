"""Checks what `aberra score SERIES --volumes --maps MAPS --dicom --secondary-capture` wrote: whether the Segmentation, the Parametric
Map and the Secondary Capture are valid (dciodvfy), whether highdicom and pydicom read them, and whether they agree with the NIfTI map of
the same name.

    python3 -m venv venv && venv/bin/pip install pydicom==3.0.2 highdicom==0.28.2 nibabel==5.4.2 numpy==2.4.6
    apt-get install dicom3tools
    venv/bin/python check_objects.py MAPS THRESHOLD

THRESHOLD is the detector's pixel threshold (`aberra info DETECTOR --json`). Exits with 1 if anything is wrong.
"""

import subprocess
import sys
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom

folder, threshold = Path(sys.argv[1]), float(sys.argv[2])
wrong = 0


def check(name, is_right):
    global wrong
    wrong += not is_right
    print("ok   " if is_right else "WRONG", name)


def place(item, frame):
    groups = item.PerFrameFunctionalGroupsSequence[frame]
    return tuple(float(at) for at in groups.PlanePositionSequence[0].ImagePositionPatient)


files = sorted(folder.glob("*.seg.dcm"))
check(f"{len(files)} segmentations", len(files) > 0)
for path in files:
    stem = path.name.removesuffix(".seg.dcm")
    for file in [path, folder / f"{stem}.map.dcm", folder / f"{stem}.sc.dcm"]:
        said = subprocess.run(["dciodvfy", file], capture_output=True, text=True)
        errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
        check(f"{file.name}: dciodvfy reports no errors {errors}", not errors)
    segmentation = highdicom.seg.segread(path)
    maps = highdicom.pm.pmread(folder / f"{stem}.map.dcm") if hasattr(highdicom.pm, "pmread") else pydicom.dcmread(folder / f"{stem}.map.dcm")
    values = np.frombuffer(maps.FloatPixelData, "<f4").reshape(maps.NumberOfFrames, maps.Rows, maps.Columns)
    nifti = np.asarray(nibabel.load(folder / f"{stem}.nii.gz").dataobj)
    check(f"{stem}: the Parametric Map has the values of the NIfTI map", np.array_equal(values, nifti.transpose(2, 1, 0)))
    masks = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    of_place = {place(maps, frame): values[frame] for frame in range(len(values))}
    agree = all(np.array_equal(mask != 0, of_place[place(segmentation, frame)] > threshold) for frame, mask in enumerate(masks))
    check(f"{stem}: the Segmentation is what lies above the threshold ({int(masks.sum())} pixels of {len(masks)} slices)", agree)
    marked = {at for at, plane in of_place.items() if (plane > threshold).any()}
    check(f"{stem}: it has all slices with such pixels", marked <= {place(segmentation, frame) for frame in range(len(masks))})
    capture = pydicom.dcmread(folder / f"{stem}.sc.dcm")
    pictures = capture.pixel_array.reshape(-1, capture.Rows, capture.Columns, 3).astype(int)
    shown = [plane for plane in values if (plane > threshold).any()] or [values[np.argmax(values.max((1, 2)))]]
    grey = [(picture.max(-1) == picture.min(-1)) | (plane > threshold) for picture, plane in zip(pictures, shown)]
    check(f"{stem}: the capture has those slices ({len(pictures)}), grey where nothing lies above", len(pictures) == len(shown) and np.all(grey))
    same = ["PatientID", "StudyInstanceUID"]
    check(f"{stem}: all are of one patient and study", all(capture.get(name) == maps.get(name) for name in same))
    affine = nibabel.load(folder / f"{stem}.nii.gz").affine @ [0, 0, 0, 1]
    first = np.array(place(maps, 0)) * [-1, -1, 1]
    check(f"{stem}: both begin at one place", np.allclose(affine[:3], first, atol=1e-4))
    check(f"{stem}: {segmentation.get_volume().spatial_shape} voxels by highdicom", segmentation.get_volume() is not None)
sys.exit(wrong > 0)
