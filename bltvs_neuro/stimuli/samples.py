"""What a picture's file stores: colours, transparency and the value of white, at the depth of the file.

Pillow decodes to eight bits a channel. Of deeper pictures it keeps the upper byte, or values without their white; so
these are asked for in another layout here, or refused: none is shown as something else than what is stored.
"""

from __future__ import annotations

import io
import re
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from ..errors import StimulusError

BITS, COMPRESSION, PHOTOMETRIC, PLANAR, COLOURS, SAMPLE_FORMAT, EXTRA = 258, 259, 262, 284, 320, 339, 338
LAYOUTS = {"16L": "16B", "16B": "16L", "16N": "16B" if sys.byteorder == "little" else "16L"}
"""Pillow's layout that takes the upper byte of every 16-bit value -> the one that takes the lower byte."""


@dataclass(frozen=True)
class Samples:
    """Pixels as they are stored.

    ``colour`` is uint8 or uint16, (height, width) for grey or (height, width, 3) for red, green and blue. ``white`` is the
    value of white and of full opacity, ``alpha`` (height, width) the opacity. Where ``premultiplied``, colours were multiplied
    by the opacity ("associated alpha").
    """

    colour: np.ndarray
    white: int = 255
    alpha: np.ndarray | None = None
    premultiplied: bool = False


def refused(what: str) -> StimulusError:
    """Error for a picture that has no certain reading."""
    return StimulusError(f"{what}; save it as a PNG with 8 bits a channel")


def read_samples(image: ImageFile.ImageFile, data: bytes) -> Samples:
    """Read a picture that Pillow has opened from ``data`` and not loaded; StimulusError where it has no certain reading."""
    return _READERS.get(image.format or "", _usual)(image, data)


def _usual(image: ImageFile.ImageFile, data: bytes) -> Samples:
    """Eight bits a channel or fewer."""
    if re.search(";1[56]|;4B", _layout(image)):
        raise refused("it has 4 to 6 bits a colour, whose scaling differs between programs")
    return _eight_bits(image)


def _eight_bits(image: ImageFile.ImageFile) -> Samples:
    image.load()
    if image.mode in ("I", "F"):
        raise refused(f"its pixels are 32-bit (mode {image.mode}) with no defined white")
    if image.mode in ("LAB", "HSV") or ";16" in image.mode:
        raise refused(f"its pixels are of Pillow's mode {image.mode}")
    if image.mode == "La":
        grey, alpha = np.moveaxis(np.asarray(image), 2, 0)  # (H, W, 2) -> (2, H, W)
        return Samples(grey, alpha=alpha, premultiplied=True)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        rgba = np.asarray(image.convert("RGBA"))  # (H, W, 4)
        return Samples(rgba[:, :, :3], alpha=rgba[:, :, 3])
    return Samples(np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB")))


def _layout(image: ImageFile.ImageFile) -> str:
    """Pillow's name of how the values lie in the file ("raw mode"); empty where a format has none."""
    args = image.tile[0][3] if image.tile else ""
    first = args[0] if isinstance(args, tuple | list) and args else args
    return first if isinstance(first, str) else ""


def _reread(image: ImageFile.ImageFile, data: bytes, layout: str) -> np.ndarray:
    """The same file with its values taken in another layout."""
    image.load()  # Pillow turns a TIFF upright while it loads; what is left to turn is asked of this image
    with Image.open(io.BytesIO(data), formats=[str(image.format)]) as again:
        tiles: list[Any] = []
        for tile in again.tile:
            args = (layout, *tile[3][1:]) if isinstance(tile[3], tuple) else layout
            # before Pillow 11 a tile was a plain tuple
            tiles.append(tile._replace(args=args) if hasattr(tile, "_replace") else (*tile[:3], args))
        again.tile = tiles
        again.load()
        return np.asarray(again)


def _deep_colour(image: ImageFile.ImageFile, data: bytes) -> np.ndarray:
    """16-bit colour, uint16 (H, W, 3 or 4): upper bytes and lower bytes in two readings."""
    layout = _layout(image)
    plain = layout.replace("a", "A")  # else Pillow would divide by the opacity
    lower = _reread(image, data, plain[:-3] + LAYOUTS[plain[-3:]])
    upper = np.asarray(image) if layout == plain else _reread(image, data, plain)
    return (upper.astype(np.uint16) << 8) | lower


def _check_png(data: bytes) -> None:
    """Compare every chunk with its CRC-32: Pillow looks at those of the pictures' own data no more than it has to."""
    at = 8
    while at + 8 <= len(data):
        (length,), kind = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        stored = int.from_bytes(data[at + 8 + length : at + 12 + length], "big")
        if at + 12 + length > len(data):
            break
        if zlib.crc32(memoryview(data)[at + 4 : at + 8 + length]) != stored:
            raise StimulusError(
                f"the file is damaged or cut off: the checksum of its {kind.decode('latin-1')} chunk differs"
            )
        if kind == b"IEND":
            return
        at += 12 + length
    raise StimulusError("the file is damaged or cut off: it has no end")


def _png(image: ImageFile.ImageFile, data: bytes) -> Samples:
    _check_png(data)
    layout, see_through = _layout(image), image.info.get("transparency")
    if layout.startswith("I;16"):
        image.load()
        grey = np.asarray(image).astype(np.uint16)
        return Samples(grey, 65535, _keyed(grey == see_through) if see_through is not None else None)
    if layout == "LA;16B":
        both = _reread(image, data, "RGBA").view(">u2").astype(np.uint16)  # (H, W, 4) bytes -> (H, W, 2)
        return Samples(both[:, :, 0], 65535, both[:, :, 1])
    if layout.endswith(";16B"):
        values = _deep_colour(image, data)
        if see_through is None:
            return _with_alpha(Samples(values, 65535))
        return Samples(values, 65535, _keyed((values == np.array(see_through)).all(axis=2)))
    if isinstance(see_through, int) and image.mode in ("1", "L"):  # stored in the file's depth
        bits = {"1": 1, "L;2": 2, "L;4": 4}.get(layout, 8)
        image.info["transparency"] = (see_through & (2**bits - 1)) * 255 // (2**bits - 1)
    return _eight_bits(image)


def _keyed(see_through: np.ndarray) -> np.ndarray:
    """16-bit opacity where one colour is transparent."""
    return np.where(see_through, 0, 65535).astype(np.uint16)


def _with_alpha(samples: Samples) -> Samples:
    """Split off a fourth channel."""
    colour = samples.colour
    if colour.shape[2] == 3:
        return samples
    return replace(samples, colour=colour[:, :, :3], alpha=colour[:, :, 3])


def _tiff(image: ImageFile.ImageFile, data: bytes) -> Samples:
    tags, layout = image.tag_v2, _layout(image)  # type: ignore[attr-defined]
    photometric, deep = tags.get(PHOTOMETRIC), max(tags.get(BITS, (1,))) > 8
    if photometric is None:
        raise refused("it does not say whether 0 is black or white")
    if set(tags.get(SAMPLE_FORMAT, (1,))) != {1}:
        raise refused("its values are signed or of floating point, with no defined white")
    if photometric == 6 and tags.get(COMPRESSION) not in (6, 7):
        raise refused("its colours are YCbCr without JPEG compression")
    premultiplied = tags.get(EXTRA, (0,))[0] == 1
    if (deep or premultiplied) and tags.get(PLANAR, 1) != 1:
        raise refused("its 16-bit or premultiplied colours lie in separate planes")
    if photometric == 3:
        return _tiff_palette(image)
    if layout.startswith("I;1"):
        image.load()
        white = 4095 if layout == "I;12" else 65535
        grey = np.asarray(image).astype(np.uint16)
        return Samples(white - grey if photometric == 0 else grey, white)
    if deep and layout.startswith("RGB"):
        return _with_alpha(Samples(_deep_colour(image, data), 65535, premultiplied=premultiplied))
    if deep:
        raise refused(f"it has {max(tags[BITS])} bits a channel and is neither grey nor RGB")
    if premultiplied and layout.startswith("RGBa"):
        return _with_alpha(Samples(_reread(image, data, layout.replace("a", "A")), premultiplied=True))
    return _eight_bits(image)


def _tiff_palette(image: ImageFile.ImageFile) -> Samples:
    """Colours of a palette have 16 bits; programs write 8-bit ones times 257, or times 256."""
    table = np.array(image.tag_v2[COLOURS], np.int64)  # type: ignore[attr-defined]
    if 0 < table.max() < 256:
        raise refused("the colours of its palette have 8 bits in place of 16")
    image.load()
    short = not (table % 256).any()
    colours = (table // 256 if short else (table + 128) // 257).astype(np.uint8).reshape(3, -1).T  # (n, 3)
    index = np.asarray(image)
    if image.mode == "PA":
        return Samples(colours[index[:, :, 0]], alpha=index[:, :, 1])
    return Samples(colours[index])


def _jpeg(image: ImageFile.ImageFile, data: bytes) -> Samples:
    if image.mode == "CMYK" and "adobe" not in image.info:
        raise refused("it is a CMYK JPEG that does not say whether its inks are inverted")
    return _eight_bits(image)


def _jpeg2000(image: ImageFile.ImageFile, data: bytes) -> Samples:
    at = data.find(b"\xff\x4f\xff\x51")  # the code stream with its marker SIZ: 40 bytes, then three for each channel
    channels = int.from_bytes(data[at + 40 : at + 42], "big")
    depths = set(data[at + 42 : at + 42 + 3 * channels : 3])
    if at < 0 or b"pclr" in data[:at] or not (depths == {7} or (depths == {15} and channels == 1)):
        raise refused("it is a JPEG 2000 with a palette, or with other than 8 bits a channel or 16-bit grey")
    if depths == {15}:
        image.load()
        return Samples(np.asarray(image).astype(np.uint16), 65535)
    return _eight_bits(image)


def _ppm(image: ImageFile.ImageFile, data: bytes) -> Samples:
    """Grey and colours of any white; Pillow rounds some twice."""
    width, height = image.size
    _, _, offset, args = image.tile[0]
    magic, body = data[:2], data[offset:]
    if magic not in (b"P2", b"P3", b"P5", b"P6"):
        return _eight_bits(image)
    white = args[1] if isinstance(args, tuple) else 65535 if image.mode == "I" else 255
    bands = 3 if magic in (b"P3", b"P6") else 1
    count = width * height * bands
    if magic in (b"P2", b"P3"):
        words = re.sub(rb"#[^\r\n]*", b"", body).split()[:count]
        values = np.array([int(word) for word in words], np.int64)
    else:
        dtype = np.dtype(">u2" if white > 255 else "u1")
        values = np.frombuffer(body[: count * dtype.itemsize], dtype)
    if len(values) < count or values.max() > white or values.min() < 0:
        raise StimulusError(f"the file is damaged or cut off (fewer than {count} values from 0 to {white})")
    values = values.astype(np.uint16)
    return Samples(values.reshape((height, width, 3) if bands == 3 else (height, width)), white)


def _gif(image: ImageFile.ImageFile, data: bytes) -> Samples:
    if image.tile[0][1] != (0, 0, *image.size):
        raise refused("its frame does not cover the whole picture, and programs fill the rest differently")
    return _eight_bits(image)


def _tga(image: ImageFile.ImageFile, data: bytes) -> Samples:
    if data[1] and data[7] != 24:
        raise refused(f"the colours of its palette have {data[7]} bits in place of 24")
    if data[16] in (16, 32) and not data[17] & 15:
        raise refused("it does not say whether its last channel is transparency")
    return _usual(image, data)


def _avif(image: ImageFile.ImageFile, data: bytes) -> Samples:
    if any(data[at.end() + 2] & 0x40 for at in re.finditer(b"av1C", data[:-3])):
        raise refused("it is an AVIF of more than 8 bits a channel")
    return _eight_bits(image)


_READERS: dict[str, Callable[[ImageFile.ImageFile, bytes], Samples]] = {
    "PNG": _png, "TIFF": _tiff, "JPEG": _jpeg, "MPO": _jpeg, "JPEG2000": _jpeg2000, "PPM": _ppm, "GIF": _gif,
    "TGA": _tga, "AVIF": _avif,
}  # fmt: skip
"""Formats that hold more than eight bits or whose colours may have several readings; the others are :func:`_usual`."""
