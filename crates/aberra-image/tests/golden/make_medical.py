"""Writes small DICOM and NIfTI files, arrays and animations of this folder, and what pydicom, nibabel, NumPy and Pillow say
their pixels are (`medical.json`).

    python3 -m venv venv && venv/bin/pip install pydicom==3.0.2 pylibjpeg==2.1.0 pylibjpeg-libjpeg==2.5.0 \\
        pylibjpeg-openjpeg==2.6.0 pylibjpeg-rle==2.2.0 nibabel==5.4.2 numpy==2.4.6 pillow==13.0.0
    venv/bin/python make_medical.py

With folders as arguments it writes what the libraries say of every file in them to `NAME.PAGE.npy` beside each, and
`expected.json`, for the test of outside files (`outside.rs`). Deterministic.
"""

import copy
import io
import json
import sys
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

HERE = Path(__file__).parent
PAGES = 6  # of a file, at most
LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"}


# --- What the libraries say. Values as in `Image`.


def frame_of(dataset, page):
    """The rescale and window of a frame's functional groups, where they are, as if they stood in the data set."""
    groups = []
    if "PerFrameFunctionalGroupsSequence" in dataset and page < len(dataset.PerFrameFunctionalGroupsSequence):
        groups.append(dataset.PerFrameFunctionalGroupsSequence[page])
    if "SharedFunctionalGroupsSequence" in dataset:
        groups += list(dataset.SharedFunctionalGroupsSequence)
    frame = copy.copy(dataset)
    for sequence, keys in [
        ("PixelValueTransformationSequence", ["RescaleSlope", "RescaleIntercept"]),
        ("FrameVOILUTSequence", ["WindowCenter", "WindowWidth", "VOILUTFunction"]),
    ]:
        for group in groups:
            if sequence in group:
                for key in keys:
                    if key in group[sequence][0]:
                        setattr(frame, key, group[sequence][0][key].value)
                break
    return frame


def grey(dataset, stored):
    bits = dataset.get("BitsStored", 32)
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if dataset.get("PixelRepresentation") else [0, 2**bits - 1])
    has_table = bool(dataset.get("ModalityLUTSequence"))
    if has_table:
        low, high = 0, 2 ** dataset.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    else:
        low, high = sorted(ends * float(dataset.get("RescaleSlope") or 1) + float(dataset.get("RescaleIntercept") or 0))
    value = apply_modality_lut(stored, dataset)
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        return value
    width = dataset.get("WindowWidth")
    width = width[0] if isinstance(width, pydicom.multival.MultiValue) else width
    is_exact = str(dataset.get("VOILUTFunction", "LINEAR") or "LINEAR") != "LINEAR"
    if dataset.get("VOILUTSequence"):
        shown = apply_voi_lut(value, dataset).astype(float) / (2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1)
    elif width is not None and dataset.get("WindowCenter") is not None and (width > 0 if is_exact else width >= 1):
        shown = (apply_voi_lut(value, dataset) - low) / (high - low)
    else:
        shown = (value.astype(float) - low) / (high - low)
    shown = np.clip(shown, 0, 1)
    return 1 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


def measured(dataset, stored):
    """Grey values in the unit that the file gives them, or None."""
    is_float = "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset
    named = any(key in dataset for key in ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept"))
    return apply_modality_lut(stored, dataset) if stored.ndim == 2 and (is_float or named) else None


def colors(dataset, stored):
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        if not dataset.original_encoding[1]:  # pydicom takes the tables of big-endian files for little-endian ones
            dataset = copy.deepcopy(dataset)
            for color in ["Red", "Green", "Blue"]:
                if f"{color}PaletteColorLookupTableData" in dataset:
                    table = dataset[f"{color}PaletteColorLookupTableData"]
                    table.value = np.frombuffer(table.value, "<u2").byteswap().tobytes()
            dataset["PixelData"].value = b""
        return apply_color_lut(stored, dataset) / (2 ** dataset.RedPaletteColorLookupTableDescriptor[2] - 1)
    if stored.ndim == 3:
        return stored / (2**dataset.BitsStored - 1)
    return grey(dataset, stored)


def dicom_pages(source):
    """What pydicom says: for each page, values, how much a difference of one stored level makes, and values in their unit."""
    dataset = pydicom.dcmread(source)
    stored = pixel_array(dataset)
    frames = int(dataset.get("NumberOfFrames") or 1)
    stored = stored if frames > 1 else stored[None]
    for page in range(min(frames, PAGES)):
        frame = frame_of(dataset, page)
        values = colors(frame, stored[page])
        level = 0.0
        if dataset.file_meta.TransferSyntaxUID in LOSSY:
            for step in (-1, 1):
                other = (stored[page].astype(np.int64) + step).clip(np.iinfo(stored.dtype).min, np.iinfo(stored.dtype).max)
                level = max(level, float(np.abs(colors(frame, other.astype(stored.dtype)) - values).max()))
            # Decoders differ by more where colour differences of fewer pixels are spread over their neighbours.
            if dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50" and stored[page].ndim == 3:
                data = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=frames))[page]
                other = Image.open(io.BytesIO(data))
                if "YBR" in dataset.PhotometricInterpretation and max(layer[1:3] for layer in other.layer) != (1, 1):
                    level += float(np.abs(np.asarray(other.convert("RGB")) / 255 - values).max())
        elif "YBR" in str(dataset.PhotometricInterpretation):
            level = 0.51 / 255
        yield values, level, measured(frame, stored[page])


def nifti_pages(path):
    """What nibabel says: axial slices of the first volume towards RAS+, seen from above, anterior at the top."""
    image = nibabel.load(path)
    data = np.asanyarray(image.dataobj)
    if data.dtype.names:  # red, green, blue
        channels = [name for name in data.dtype.names if name != "A"]
        data = np.stack([data[name] for name in channels], -1) / 255
    else:
        data = image.get_fdata()
    channels = image.get_data_dtype().names is not None
    spatial = data.ndim - channels
    while spatial > 3:
        data = data[:, :, :, 0]
        spatial -= 1
    while spatial < 3:
        data = data[..., None, :] if channels else data[..., None]
        spatial += 1
    orientation = nibabel.io_orientation(image.affine)
    data = nibabel.apply_orientation(data, orientation)
    lowest = data[np.isfinite(data)].min()
    data = np.where(np.isfinite(data), data, lowest)
    middle = data.shape[2] // 2
    for page in range(data.shape[2]):
        if page < PAGES or page == middle:
            yield page, np.rot90(data[:, :, page])


def expect(folder):
    expected = {}
    for path in sorted(Path(folder).rglob("*")):
        if not path.is_file() or path.suffix in (".npy", ".json"):
            continue
        name = str(path.relative_to(folder))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if ".nii" in path.name:
                    pages = [(page, values, 0.0) for page, values in nifti_pages(path)]
                else:
                    pages = [(page, values, level) for page, (values, level, _) in enumerate(dicom_pages(path))]
        except Exception as error:
            expected[name] = {"error": f"{type(error).__name__}: {str(error)[:160]}"}
            continue
        for page, values, _ in pages:
            np.save(f"{path}.{page}.npy", np.asarray(values, dtype=np.float64))
        expected[name] = {"pages": [page for page, _, _ in pages], "level": max(level for _, _, level in pages)}
    (Path(folder) / "expected.json").write_text(json.dumps(expected, indent=1))
    print(folder, len(expected), "files", sum("error" in entry for entry in expected.values()), "not read")


if len(sys.argv) > 1:
    for folder in sys.argv[1:]:
        expect(folder)
    sys.exit()

# --- The files.

random = np.random.default_rng(16)
cases = []


def case(name, page, expected, format, mode, depth, tolerance=1e-6, measured=None):
    expected = np.asarray(expected, dtype=np.float64)
    cases.append(
        {
            "file": name,
            "page": page,
            "format": format,
            "color_mode": mode,
            "bit_depth": depth,
            "height": expected.shape[0],
            "width": expected.shape[1],
            "channels": 1 if expected.ndim == 2 else 3,
            "tolerance": tolerance,
            "pixels": [float(f"{value:.7g}") for value in expected.ravel()],
            "measured": None if measured is None else [float(f"{value:.7g}") for value in np.asarray(measured, np.float64).ravel()],
        }
    )


ROWS, COLUMNS = 9, 7


def dataset(stored, bits=None, photometric="MONOCHROME2", frames=None, **elements):
    """A data set of these stored values; what names a person is filled in, to be found nowhere."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.SOPInstanceUID = "1.2.3.4.5"
    ds.PatientName = "PLANTED^NAME"
    ds.PatientID = "PLANTED-ID"
    ds.PatientBirthDate = "19010203"
    ds.ReferringPhysicianName = "PLANTED^DOCTOR"
    ds.StudyInstanceUID = "1.2.3.4"
    ds.SeriesInstanceUID = "1.2.3.4.1"
    ds.Rows, ds.Columns = stored.shape[1:3] if frames else stored.shape[:2]
    if frames:
        ds.NumberOfFrames = frames
    ds.SamplesPerPixel = 3 if stored.shape[-1] == 3 and stored.ndim > 2 else 1
    ds.PhotometricInterpretation = photometric
    ds.BitsAllocated = stored.dtype.itemsize * 8
    ds.BitsStored = bits or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    if ds.SamplesPerPixel == 3:
        ds.PlanarConfiguration = 0
    for key, value in elements.items():
        setattr(ds, key, value)
    ds.PixelData = stored.tobytes() + b"\0" * (len(stored.tobytes()) % 2)
    ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
    return ds


def save(name, ds, syntax=ExplicitVRLittleEndian, preamble=None):
    syntax = UID(syntax)
    ds.file_meta.TransferSyntaxUID = syntax
    if preamble:
        ds.preamble = preamble
    ds.save_as(HERE / name, enforce_file_format=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pages = list(dicom_pages(HERE / name))
    mode = {"RGB": "rgb", "YBR_FULL": "rgb", "YBR_FULL_422": "rgb", "YBR_RCT": "rgb", "PALETTE COLOR": "palette"}.get(ds.PhotometricInterpretation, "grey")
    for page, (values, level, unscaled) in enumerate(pages):
        case(name, page, values, "dicom", mode, int(ds.BitsStored), max(level * 1.01, 1e-6), unscaled)


def noise(low, high, dtype, shape=(ROWS, COLUMNS)):
    return random.integers(low, high, shape, dtype, endpoint=True)


def table(values, first, bits=16):
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.add_new(0x00283006, "OW", np.asarray(values, "<u2").tobytes())
    item.add_new(0x00283004, "LO", "X")
    return Sequence([item])


signed12 = noise(-2048, 2047, np.int16)
save("window.dcm", dataset(signed12, 12, WindowCenter=[40, 600], WindowWidth=[4000, 2000], RescaleSlope=2, RescaleIntercept=-24, PixelSpacing=[0.5, 0.25], IssuerOfPatientID="PLANTED-HOSPITAL", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=[0, 1, 0, 0, 0, -1], ImagePositionPatient=[-31.5, 20, 7], Modality="MR", Manufacturer="PLANTED-MAKER", ManufacturerModelName="PLANTED-MODEL", ProtocolName="PLANTED-PROTOCOL", MagneticFieldStrength="1.494"))
save("exact.dcm", dataset(noise(0, 4095, np.uint16), 12, WindowCenter=1000, WindowWidth=700, VOILUTFunction="LINEAR_EXACT"))
save("sigmoid.dcm", dataset(noise(0, 4095, np.uint16), 12, "MONOCHROME1", WindowCenter=2000, WindowWidth=900, VOILUTFunction="SIGMOID"))
save("plain.dcm", dataset(noise(0, 1023, np.uint16), 10, "MONOCHROME1"), preamble=b"II*\0\x08\0\0\0" + b"\0" * 120)
save("implicit.dcm", dataset(signed12, 12, RescaleSlope=-0.5, RescaleIntercept=3), "1.2.840.10008.1.2")
save("deflated.dcm", dataset(noise(0, 255, np.uint8)), "1.2.840.10008.1.2.1.99")
save("modality_table.dcm", dataset(noise(0, 60, np.uint8), ModalityLUTSequence=table(noise(0, 65535, np.uint16, 50), 5), WindowCenter=30000, WindowWidth=40000))
save("voi_table.dcm", dataset(noise(-100, 300, np.int16), VOILUTSequence=table(noise(0, 65535, np.uint16, 256), -50)))

palette = dataset(noise(0, 20, np.uint8), photometric="PALETTE COLOR")
for color in ["Red", "Green", "Blue"]:
    setattr(palette, f"{color}PaletteColorLookupTableDescriptor", [16, 2, 16])
    setattr(palette, f"{color}PaletteColorLookupTableData", noise(0, 65535, np.uint16, 16).tobytes())
save("palette.dcm", palette)

rgb = noise(0, 255, np.uint8, (ROWS, COLUMNS, 3))
save("rgb.dcm", dataset(rgb, photometric="RGB", PatientID=""))
planes = dataset(rgb, photometric="RGB", PlanarConfiguration=1)
planes.PixelData = np.moveaxis(rgb, 2, 0).tobytes() + b"\0"
save("rgb_planar.dcm", planes)
save("ybr.dcm", dataset(rgb, photometric="YBR_FULL"))

frames = noise(0, 4095, np.uint16, (3, ROWS, COLUMNS))
enhanced = dataset(frames, 12, frames=3)
items = []
for frame in range(3):
    item, rescale, window, measures = Dataset(), Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1 + frame, -10 * frame, "US"
    window.WindowCenter, window.WindowWidth = 2000 + 500 * frame, 1500
    measures.PixelSpacing = [0.75, 0.5]
    item.PixelValueTransformationSequence = Sequence([rescale])
    item.FrameVOILUTSequence = Sequence([window])
    item.PixelMeasuresSequence = Sequence([measures])
    position, orientation = Dataset(), Dataset()
    position.ImagePositionPatient = [1, 2, 3.5 - frame]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    item.PlanePositionSequence = Sequence([position])
    item.PlaneOrientationSequence = Sequence([orientation])
    items.append(item)
enhanced.PerFrameFunctionalGroupsSequence = Sequence(items)
for item in items:
    item.is_undefined_length_sequence_item = True
enhanced["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
save("enhanced.dcm", enhanced)

smooth = np.add.outer(np.arange(40) * 37, np.arange(36) * 61).astype(np.uint16) % 4096
for name, syntax, stored, photometric in [
    ("rle.dcm", "1.2.840.10008.1.2.5", np.stack([smooth, smooth[::-1]]), "MONOCHROME2"),
    ("rle_rgb.dcm", "1.2.840.10008.1.2.5", rgb, "RGB"),
    ("jpeg2000.dcm", "1.2.840.10008.1.2.4.90", (smooth.astype(np.int16) - 2048), "MONOCHROME2"),
    ("jpeg2000_rgb.dcm", "1.2.840.10008.1.2.4.90", noise(0, 255, np.uint8, (40, 36, 3)), "YBR_RCT"),
    ("jpeg2000_lossy.dcm", "1.2.840.10008.1.2.4.91", smooth, "MONOCHROME2"),
]:
    frames = len(stored) if stored.ndim == 3 and stored.shape[-1] != 3 else None
    ds = dataset(np.ascontiguousarray(stored), 8 if stored.dtype == np.uint8 else 12, "RGB" if photometric == "YBR_RCT" else photometric, frames)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    options = {"j2k_psnr": [60]} if syntax.endswith(".91") else {}
    ds.PhotometricInterpretation = photometric
    ds.compress(syntax, generate_instance_uid=False, **options)
    save(name, ds, syntax)

jpeg = io.BytesIO()
Image.fromarray((smooth // 16).astype(np.uint8)).save(jpeg, "JPEG", quality=90)
ds = dataset((smooth // 16).astype(np.uint8))
ds.PixelData = pydicom.encaps.encapsulate([jpeg.getvalue()])
ds["PixelData"].is_undefined_length = True
save("jpeg.dcm", ds, "1.2.840.10008.1.2.4.50")

# NIfTI: an oblique, flipped and permuted grid of each kind.


def nifti(name, image):
    nibabel.save(image, HERE / name)
    depth = image.get_data_dtype().itemsize * 8 if image.get_data_dtype().names is None else 8
    mode = "grey" if image.get_data_dtype().names is None else "rgb"
    for page, values in nifti_pages(HERE / name):
        case(name, page, values, "nifti", mode, depth, measured=values if mode == "grey" else None)


volume = noise(-500, 500, np.int16, (5, 6, 4))
turned = np.array([[0, -2.0, 0, 5], [0.1, 0, 3, 1], [1.5, 0, 0.2, -7], [0, 0, 0, 1]])
image = nibabel.Nifti1Image(volume, turned)
image.header.set_slope_inter(0.25, -3)
nifti("scaled.nii", image)
nifti("flipped.nii.gz", nibabel.Nifti1Image(volume.astype(np.float32) / 7, np.diag([-2.0, -3, -4, 1])))
nifti("version2.nii.gz", nibabel.Nifti2Image(volume.astype(np.float64) / 3, turned))
big = nibabel.Nifti1Image(volume, np.eye(4), nibabel.Nifti1Header(endianness=">"))
nifti("big_endian.nii", big)
plain = nibabel.Nifti1Image(noise(0, 255, np.uint8, (5, 6, 3, 2)), None)
nifti("four.nii", plain)
holes = noise(0, 9, np.uint8, (5, 6, 2)).astype(np.float32)
holes[0, 0], holes[3, 2, 1] = np.nan, np.inf
nifti("holes.nii", nibabel.Nifti1Image(holes + 1, np.eye(4)))
quaternion = nibabel.Nifti1Image(volume[:, :, :2], None)
quaternion.set_qform(np.array([[0, 0, 1.0, 2], [-1, 0, 0, 3], [0, -1, 0, 4], [0, 0, 0, 1]]), 1)
nifti("quaternion.nii", quaternion)
colored = np.zeros((4, 5, 2), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
for channel in "RGB":
    colored[channel] = noise(0, 255, np.uint8, (4, 5, 2))
nifti("colored.nii", nibabel.Nifti1Image(colored, np.eye(4)))

# Arrays and an animation.
for name, array, mode in [
    ("uint8.npy", noise(0, 255, np.uint8), "grey"),
    ("uint16_big.npy", noise(0, 65535, np.uint16).astype(">u2"), "grey"),
    ("int16_fortran.npy", np.asfortranarray(noise(-32768, 32767, np.int16, (ROWS, COLUMNS, 3))), "rgb"),
    ("float32.npy", random.normal(size=(ROWS, COLUMNS, 1)).astype(np.float32), "grey"),
    ("float64_big.npy", random.normal(size=(ROWS, COLUMNS)).astype(">f8"), "grey"),
    ("rgba.npy", noise(0, 255, np.uint8, (ROWS, COLUMNS, 4)), "rgba"),
]:
    np.save(HERE / name, array)
    values = array.astype(np.float64)
    if array.dtype.kind != "f":
        values /= np.iinfo(array.dtype).max
    if mode == "rgba":
        values = values[..., :3] * values[..., 3:]
    unscaled = array if mode == "grey" and array.dtype.itemsize > 1 else None
    case(name, 0, values[..., 0] if values.shape[2:] == (1,) else values, "numpy", mode, array.dtype.itemsize * 8, measured=unscaled)

pictures = [Image.fromarray(noise(0, 255, np.uint8, (ROWS, COLUMNS)) // 4 * 4, "L") for _ in range(3)]
pictures[0].save(HERE / "animation.gif", save_all=True, append_images=pictures[1:], duration=50, optimize=False)
with Image.open(HERE / "animation.gif") as animation:
    for page in range(animation.n_frames):
        animation.seek(page)
        case("animation.gif", page, np.asarray(animation.convert("RGB")) / 255, "gif", "palette", 8)

text = json.dumps(cases, separators=(",", ":")).replace("},{", "},\n{")
(HERE / "medical.json").write_text(text + "\n")
