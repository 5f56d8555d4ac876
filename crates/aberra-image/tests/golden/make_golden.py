"""Writes the golden files of this folder: small images of every format, colour mode and depth, and what Pillow, tifffile
and NumPy say their pixels are.

    python3 -m venv venv && venv/bin/pip install pillow==13.0.0 numpy==2.4.6 tifffile==2026.3.3
    venv/bin/python make_golden.py

Deterministic: running it again changes nothing but what another version of these libraries does differently.
"""

import io
import json
import struct
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

HERE = Path(__file__).parent
HEIGHT, WIDTH = 6, 9
random = np.random.default_rng(7)
cases = {}


def case(name, data, expected, format, mode, depth, tolerance=1e-6):
    """`expected`: [height, width] or [height, width, channels], values as in `Image`."""
    (HERE / name).write_bytes(data)
    expected = np.asarray(expected, dtype=np.float64)
    cases[name] = {
        "format": format,
        "color_mode": mode,
        "bit_depth": depth,
        "height": expected.shape[0],
        "width": expected.shape[1],
        "channels": 1 if expected.ndim == 2 else expected.shape[2],
        "tolerance": tolerance,
        "pixels": [float(f"{value:.6g}") for value in expected.ravel()],
    }


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, metadata=None, software=False, **options)
    return buffer.getvalue()


def noise(channels, dtype=np.uint8):
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def over_black(array, largest):
    array = array / largest
    colors, alpha = array[..., :-1], array[..., -1:]
    result = colors * alpha
    return result[..., 0] if result.shape[-1] == 1 else result


grey, grey_alpha, rgb, rgba = noise(1), noise(2), noise(3), noise(4)
grey16, rgb16 = noise(1, np.uint16), noise(3, np.uint16)
palette_image = Image.fromarray(rgb).convert("P", palette=Image.Palette.ADAPTIVE, colors=13)
palette_rgb = np.asarray(palette_image.convert("RGB")) / 255
bits = Image.fromarray(grey).convert("1")
bits_grey = np.asarray(bits).astype(float)

# PNG
case("grey8.png", saved(Image.fromarray(grey), "PNG"), grey / 255, "png", "grey", 8)
case("grey16.png", saved(Image.fromarray(grey16), "PNG"), grey16 / 65535, "png", "grey", 16)
case("grey1.png", saved(bits, "PNG"), bits_grey, "png", "grey", 1)
case("grey_alpha8.png", saved(Image.fromarray(grey_alpha, "LA"), "PNG"), over_black(grey_alpha, 255), "png", "greyalpha", 8)
case("rgb8.png", saved(Image.fromarray(rgb), "PNG"), rgb / 255, "png", "rgb", 8)
case("rgba8.png", saved(Image.fromarray(rgba), "PNG"), over_black(rgba, 255), "png", "rgba", 8)
case("palette4.png", saved(palette_image, "PNG", bits=4), palette_rgb, "png", "palette", 4)
many_colors = Image.fromarray(rgb).convert("P", palette=Image.Palette.ADAPTIVE, colors=40)
case("palette8.png", saved(many_colors, "PNG"), np.asarray(many_colors.convert("RGB")) / 255, "png", "palette", 8)
transparent = palette_rgb * (np.asarray(palette_image) != 3)[..., None]
case("palette_transparent.png", saved(palette_image, "PNG", bits=4, transparency=3), transparent, "png", "palette", 4)

# BMP
case("grey8.bmp", saved(Image.fromarray(grey), "BMP"), np.repeat(grey[..., None], 3, 2) / 255, "bmp", "palette", 8)
case("rgb8.bmp", saved(Image.fromarray(rgb), "BMP"), rgb / 255, "bmp", "rgb", 8)
case("palette8.bmp", saved(palette_image, "BMP"), palette_rgb, "bmp", "palette", 8)
case("grey1.bmp", saved(bits, "BMP"), np.repeat(bits_grey[..., None], 3, 2), "bmp", "palette", 1)

# WebP
case("rgb8.webp", saved(Image.fromarray(rgb), "WEBP", lossless=True), rgb / 255, "webp", "rgb", 8)
case("rgba8.webp", saved(Image.fromarray(rgba), "WEBP", lossless=True, exact=True), over_black(rgba, 255), "webp", "rgba", 8)

# Lossy formats: smooth content, decoded by Pillow; decoders may differ in rounding and chroma upsampling.
ys, xs = np.mgrid[0:12, 0:10] / 12
smooth_grey = (255 * (0.2 + 0.6 * ys * (1 - xs))).astype(np.uint8)
smooth = (255 * np.stack([ys, xs, 0.5 + 0.4 * ys * xs], 2)).astype(np.uint8)


def lossy(name, image, format, mode, tolerance, **options):
    data = saved(image, format, **options)
    decoded = Image.open(io.BytesIO(data))
    decoded = np.asarray(decoded if decoded.mode == "L" else decoded.convert("RGB"))
    case(name, data, decoded / 255, format.lower(), mode, 8, tolerance)


lossy("grey.jpg", Image.fromarray(smooth_grey), "JPEG", "grey", 1.01 / 255)
lossy("rgb_444.jpg", Image.fromarray(smooth), "JPEG", "rgb", 3.01 / 255, subsampling=0)
lossy("rgb_420.jpg", Image.fromarray(smooth), "JPEG", "rgb", 5.01 / 255, subsampling=2)
lossy("progressive.jpg", Image.fromarray(smooth), "JPEG", "rgb", 3.01 / 255, subsampling=0, progressive=True)
lossy("cmyk.jpg", Image.fromarray(smooth).convert("CMYK"), "JPEG", "cmyk", 4.01 / 255, subsampling=0)
lossy("lossy.webp", Image.fromarray(smooth), "WEBP", "rgb", 6.01 / 255, quality=90)

# TIFF
case("grey8.tif", tiff(grey), grey / 255, "tiff", "grey", 8)
case("grey8_lzw.tif", saved(Image.fromarray(grey), "TIFF", compression="tiff_lzw"), grey / 255, "tiff", "grey", 8)
case("grey8_white_is_zero.tif", tiff(255 - grey, photometric="miniswhite"), grey / 255, "tiff", "grey", 8)
case("grey1.tif", saved(bits, "TIFF"), bits_grey, "tiff", "grey", 1)
case("grey16.tif", tiff(grey16, byteorder=">"), grey16 / 65535, "tiff", "grey", 16)
case("grey16_big.tif", tiff(grey16, bigtiff=True), grey16 / 65535, "tiff", "grey", 16)
signed = noise(1, np.uint16).astype(np.int32) - 32767
case("grey16_signed.tif", tiff(signed.astype(np.int16)), signed / 32767, "tiff", "grey", 16)
grey32 = noise(1, np.uint32)
case("grey32.tif", tiff(grey32), grey32 / (2**32 - 1), "tiff", "grey", 32)
floats = random.normal(0, 40, (HEIGHT, WIDTH))
case("float16.tif", tiff(floats.astype(np.float16)), floats.astype(np.float16), "tiff", "grey", 16)
case("float32.tif", tiff(floats.astype(np.float32)), floats.astype(np.float32), "tiff", "grey", 32)
case("float32_deflate.tif", saved(Image.fromarray(floats.astype(np.float32)), "TIFF", compression="tiff_adobe_deflate"), floats.astype(np.float32), "tiff", "grey", 32)
case("float64.tif", tiff(floats), floats, "tiff", "grey", 64)
rgb_floats = random.random((HEIGHT, WIDTH, 3)).astype(np.float32)
case("rgb_float32.tif", tiff(rgb_floats, photometric="rgb"), rgb_floats, "tiff", "rgb", 32)
case("rgb8.tif", tiff(rgb, photometric="rgb"), rgb / 255, "tiff", "rgb", 8)
case("rgb16.tif", tiff(rgb16, photometric="rgb"), rgb16 / 65535, "tiff", "rgb", 16)
planes = np.moveaxis(rgb, 2, 0)
case("rgb8_planar.tif", tiff(planes, photometric="rgb", planarconfig="separate"), rgb / 255, "tiff", "rgb", 8)
tile = random.integers(0, 255, (18, 21), np.uint8)
case("grey8_tiles.tif", tiff(tile, tile=(16, 16)), tile / 255, "tiff", "grey", 8)
case("grey_alpha8.tif", tiff(grey_alpha, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]), over_black(grey_alpha, 255), "tiff", "greyalpha", 8)
case("rgba8.tif", tiff(rgba, photometric="rgb", extrasamples=["unassalpha"]), over_black(rgba, 255), "tiff", "rgba", 8)
case("rgba8_premultiplied.tif", tiff(rgba, photometric="rgb", extrasamples=["assocalpha"]), rgba[..., :3] / 255, "tiff", "rgba", 8)
case("palette8.tif", saved(palette_image, "TIFF"), palette_rgb, "tiff", "palette", 8)
case("palette8_big_endian.tif", tiff(np.asarray(palette_image), photometric="palette", byteorder=">", colormap=np.array(palette_image.getpalette() + [0] * (768 - len(palette_image.getpalette())), np.uint16).reshape(256, 3).T * 257), palette_rgb, "tiff", "palette", 8)
cmyk = noise(4)
inks = cmyk / 255
case("cmyk8.tif", tiff(cmyk, photometric="separated"), (1 - inks[..., :3]) * (1 - inks[..., 3:]), "tiff", "cmyk", 8)
# Bands that are no colours, of a generator of their own: the cases after them stay as they are.
bands = np.random.default_rng(11).integers(0, 65535, (HEIGHT, WIDTH, 5), np.uint16, endpoint=True)
case("bands5.tif", tiff(bands, photometric="minisblack", planarconfig="contig"), bands / 65535, "tiff", "channels", 16)
case("bands4_planar.tif", tiff(np.moveaxis(bands[..., :4], 2, 0), photometric="minisblack", planarconfig="separate"), bands[..., :4] / 65535, "tiff", "channels", 16)
three = (bands[..., :3] / 1000).astype(np.float32)
case("bands3.tif", tiff(three, photometric="minisblack", planarconfig="contig", compression="adobe_deflate"), three, "tiff", "channels", 32)
lossy("ycbcr.tif", Image.fromarray(smooth), "TIFF", "rgb", 4.01 / 255, compression="jpeg")

# EXIF orientation: what Pillow's exif_transpose makes of the same file.
from PIL import ImageOps

for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for format, mode, extension in [("JPEG", "L", "jpg"), ("PNG", "L", "png"), ("TIFF", "L", "tif"), ("WEBP", "RGB", "webp")]:
        if format != "JPEG" and orientation not in (3, 6):
            continue
        image = Image.fromarray(smooth_grey if mode == "L" else smooth)
        options = {"lossless": True} if format == "WEBP" else {}
        if format == "TIFF":
            data = tiff(smooth_grey, extratags=[(274, "H", 1, orientation, True)])
        else:
            data = saved(image, format, exif=exif, **options)
        upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        name = "webp" if format == "WEBP" else format.lower()
        case(f"orientation{orientation}.{extension}", data, upright / 255, name, "rgb" if mode == "RGB" else "grey", 8, 1.01 / 255)

(HERE / "decode.json").write_text(json.dumps(cases, indent=None, separators=(",", ":")).replace('"},"', '"},\n"').replace("},", "},\n") + "\n")

# Preprocessing: crop, pad, resize and scale as Pillow and NumPy do it.


def preprocess(array, size, box, square, low, high):
    """`array` in 0..1, [height, width] or [height, width, 3]; `box` (top, left, height, width)."""
    top, left, height, width = box
    content = array[top : top + height, left : left + width].astype(np.float32)
    dark, bright = np.percentile(content.astype(np.float64), [low, high])
    if square:
        side = max(height, width)
        canvas = np.full((side, side) + content.shape[2:], dark, np.float32)
        canvas[(side - height) // 2 :][:height, (side - width) // 2 :][:, :width] = content
        content = canvas
    planes = content[..., None] if content.ndim == 2 else content
    resized = [
        np.asarray(Image.fromarray(np.ascontiguousarray(planes[..., c])).resize((size, size), Image.Resampling.BILINEAR))
        for c in range(planes.shape[2])
    ]
    scaled = np.clip((np.stack(resized, 2) - dark) / (bright - dark), 0, 1)
    return [float(f"{value:.6g}") for value in scaled.ravel()]


def blob(height, width, channels):
    ys, xs = np.mgrid[0:height, 0:width]
    inside = ((ys - 0.55 * height) / (0.3 * height)) ** 2 + ((xs - 0.4 * width) / (0.3 * width)) ** 2 < 1
    texture = random.integers(90, 255, (height, width, channels))
    array = np.where(inside[..., None], texture, random.integers(0, 4, (height, width, channels))).astype(np.uint8)
    return (array[..., 0] if channels == 1 else array), inside


inputs = []
for name, shape, size, square, crop, low, high in [
    ("blob_wide.png", (41, 67, 1), 16, True, False, 0.0, 99.5),
    ("blob_tall.png", (70, 38, 1), 24, True, True, 0.0, 99.5),
    ("blob_rgb.png", (50, 44, 3), 16, False, True, 1.0, 98.0),
    ("blob_small.png", (13, 17, 1), 32, True, False, 0.0, 100.0),
]:
    array, inside = blob(*shape)
    (HERE / name).write_bytes(saved(Image.fromarray(array), "PNG", optimize=True))
    box = (0, 0) + array.shape[:2]
    if crop:  # no margin; lines with at least two pixels of the blob
        rows, columns = np.nonzero(inside.sum(1) >= 2)[0], np.nonzero(inside.sum(0) >= 2)[0]
        box = (rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)
    pixels = preprocess(array / 255, size, box, square, low, high)
    inputs.append({"file": name, "size_px": size, "color": "rgb" if array.ndim == 3 else "grey", "square_pad": square, "crop": crop, "low": low, "high": high, "content": [int(v) for v in box], "pixels": pixels})
(HERE / "preprocess.json").write_text(json.dumps(inputs, separators=(",", ":")).replace("},", "},\n") + "\n")
