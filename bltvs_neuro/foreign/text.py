"""Text files of others: one way to decode them, and one sentence for what is no text.

Text is UTF-8, with or without a byte order mark, or UTF-16 with one, which spreadsheets write. Every other encoding has
to be guessed, and a wrong guess makes ids that match nothing: it is refused with the place of the first strange byte.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BltvsError, DataError, listed
from ..paths import regular

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(\.0*)?")
"""Digits of ASCII: Python's own ``int`` also takes those of other scripts, underscores and blanks."""

_REMEDY = "save it as UTF-8 (iconv -f latin1 -t utf-8, or 'CSV UTF-8' in a spreadsheet)"


def read_text(path: Path, *, error: type[BltvsError] = DataError) -> str:
    """Read a whole text file, UTF-8 or UTF-16 with a byte order mark, or raise ``error`` with the byte and the line."""
    try:
        data = regular(Path(path)).read_bytes()
    except FileNotFoundError:
        raise error(f"there is no file {path}") from None
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause.strerror or cause}") from None
    return decode_text(data, str(path), error=error)


def decode_text(data: bytes, what: str, *, error: type[BltvsError] = DataError) -> str:
    """Decode text as :func:`read_text` does; ``what`` names it in errors."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as cause:
        # utf-8-sig counts from behind its mark
        at = cause.start + (3 if not wide and data.startswith(codecs.BOM_UTF8) else 0)
        form = "UTF-16" if wide else "UTF-8"
        raise error(f"{what} is no {form} text: {_bytes(data, at)} cannot be read as {form}; {_REMEDY}") from None
    if "\0" in text:
        at = 2 * text.index("\0") + 2 if wide else data.index(b"\0")
        raise error(f"{what} is no text: {_bytes(data, at)} is a NUL; if it is UTF-16, {_REMEDY}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that hold something, without the blanks around them."""
    # not splitlines, which also breaks at form feeds and at separators that may stand inside a name
    return [line.strip() for line in read_text(path).split("\n") if line.strip()]


def read_json(path: Path, *, error: type[BltvsError] = DataError) -> Any:
    """Parse a JSON file."""
    try:
        return json.loads(read_text(path, error=error))
    except (ValueError, RecursionError) as cause:
        why = "it is nested too deeply" if isinstance(cause, RecursionError) else str(cause)
        raise error(f"{path} is not valid JSON: {why}") from None


def whole_numbers(cells: Iterable[str], column: str, path: Path) -> NDArray[np.int64]:
    """The integers of a column of a table: ``12`` and ``12.0``; the error names the line of the first cell that is none."""
    texts = [cell.strip() for cell in cells]
    for line, text in enumerate(texts, 2):
        if not _WHOLE.fullmatch(text):
            shown = repr(text) if len(text) <= 40 else repr(text[:40]) + "..."
            raise DataError(f"{column} in line {line} of {path} should be a whole number; got {shown}")
    return np.array([int(text.partition(".")[0]) for text in texts], dtype=np.int64)


def utf8_names(names: Iterable[bytes], what: str) -> list[str]:
    """Names that stand as bytes in a binary file."""
    raw = list(names)
    out, bad = [], []
    for name in raw:
        try:
            out.append(name.decode("utf-8"))
        except UnicodeDecodeError:
            bad.append(name)
    if bad:
        raise DataError(f"{what}: {len(bad)} of {len(raw)} names are no UTF-8 text: {listed(bad, 3)}")
    return out


def _bytes(data: bytes, at: int) -> str:
    lines = data[:at].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return f"byte {at} (0x{data[at]:02x}, line {lines.count(bytes([10])) + 1})"
