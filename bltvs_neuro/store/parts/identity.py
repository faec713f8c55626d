"""Say how the store that lies on disk differs from the one that is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import StoreError, argument, counted, difference, listed
from ..spec import StoreSpec

MOST = 4
"""Differences of model and options that are told one by one."""


def refuse_other(stored: StoreSpec, wanted: StoreSpec, where: object) -> None:
    """Raise a StoreError, with every difference, where ``wanted`` would not give the numbers that ``stored`` describes."""
    if stored.digest() == wanted.digest():
        return
    raise StoreError(
        f"{where} was made by another extraction: {'; '.join(differences(stored, wanted))}. "
        f"Write to another path, or start anew with {argument('resume', False)}, which discards what is there."
    )


def differences(stored: StoreSpec, wanted: StoreSpec) -> list[str]:
    """One phrase for each thing that differs."""
    found = [
        f"{key} is {_short(old)} there and {_short(new)} now"
        for key, old, new in _differing(_scalars(stored), _scalars(wanted))
    ]
    if len(found) > MOST:
        found[MOST:] = [f"{len(found) - MOST} more of model and options"]
    another = stored.identity.get("model") != wanted.identity.get("model")  # other sites and shapes follow from that
    if not found or (set(stored.layouts) != set(wanted.layouts) and not another):
        found += _site_differences(stored, wanted)
    found += _stimulus_differences(stored.stimulus_ids, wanted.stimulus_ids)
    return found or ["the specs differ"]


def _scalars(spec: StoreSpec) -> dict[str, Any]:
    return {**spec.identity, "keep_bits": spec.keep_bits, "n_timesteps": spec.n_timesteps}


def _site_differences(stored: StoreSpec, wanted: StoreSpec) -> list[str]:
    old, new = stored.layouts, wanted.layouts
    sites = difference("sites", old, new, "the store", "this extraction")
    found = [sites] if sites else []
    if not sites and list(old) != list(new):
        found.append(f"the sites are in the order {listed(old)} there and {listed(new)} now")
    for site in (s for s in old if s in new):
        a, b = old[site].to_json(), new[site].to_json()
        for key, x, y in _differing(a, b):
            found.append(f"{site} {key} is {_short(x)} there and {_short(y)} now")
    return found[:8] + ([f"{len(found) - 8} more differences between sites"] if len(found) > 8 else [])


def _stimulus_differences(stored: Sequence[str], wanted: Sequence[str]) -> list[str]:
    if tuple(stored) == tuple(wanted):
        return []
    sets = difference("stimuli", stored, wanted, "the store", "this stimulus set")
    if sets:
        return [sets]
    at = next(i for i, (a, b) in enumerate(zip(stored, wanted, strict=True)) if a != b)
    return [f"the stimuli are the same in another order (position {at} is {stored[at]!r} there and {wanted[at]!r} now)"]


_ABSENT = object()


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys((*old, *new)):
        a, b = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differing(a, b, f"{prefix}{key}.")
        elif a is _ABSENT or b is _ABSENT or a != b or type(a) is not type(b):
            yield f"{prefix}{key}", a, b


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return f"given ({counted(len(value), 'value')})"
    text = "absent" if value is _ABSENT else repr(value)
    if re.fullmatch("'[0-9a-f]{64}'", text):
        return f"{text[1:13]}..."
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
