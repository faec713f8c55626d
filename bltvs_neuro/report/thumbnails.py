"""Small pictures of the stimuli, as text that a page can hold."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..errors import DataError, counted, listed
from ..stimuli import StimulusSet

SIZE = 64


def thumbnails(
    stimuli: StimulusSet | str | os.PathLike[str], ids: Sequence[str], sha256s: Sequence[str]
) -> list[str | None]:
    """One picture per id, at most 64 x 64 pixels, as a ``data:`` address; None where the set has no such stimulus.

    Raises
    ------
    DataError
        A picture is not the one that the store was made of (its pixels' sha256 differs), or none is in the set.
    StimulusError
        The set cannot be read.
    """
    pictures = stimuli if isinstance(stimuli, StimulusSet) else StimulusSet.open(Path(stimuli))
    position = {name: row for row, name in enumerate(pictures.ids)}
    if not set(ids) & set(position):
        raise DataError(
            f"none of the {counted(len(ids), 'stimuli')} is among the pictures; the store has {listed(ids, 3)}"
        )
    wrong = [i for i, s in zip(ids, sha256s, strict=True) if i in position and pictures.digest(position[i]) != s]
    if wrong:
        raise DataError(
            f"{counted(len(wrong), 'pictures', 'are')} "
            f"not those that the store was made of (other pixels under the same id): {listed(wrong)}"
        )
    return [_picture(pictures, position[i]) if i in position else None for i in ids]


def _picture(pictures: StimulusSet, row: int) -> str:
    image = Image.fromarray(pictures.load(row)).convert("RGB")
    image.thumbnail((SIZE, SIZE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
