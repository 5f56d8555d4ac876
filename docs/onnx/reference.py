"""Runs a detector that `aberra export` has written: preprocessing with numpy and Pillow, inference with onnxruntime.

    python reference.py MODEL.onnx IMAGE...
    python reference.py MODEL.onnx T1.png FLAIR.png [T1.png FLAIR.png ...]    # images of several files: in the order of the channels
    python reference.py MODEL.onnx --check

The description beside the model (MODEL.json) says what is done with an image, and what the detector gives for a few inputs that
follow from a formula, which --check compares. Alpha, EXIF orientation and several bit depths are handled as Aberra handles them; files
of several pages, DICOM and NIfTI are not read here.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

BRIGHT_PERCENTILE = 99.5
MIN_LINE_SHARE, MIN_LINE_PIXELS = 0.01, 2
MIN_RUN_SHARE = 0.01
MIN_AREA_SHARE, MIN_SIDE_PX = 0.01, 8


def decode(path: str | Path) -> np.ndarray:
    """The pixels of a file, (height, width) or (height, width, 3), float32; integers from 0 to 1."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        pixels = np.asarray(image, np.float32) / 255
        alpha = pixels[..., 3:]
        return pixels[..., :3] * alpha if alpha.any() else pixels[..., :3]
    if image.mode in ("P", "CMYK", "YCbCr"):
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    pixels = np.asarray(image)
    if pixels.dtype == np.int32:  # Pillow's way to hold 16 bits
        return pixels.astype(np.float32) / 65535
    largest = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    return (pixels / np.float32(largest)).astype(np.float32)


def preprocess(pixels: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """The network input of an image, (size, size, channels), 0 to 1; with a window, of grey values in the unit of the files; with
    channels that are no colours, of these in their order, (height, width, channels)."""
    if settings["tiles"] != "none":
        raise ValueError(f"expected one network input for each image, found tiles {settings['tiles']}")
    names = settings.get("channels", [])
    if names and pixels.shape[2:] != (len(names),):
        raise ValueError(f"expected an image of the channels {', '.join(names)}, (height, width, {len(names)}), found {pixels.shape}")
    invalid = ~np.isfinite(pixels)
    for entry in settings.get("invalid", []):
        has_value = pixels == np.float32(entry["value"])
        if pixels.ndim == 2:
            invalid |= has_value
        else:
            own = _channels_of(entry.get("channel"), names) or slice(None)
            invalid[..., own] |= has_value[..., own].all(axis=2, keepdims=True)
    window = settings.get("window")
    if window:
        if pixels.ndim != 2:
            raise ValueError(f"expected grey values in the unit of the files, (height, width), found {pixels.shape}")
        low = window["center"] - window["width"] / 2
        pixels = np.clip((pixels.astype(np.float64) - low) / window["width"], 0, 1).astype(np.float32)
    top, left, height, width = 0, 0, *pixels.shape[:2]
    if settings.get("region"):
        top, left, height, width = _box(settings["region"], *pixels.shape[:2])
    for area in settings.get("ignore", []):
        first, start, rows, columns = _box(area, *pixels.shape[:2])
        invalid[first : first + rows, start : start + columns] = True
    region = (slice(top, top + height), slice(left, left + width))
    pixels = np.where(np.isfinite(pixels), pixels, 0)
    pixels[region] = _filled(pixels[region], invalid[region])
    is_grey = pixels.ndim == 2
    grey = (pixels if is_grey else _overview(pixels) if names else _grey(pixels))[region]
    pixels = pixels[region]
    in_colour = settings["color"] == "rgb" and not is_grey and not names
    whole = pixels if in_colour or names else grey[..., None]
    top, left, height, width = 0, 0, *grey.shape
    if settings["foreground_crop"] is not None:
        top, left, height, width = _foreground(grey, **settings["foreground_crop"])
    content = whole[top : top + height, left : left + width]
    scaling = settings["intensity"]
    percentiles = [scaling["low_percentile"], scaling["high_percentile"]]
    size, planes = settings["size_px"], []
    for channel in range(content.shape[2]):
        of = content[..., channel] if names else content
        low, high = np.float32((0, 1) if window else np.percentile(of.astype(np.float64), percentiles))
        plane = content[..., channel]
        plane = _resized_square(plane, size, low) if settings["square_pad"] else _resized(plane, size, size)
        planes.append(np.zeros_like(plane) if high <= low else np.clip((plane - low) / (high - low), 0, 1))
    values = np.stack(planes, axis=-1)
    return np.repeat(values, 3, axis=-1) if settings["color"] == "rgb" and values.shape[2] == 1 and not names else values


def _channels_of(name: str | None, names: list[str]) -> list[int]:
    """Where the channels of a file are: its own, or those of its colours and coordinates, which are numbered."""
    numbered = {f"{name}_{number}" for number in range(1, len(names) + 1)}
    return [at for at, one in enumerate(names) if one == name or one in numbered]


def _overview(pixels: np.ndarray) -> np.ndarray:
    """The mean of channels that are no colours, each between percentiles of its own."""
    planes = []
    for plane in np.moveaxis(pixels, -1, 0):
        low, high = np.float32(np.percentile(plane.astype(np.float64), [0, BRIGHT_PERCENTILE]))
        planes.append(np.clip((plane - low) / (high - low), 0, 1) if high > low else np.zeros_like(plane))
    return np.mean(planes, axis=0, dtype=np.float32)


def _filled(pixels: np.ndarray, invalid: np.ndarray) -> np.ndarray:
    """What lies around holes in their place, from their edge inwards: the mean of the known ones of eight neighbours."""
    if not invalid.any():
        return pixels
    if pixels.ndim == 3:
        planes = [_filled(pixels[..., channel], invalid[..., channel]) for channel in range(pixels.shape[2])]
        return np.stack(planes, axis=2)
    if invalid.all():
        raise ValueError("expected measured values, found none: all are invalid")
    filled, known = np.where(invalid, 0, pixels).astype(np.float64), ~invalid
    height, width = pixels.shape
    around = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]
    while not known.all():
        values, counted = np.pad(filled, 1), np.pad(known.astype(int), 1)
        total = sum(values[y : y + height, x : x + width] for y, x in around)
        count = sum(counted[y : y + height, x : x + width] for y, x in around)
        edge = ~known & (count > 0)
        filled[edge] = (total[edge] / count[edge]).astype(np.float32)
        known |= edge
    return filled.astype(np.float32)


def _box(part: dict[str, float], height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width in pixels of a part of an image that is given in shares of its sides."""
    (top, bottom), (left, right) = (
        [min(math.floor(share * side + 0.5), side) for share in (part[start], part[start] + part[length])]
        for start, length, side in (("top", "height", height), ("left", "width", width))
    )
    return top, left, bottom - top, right - left


def _grey(pixels: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(pixels.astype(np.float32), -1, 0)
    luma = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return np.where((red == green) & (green == blue), red, luma)


def _foreground(grey: np.ndarray, threshold: float, margin: float) -> tuple[int, int, int, int]:
    """Top, left, height and width of the object; of the whole image where there is nearly none."""
    whole = (0, 0, *grey.shape)
    darkest, bright = np.percentile(grey.astype(np.float64), [0, BRIGHT_PERCENTILE])
    black = min(darkest, 0.0)
    lit = grey > np.float32(black + threshold * (bright - black))
    rows, columns = _extent(lit.sum(axis=1), grey.shape[1]), _extent(lit.sum(axis=0), grey.shape[0])
    if rows is None or columns is None:
        return whole
    share = rows[1] / grey.shape[0] * columns[1] / grey.shape[1]
    if min(rows[1], columns[1]) < MIN_SIDE_PX or share < MIN_AREA_SHARE:
        return whole
    (top, height), (left, width) = _widened(*rows, grey.shape[0], margin), _widened(*columns, grey.shape[1], margin)
    return top, left, height, width


def _extent(counts: np.ndarray, length: int) -> tuple[int, int] | None:
    """First line and number of lines of the object, by the foreground pixels of each line."""
    enough = counts >= max(math.ceil(length * MIN_LINE_SHARE), MIN_LINE_PIXELS)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], enough.astype(int), [0]])))
    runs = [(first, last, int(counts[first:last].sum())) for first, last in edges.reshape(-1, 2)]
    total = sum(pixels for *_, pixels in runs)
    kept = [run for run in runs if run[2] >= MIN_RUN_SHARE * total]
    return (int(kept[0][0]), int(kept[-1][1] - kept[0][0])) if kept else None


def _widened(first: int, length: int, limit: int, margin: float) -> tuple[int, int]:
    extra = math.floor(length * float(np.float32(margin)) + 0.5)
    start = max(first - extra, 0)
    return start, min(first + length + extra, limit) - start


def _resized(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """A triangle filter, widened where it reduces."""
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32)


def _resized_square(plane: np.ndarray, size: int, fill: np.float32) -> np.ndarray:
    """Padded evenly to a square, then resized; the side without padding first."""
    height, width = plane.shape
    side = max(height, width)
    if height < side:
        padded = np.full((side, size), fill, np.float32)
        first = (side - height) // 2
        padded[first : first + height] = _resized(plane, height, size)
        return _resized(padded, size, size)
    if width < side:
        padded = np.full((size, side), fill, np.float32)
        first = (side - width) // 2
        padded[:, first : first + width] = _resized(plane, size, width)
        return _resized(padded, size, size)
    return _resized(plane, size, size)


def pattern(number: int, height: int, width: int, channels: int) -> np.ndarray:
    """The input from a formula for which the description holds what the detector gives."""
    y, x, channel = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    value = ((3 + number) * x + (5 + 2 * number) * y + 11 * channel + x * y // 8) % 64
    return value.astype(np.float32) / np.float32(63)


class Detector:
    """An exported detector."""

    def __init__(self, model: str | Path) -> None:
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.description = json.loads(Path(model).with_suffix(".json").read_text(encoding="utf-8"))
        self.outputs = [output.name for output in self.session.get_outputs()]

    def preprocess(self, pixels: np.ndarray) -> np.ndarray:
        return preprocess(pixels, self.description["preprocessing"])

    def run(self, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs by name for network inputs, (images, height, width, channels)."""
        return dict(zip(self.outputs, self.session.run(None, {"input": inputs.astype(np.float32)}), strict=True))

    def check(self) -> float:
        """The largest difference of a score from what the description holds, as a share of it."""
        shape, checks = self.description["input"]["shape"][1:], self.description["checks"]
        found = self.run(np.stack([pattern(check["number"], *shape) for check in checks]))
        return max(abs(score / check["score"] - 1) for score, check in zip(found["score"].tolist(), checks, strict=True))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model")
    arguments.add_argument("images", nargs="*")
    arguments.add_argument("--check", action="store_true", help="compare with what the description holds")
    given = arguments.parse_intermixed_args()
    detector = Detector(given.model)
    if given.check:
        difference, tolerance = detector.check(), detector.description["proof"]["tolerance"]
        print(f"largest difference of a score: {difference:.1e} of it")
        if difference > tolerance:
            raise SystemExit(f"expected at most {tolerance:.0e}")
    channels = len(detector.description["preprocessing"].get("channels", []))
    waiting: list[np.ndarray] = []
    for path in given.images:
        waiting.append(np.atleast_3d(decode(path)))
        if sum(planes.shape[2] for planes in waiting) < channels:
            continue
        pixels = np.concatenate(waiting, axis=2) if channels else decode(path)
        waiting.clear()
        found = detector.run(detector.preprocess(pixels)[None])
        verdict = "anomalous" if found["anomalous"][0] else "normal"
        print(f"{path}\t{found['score'][0]:.6g}\t{found['p_value'][0]:.4f}\t{verdict}")
    if waiting:
        raise SystemExit(f"expected images of {channels} channels, found files left over")


if __name__ == "__main__":
    main()
