"""Which logit a folder of pictures belongs to: by class name, or by ImageNet's numbers of WordNet (``n01440764``)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError, counted, difference, listed
from ...foreign.text import read_json, read_lines

_WNID = re.compile(r"n\d{8}")
_NUMBERED = re.compile(r"\d{4}_(.+)")  # Ecoset's folders: 0001_man


def read_class_file(path: str | Path) -> tuple[str, ...]:
    """Read the class of every logit: a JSON list, or a text file whose lines begin with the name, as ImageNet's mapping."""
    path = Path(path)
    if path.suffix == ".json":
        names = read_json(path)
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise DataError(f"{path} should be a JSON list of the names of classes")
    else:
        names = [line.split()[0] if _WNID.match(line) else line for line in read_lines(path)]
    if not names:
        raise DataError(f"{path} names no classes")
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(f"{path} names {counted(len(twice), 'classes')} more than once: {listed(twice)}")
    return tuple(names)


def folder_names(folders: Sequence[str], classes: Sequence[str], given: Sequence[str] | None = None) -> tuple[str, ...]:
    """Name of the folder of every logit, in order: found among ``folders`` by the model's ``classes``, or as ``given``.

    DataError, which names the folders, for those that are no class, or whose order cannot be known.
    """
    if given is not None:
        if len(given) != len(classes):
            raise DataError(f"{counted(len(given), 'classes', 'are')} given for the {len(classes)} logits of the model")
        return _checked(folders, given)
    if all(_WNID.fullmatch(folder) for folder in folders):
        return _checked(folders, _wnids(folders, len(classes)))
    if folders and all(_NUMBERED.fullmatch(folder) for folder in folders):
        plain = {_NUMBERED.sub(r"\1", folder): folder for folder in folders}
        return _checked(folders, [plain.get(name, name) for name in classes])
    return _checked(folders, classes)


def _wnids(folders: Sequence[str], n: int) -> list[str]:
    """ImageNet's labels number its WordNet ids in sorted order, so that all of them tell the order of all logits."""
    if n != 1000:
        raise DataError(f"the folders are ImageNet's ({listed(folders, 3)}), but the model has {counted(n, 'classes')}")
    if len(folders) == n:
        return sorted(folders)
    try:
        from timm.data import ImageNetInfo
    except ImportError:
        raise DataError(
            f"{len(folders)} of ImageNet's 1000 folders do not tell which logits are theirs: give --classes with a file of "
            "all 1000 in order, such as LOC_synset_mapping.txt, or pip install 'bltvs_neuro[models]'"
        ) from None
    return [str(name) for name in ImageNetInfo().label_names()]


def _checked(folders: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    if not set(folders) <= set(names):
        what = difference(
            "folders", sorted(folders), [n for n in names if n in set(folders)], "the data", "the model's classes"
        )
        raise DataError(f"{what}; its classes are {listed(names, 6)}")
    return tuple(names)
