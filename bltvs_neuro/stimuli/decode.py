"""One image file to RGB pixels: every mode Pillow knows, and one kind of error for all that can go wrong."""

from __future__ import annotations

import hashlib
import logging
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..errors import StimulusError

log = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
Background = tuple[int, int, int] | None

GREY: tuple[int, int, int] = (128, 128, 128)
MAX_PIXELS = 80_000_000
"""Larger pictures are refused before anything is allocated (a file of kilobytes can unfold to gigabytes)."""

IMAGE_FORMATS: dict[str, str] = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
    ".jp2": "JPEG2000",
}
"""The extensions that count as images, and Pillow's name of the format; none that runs another program to decode."""


def pixel_sha256(pixels: Pixels) -> str:
    """Hash pixels, so that a stimulus is known by what is shown and not by its file.

    Parameters
    ----------
    pixels : uint8 array of shape (height, width, 3)
        Decoded RGB, before any transform.

    Returns
    -------
    str
        sha256 of the shape (three little-endian int64) and of the bytes in row-major order, hexadecimal.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise StimulusError(f"pixels are uint8 (height, width, 3); got {pixels.dtype} {pixels.shape}")
    digest = hashlib.sha256(np.asarray(pixels.shape, "<i8").tobytes())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def decode_image(path: str | Path, *, name: str | None = None, background: Background = GREY) -> Pixels:
    """Read an image file as RGB.

    - Greyscale is repeated over the channels; 16-bit greyscale is scaled, ``round(value / 257)``. (Of 16-bit colour,
      Pillow itself keeps the upper eight bits.) 32-bit and float pictures have no defined white and are refused.
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
        Shown through transparent pixels. ``None`` drops the alpha channel and shows the stored colours, as
        ``PIL.Image.convert("RGB")`` does.

    Returns
    -------
    uint8 array of shape (height, width, 3)

    Raises
    ------
    StimulusError
        The file is missing, no image, damaged, cut off, of several frames, or larger than :data:`MAX_PIXELS`.
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
    if isinstance(error, FileNotFoundError):
        return f"there is no file {path}"
    if isinstance(error, Image.UnidentifiedImageError):
        size = path.stat().st_size
        return "the file is empty" if size == 0 else f"the file ({size} bytes) is no image that can be read"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"it has more than the {MAX_PIXELS:,} pixels that are read"
    return f"the file is damaged or cut off ({' '.join(str(error).split()) or type(error).__name__})"


def _decode(path: Path, background: Background) -> Pixels:
    with path.open("rb") as stream, Image.open(stream, formats=sorted(set(IMAGE_FORMATS.values()))) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise StimulusError(f"{width} x {height} is more than the {MAX_PIXELS:,} pixels that are read")
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":
            raise StimulusError(f"it has {frames} frames and a stimulus is one; save the frame as a file of its own")
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image), image.format, background)


def _to_rgb(image: Image.Image, fileformat: str | None, background: Background) -> Pixels:
    if image.mode.startswith("I;16") or (image.mode == "I" and fileformat in ("PNG", "PPM")):
        return _deep_grey_to_rgb(image, background)
    if image.mode in ("I", "F"):
        raise StimulusError(
            f"its pixels are 32-bit (mode {image.mode}) with no defined white; save it with 8 or 16 bits"
        )
    transparent = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa")
    if transparent and background is not None:
        foreground = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", foreground.size, (*background, 255)), foreground)
    return np.array(image.convert("RGB"))  # a copy: writeable, and independent of Pillow's buffer


def _deep_grey_to_rgb(image: Image.Image, background: Background) -> Pixels:
    """16-bit greyscale; ``image.convert("L")`` would clip at 255 instead of scaling."""
    values = np.asarray(image).astype(np.int64)  # (H, W)
    grey = np.clip((values + 128) // 257, 0, 255).astype(np.uint8)
    rgb = np.repeat(grey[:, :, None], 3, axis=2)  # (H, W) -> (H, W, 3)
    see_through = image.info.get("transparency")
    if see_through is not None and background is not None:
        rgb[values == see_through] = background
    return rgb
