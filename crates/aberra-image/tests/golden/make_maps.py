"""Writes what nibabel reads of the NIfTI files of this folder as they are stored: grid, units and values in the order of the file
(`maps.json`), against which maps that are put back into the grid are tested.

    python3 -m venv venv && venv/bin/pip install nibabel==5.4.2 numpy==2.4.6
    venv/bin/python make_maps.py

With two files as arguments, a volume and its map, it says whether the map lies in the volume's grid, and where it is largest.
Deterministic.
"""

import json
import sys
from pathlib import Path

import nibabel
import numpy as np

HERE = Path(__file__).parent


def grid(image):
    header = image.header
    return {
        "version": 2 if isinstance(header, nibabel.Nifti2Header) else 1,
        "sides": [int(side) for side in (image.shape + (1, 1))[:3]],
        "pixdim": [float(value) for value in header["pixdim"][:4]],
        "units": int(header["xyzt_units"]) & 7,
        "codes": [int(header["qform_code"]), int(header["sform_code"])],
        "quaternion": [float(header[key]) for key in ["quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"]],
        "rows": [float(value) for row in ["srow_x", "srow_y", "srow_z"] for value in header[row]],
    }


if len(sys.argv) == 3:
    volume, map_ = (nibabel.load(path) for path in sys.argv[1:])
    data = map_.get_fdata()
    same = map_.shape == volume.shape[:3] and np.array_equal(map_.affine, volume.affine)
    print("the grid is", "the same" if same else "another", map_.shape, map_.get_data_dtype())
    print("codes", map_.header["qform_code"], map_.header["sform_code"], "orientation", nibabel.aff2axcodes(map_.affine))
    print("largest", float(data.max()), "at", [int(at) for at in np.unravel_index(data.argmax(), data.shape)])
    sys.exit(not same)

cases = []
for path in sorted([*HERE.glob("*.nii"), *HERE.glob("*.nii.gz")]):
    image = nibabel.load(path)
    if image.get_data_dtype().names is not None:
        continue  # colours
    values = np.asarray(image.dataobj, dtype=np.float64)
    values = values[..., 0] if values.ndim == 4 else values
    stored = [float(f"{value:.7g}") if np.isfinite(value) else None for value in values.flatten(order="F")]
    cases.append({"file": path.name, **grid(image), "voxels": stored})
for case in cases:
    for key in ["pixdim", "quaternion", "rows"]:
        case[key] = [float(np.float32(value)) for value in case[key]]
text = json.dumps(cases, separators=(",", ":")).replace("},{", "},\n{")
(HERE / "maps.json").write_text(text + "\n")
