"""Turns what people call images into what the native part reads: paths of files, or the bytes of files in memory.

An array is scored as the ``.npy`` file that holds it: integers of the unsigned types stand for 0 to their largest value, floats
for themselves (0 to 1 where they show what a PNG would).
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict

import numpy as np

from . import _aberra
from .errors import AberraNote, AberraWarning, InputError

Channels: TypeAlias = Literal["last", "first", "none"]
"""Where the channels of arrays are: their last axis, their first (of one image), or none."""

Place: TypeAlias = "str | bytes | list[tuple[str, str]]"
Picture: TypeAlias = tuple[Place, "int | None"]
"""A file's path or content, or the names and files of several channels; and the number of the page from 0."""

_MOST_CHANNELS = 16
"""An axis of so many may be that of the channels."""

_HINT = "give paths, folders, arrays (height, width[, channels]), PIL images, torch tensors, or lists of them"


class Source:
    """An image with its name.

    Attributes:
        name: Its path, or ``"image 3"`` by its place among those that were given.
        picture: What the native part reads.
    """

    __slots__ = ("name", "picture")

    def __init__(self, name: str, picture: Picture) -> None:
        self.name = name
        self.picture = picture


def sources(images: Any, channels: Channels | None = None, named: Sequence[str] = ()) -> Iterator[Source]:
    """Iterates over the images of a path, folder, array, PIL image, tensor, or iterable of them, without holding them all.

    Args:
        images: What to score.
        channels: Where the channels of arrays are; needed where an array could be several grey images or one in colour.
        named: Names of the channels that images have. If they are those of files (``case_0000``, ``case_0001``), the first file of
            a case in a folder stands for all.

    Raises:
        InputError: Something that is no image, or an array whose meaning is not clear.
    """
    return (
        Source(name if name is not None else f"image {number}", picture)
        for number, (name, picture) in enumerate(_flat(images, channels, named))
    )


def _flat(images: Any, channels: Channels | None, named: Sequence[str]) -> Iterator[tuple[str | None, Picture]]:
    if isinstance(images, (str, os.PathLike)):
        yield from _path(os.fspath(images), named)
    elif isinstance(images, (bytes, bytearray, memoryview)):
        yield None, (bytes(images), None)
    elif _is_pil(images):
        yield None, (_pil(images), None)
    elif (array := _array(images)) is not None:
        for one in split(array, channels, is_tensor=not isinstance(images, np.ndarray)):
            yield None, (npy(one), None)
    elif isinstance(images, tuple) and len(images) == 2 and isinstance(images[1], (int, np.integer)):
        path, page = os.fspath(images[0]), int(images[1])
        if page < 0:
            raise InputError(f"expected a path and the number of its page from 0, found {images}")
        yield f"{path}[{page}]", (path, page)
    elif isinstance(images, Iterable) and not isinstance(images, dict):
        for one in images:
            yield from _flat(one, channels, named)
    else:
        raise InputError(f"expected images, found {type(images).__name__}", _HINT)


def _path(path: str, named: Sequence[str]) -> Iterator[tuple[str, Picture]]:
    if Path(path).suffix.lower() in (".csv", ".jsonl") and os.path.isfile(path):
        for sample in _aberra.Dataset(opening(path, [], False)).samples():
            name = os.fspath(sample.path)
            yield name, ([(one, os.fspath(file)) for one, file in sample.channels] or name, sample.page)
        return
    if not os.path.isdir(path):
        yield path, (path, None)
        return
    paths, said = _aberra.image_paths(path, named)
    warn(said)
    if not paths:
        raise InputError(f"{path}: expected images, found none")
    for file in paths:
        yield os.fspath(file), (os.fspath(file), None)


def _is_pil(image: Any) -> bool:
    return type(image).__module__.split(".")[0] == "PIL" and hasattr(image, "tobytes")


def _pil(image: Any) -> bytes:
    """The image as the file it would be saved as: palettes, alpha and EXIF orientation are then the decoder's."""
    kept = io.BytesIO()
    mode = image.mode
    if mode in ("F", "I"):
        return npy(np.asarray(image))
    if mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        image = image.convert("RGB")
    exif = image.getexif()
    image.save(kept, format="PNG", compress_level=1, **({"exif": exif} if exif else {}))
    return kept.getvalue()


def _array(image: Any) -> np.ndarray[Any, Any] | None:
    if isinstance(image, np.ndarray):
        return image
    if hasattr(image, "__dlpack__"):
        detach = getattr(image, "detach", None)
        plain = detach() if detach is not None else image
        cpu = getattr(plain, "cpu", None)
        plain = cpu() if cpu is not None else plain
        if str(getattr(plain, "dtype", "")) == "torch.bfloat16":
            plain = plain.float()
        return np.from_dlpack(plain)
    if hasattr(image, "__array_interface__"):
        return np.asarray(image)
    return None


def split(
    array: np.ndarray[Any, Any], channels: Channels | None, is_tensor: bool = False
) -> Iterator[np.ndarray[Any, Any]]:
    """The images of an array, each ``(height, width)`` or ``(height, width, channels)``. Of a tensor of three axes the first may
    be the channels, as is usual there.

    Raises:
        InputError: An array of another rank, or of three axes that may be several grey images or one in colour.
    """
    if array.ndim == 2:
        yield array
    elif array.ndim == 3:
        shape = array.shape
        if channels is None and 1 < shape[-1] <= _MOST_CHANNELS:
            raise InputError(
                f"expected an array whose meaning is clear, found {shape}: one image of {shape[-1]} channels, or {shape[0]} "
                f"grey images {shape[-1]} pixels wide",
                'give channels="last" (one image), channels="first", or channels="none" (several grey images)',
            )
        if channels is None and is_tensor and 1 < shape[0] <= _MOST_CHANNELS:
            raise InputError(
                f"expected an array whose meaning is clear, found {shape}: one image of {shape[0]} channels, or {shape[0]} "
                "grey images",
                'give channels="first" (one image), or channels="none" (several grey images)',
            )
        if channels == "last" or (channels is None and shape[-1] == 1):
            yield array
        elif channels == "first":
            yield np.moveaxis(array, 0, -1)
        else:
            yield from array
    elif array.ndim == 4:
        if channels == "none":
            raise InputError(f"expected an array of three axes at most without channels, found {array.shape}")
        could_be = [1 <= array.shape[axis] <= _MOST_CHANNELS for axis in (1, -1)]
        first = channels == "first" or (channels is None and could_be == [True, False])
        if channels is None and could_be == [True, True]:
            raise InputError(
                f"expected an array whose meaning is clear, found {array.shape}", 'give channels="last" or channels="first"'
            )
        for one in array:
            yield np.moveaxis(one, 0, -1) if first else one
    else:
        raise InputError(f"expected an array of 2, 3 or 4 axes, found {array.ndim}", _HINT)


def npy(array: np.ndarray[Any, Any]) -> bytes:
    """One image as the content of an ``.npy`` file.

    Raises:
        InputError: An empty array, or values that are no numbers or not finite.
    """
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float32)
    elif array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise InputError(f"expected an array of numbers, found {array.dtype}")
    if array.size == 0:
        raise InputError(f"expected an image, found an empty array {array.shape}")
    kept = io.BytesIO()
    np.lib.format.write_array(kept, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return kept.getvalue()


class Opening(TypedDict):
    """A folder or manifest, and how the native part reads it."""

    path: str
    normal: list[str]
    pages: bool
    volumes: bool
    cases: bool


def opening(
    path: str | os.PathLike[str],
    normal: str | Iterable[str],
    pages: bool,
    volumes: bool = False,
    cases: bool = False,
) -> Opening:
    """How a folder or manifest is read: ``normal`` are class folders that are normal, ``cases`` are images of several files."""
    normals = [normal] if isinstance(normal, str) else list(normal)
    return {"path": os.fspath(path), "normal": normals, "pages": pages, "volumes": volumes, "cases": cases}


def warn(texts: Iterable[str], category: type[Warning] = AberraWarning, depth: int = 3) -> None:
    """Warns of each thing that weakens a result."""
    for text in texts:
        warnings.warn(text, category, stacklevel=depth)


def tell(said: tuple[list[str], list[str]]) -> None:
    """Tells what the native part has noted, and warns of what weakens its result."""
    notes, warned = said
    warn(notes, AberraNote, depth=4)
    warn(warned, depth=4)
