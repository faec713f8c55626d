"""One image file to RGB pixels, and one kind of error for all that can go wrong."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, features

from ..errors import StimulusError
from ..paths import not_a_file
from .samples import Samples, read_samples

log = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
Background = tuple[int, int, int] | None

GREY: tuple[int, int, int] = (128, 128, 128)
ORIENTATION = 0x0112
MAX_PIXELS = 80_000_000
"""Larger pictures are refused before anything is allocated (a file of kilobytes can unfold to gigabytes)."""

MAX_BYTES = 8 * MAX_PIXELS + 2**20
"""Larger files of pictures are refused: four channels of 16 bits, and headers."""

_ENDINGS = {
    "PNG": ".png .apng",
    "JPEG": ".jpg .jpeg .jpe .jfif .mpo",
    "BMP": ".bmp .dib",
    "GIF": ".gif",
    "TIFF": ".tif .tiff",
    "WEBP": ".webp",
    "PPM": ".ppm .pgm .pbm .pnm",
    "JPEG2000": ".jp2 .j2k .j2c .jpc .jpf .jpx",
    "TGA": ".tga .icb .vda .vst",
    "QOI": ".qoi",
    **({"AVIF": ".avif .avifs"} if features.modules.get("avif") and features.check_module("avif") else {}),
}
IMAGE_FORMATS: dict[str, str] = {ending: name for name, endings in _ENDINGS.items() for ending in endings.split()}
"""The extensions that count as images, and Pillow's name of the format; none that runs another program to decode."""

OTHER_PICTURES = frozenset(
    (
        ".arw", ".avif", ".avifs", ".blp", ".bw", ".cr2", ".cr3", ".cur", ".dcx", ".dds", ".dng", ".emf", ".eps",
        ".exr", ".fit", ".fits", ".flc", ".fli", ".ftc", ".ftu", ".gbr", ".hdr", ".heic", ".heif", ".hif", ".icns",
        ".ico", ".im", ".jng", ".jxl", ".jxr", ".mng", ".msp", ".nef", ".orf", ".pam", ".pcd", ".pct", ".pcx", ".pef",
        ".pfm", ".pict", ".ps", ".psb", ".psd", ".pxr", ".raf", ".ras", ".raw", ".rgb", ".rgba", ".rw2", ".sgi",
        ".srw", ".svg", ".svgz", ".wdp", ".wmf", ".xbm", ".xcf", ".xpm",
    )
) - set(IMAGE_FORMATS)  # fmt: skip
"""Extensions of pictures that are not read: whoever lists a folder is told of them."""

_SIGNATURES: dict[str, str] = {
    "PNG": r"\x89PNG\r\n\x1a\n",
    "JPEG": r"\xff\xd8\xff",
    "GIF": r"GIF8[79]a",
    "TIFF": r"II[*+]\x00|MM\x00[*+]",
    "WebP": r"RIFF.{4}WEBP",
    "BMP": r"BM.{4}\x00{4}",
    "JPEG 2000": r"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51",
    "AVIF or HEIC": r".{4}ftyp(avi[fs]|hei[cfmsx]|hev[cmsx]|mi[af]f|msf1)",
    "JPEG XL": r"\xff\x0a|\x00\x00\x00\x0cJXL ",
    "Photoshop": r"8BPS",
    "QOI": r"qoif",
}


def signature(path: Path) -> str | None:
    """Name the format of pictures that a file begins like; None where it begins like no picture."""
    with path.open("rb") as stream:
        head = stream.read(32)
    return next((name for name, form in _SIGNATURES.items() if re.match(form.encode("latin-1"), head, re.DOTALL)), None)


def pixel_sha256(pixels: Pixels) -> str:
    """Hash decoded RGB pixels, uint8 (height, width, 3), so that a stimulus is known by what is shown and not by its file.

    The sha256, in hexadecimal, of the shape (three little-endian int64) and of the bytes in row-major order.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise StimulusError(f"pixels are uint8 (height, width, 3); got {pixels.dtype} {pixels.shape}")
    digest = hashlib.sha256(np.asarray(pixels.shape, "<i8").tobytes())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def decode_image(path: str | Path, *, name: str | None = None, background: Background = GREY) -> Pixels:
    """Read an image file as RGB.

    - Greyscale is repeated over the channels. Values of another depth than eight bits are scaled, so that white is 255:
      ``round(value * 255 / white)``. What has no defined white (32-bit, signed and floating-point pictures) and what
      Pillow cannot be trusted with is refused.
    - Transparency is composited on ``background``. The default is the mid-grey that cut-out objects are usually shown
      on and that the transform maps to about zero; the colours stored below a transparent pixel were never meant to be
      seen, and are often black or left-overs.
    - EXIF orientation is applied. Colour profiles are not, as in the training of the released models.
    - Of a file with several frames (animated GIF, PNG, WebP, multi-page TIFF) none is chosen: it is refused. The
      previews that cameras append to a JPEG are not frames and are ignored.

    Parameters
    ----------
    path : str or Path
        A file in one of the :data:`IMAGE_FORMATS`; the content counts, not the extension.
    name : str, optional
        What an error calls the image (its stimulus id); the path unless given.
    background : tuple of three ints 0-255, or None
        Shown through transparent pixels. ``None`` drops the alpha channel and shows the stored colours.

    Returns
    -------
    uint8 array of shape (height, width, 3)

    Raises
    ------
    StimulusError
        The file is missing, no regular file (a pipe would be waited for without end), no image, damaged, cut off, of
        several frames, of a kind with no certain reading, or larger than :data:`MAX_PIXELS`.
    """
    name = str(path) if name is None else name
    if background is not None and not (len(background) == 3 and all(0 <= value <= 255 for value in background)):
        raise StimulusError(f"a background is three ints from 0 to 255, or None; got {background!r}")
    try:
        # Pillow's warnings (damaged EXIF and the like) have no name in them, so they are logged with one.
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            pixels = _decode(Path(path), background)
        for warning in said:
            log.warning("stimulus %r: %s", name, warning.message)
        return pixels
    except StimulusError as error:
        raise StimulusError(f"cannot read stimulus {name!r}: {error}") from None
    # A damaged file makes Pillow's parsers raise almost anything: struct.error, SyntaxError, IndexError, zlib.error …
    except Exception as error:
        raise StimulusError(f"cannot read stimulus {name!r}: {_reason(Path(path), error)}") from error


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return f"the file cannot be opened ({error.strerror})"
    if isinstance(error, Image.UnidentifiedImageError):
        size, kind = path.stat().st_size, signature(path)
        if size == 0:
            return "the file is empty"
        if kind is None:
            return f"the file ({size} bytes) is no image that can be read"
        return (
            f"the file begins like a {kind} file, but is damaged, cut off or of a kind that is not read; "
            "save it as a PNG with 8 bits a channel"
        )
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"it has more than the {MAX_PIXELS:,} pixels that are read"
    # OSError and SyntaxError are Pillow's own words; those of others say what went wrong inside of a parser
    words = " ".join(str(error).split()) if isinstance(error, OSError | SyntaxError) else ""
    return "the file is damaged or cut off" + (f" ({words})" if words else "")


def _decode(path: Path, background: Background) -> Pixels:
    if why := not_a_file(path):
        raise StimulusError(why)
    formats = set(_ENDINGS)
    if IMAGE_FORMATS.get(path.suffix.lower()) != "TGA":
        formats.remove("TGA")  # has no signature: almost anything could be taken for one
    data = _whole(path)
    with Image.open(io.BytesIO(data), formats=sorted(formats)) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise StimulusError(f"{width} x {height} is more than the {MAX_PIXELS:,} pixels that are read")
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":
            raise StimulusError(f"it has {frames} frames and a stimulus is one; save the frame as a file of its own")
        pixels = _to_rgb(read_samples(image, data), background)
        return _upright(pixels, image.getexif().get(ORIENTATION, 1))


def _whole(path: Path) -> bytes:
    """All of a file: what its headers declare is then bounded by what there is, also for Pillow's parsers."""
    if (size := path.stat().st_size) > MAX_BYTES:
        raise StimulusError(f"its file has {size:,} bytes, more than the {MAX_BYTES:,} that are read")
    return path.read_bytes()


def _to_rgb(samples: Samples, background: Background) -> Pixels:
    """Eight bits, on a background; a new array of shape (H, W, 3)."""
    colour, white, alpha = samples.colour, samples.white, samples.alpha
    if colour.ndim == 2:
        colour = np.repeat(colour[:, :, None], 3, axis=2)  # (H, W) -> (H, W, 3)
    if alpha is None or background is None:
        if white == 255:
            return np.array(colour, np.uint8, order="C")
        return ((colour.astype(np.uint32) * 510 + white) // (2 * white)).astype(np.uint8)
    # white is 255 or 65535 here: whole multiples, so that all is in integers and rounded once
    wide = np.dtype("u4" if white == 255 else "u8")
    opacity: NDArray[Any] = alpha[:, :, None].astype(wide)  # (H, W) -> (H, W, 1)
    shown: NDArray[Any] = colour.astype(wide) * (white if samples.premultiplied else opacity)
    shown += (white - opacity) * (np.array(background, wide) * (white // 255))
    unit = white * white // 255
    return np.minimum((shown + unit // 2) // unit, 255).astype(np.uint8)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn as the EXIF orientation asks."""
    if orientation not in range(2, 9):
        return pixels
    turned = Image.fromarray(pixels)
    turned.getexif()[ORIENTATION] = orientation
    return np.array(ImageOps.exif_transpose(turned))
