"""Lesions: connections and sites that are scaled, silenced, frozen, made noisy or driven at run time.

The grammar of one lesion is ``TARGET[@TIMESTEPS][=ACTION]``::

    TARGET     td:LOC->V4   bu:V1->V2   skip:V1->V4   lateral:V1   lateral:V1/td   td:*   lateral:*/bu   V4/td
    TIMESTEPS  3   3:   0:6   0,2,5          those of the reading area; all where left out
    ACTION     0.5   freeze   noise(0.5)   noise(0.5,seed=3)   add(1)   add(pattern.npy)   clamp(0)   clamp(pattern.npy)

A number is the strength that what the target delivers is multiplied by; 0, the default, silences it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, SpecError, unknown
from ...foreign.npy import open_npy
from ...paths import not_a_file
from ...schema import STREAMS, Site, parse_timesteps
from .actions import ACTIONS, Action, Freeze, Noise, Pattern, Scale

if TYPE_CHECKING:
    from .module import BLT_VS

Timesteps = str | int | slice | Iterable[int]
Target = tuple[str, str]
"""An area, and one of its connections (``"td_conv"``) or streams (``"td"``)."""

KINDS: dict[str, str] = {
    "bu_conv": "bu", "readout_conv": "bu", "td_conv": "td", "bu_lateral": "lateral", "td_lateral": "lateral",
    "skip_bu": "skip", "skip_td": "skip",
}  # fmt: skip
"""Connection -> the word before the colon."""


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion of one model: its target's ``text``, the ``targets`` it touches by full name, and the reading timesteps."""

    text: str
    targets: Mapping[Target, str]
    timesteps: frozenset[int]
    action: Action

    def touches(self, area: str, what: str, timestep: int) -> bool:
        """Whether a connection into ``area``, or one of its streams, is touched at ``timestep``."""
        return timestep in self.timesteps and (area, what) in self.targets

    def before(self, timestep: int) -> int:
        """The last timestep before the run of lesioned ones that ``timestep`` is in."""
        while timestep in self.timesteps:
            timestep -= 1
        return timestep

    def describe(self) -> dict[str, Any]:
        """As plain JSON data, the same for every way of writing the same lesion."""
        return {"on": sorted(self.targets.values()), "timesteps": sorted(self.timesteps), **self.action.describe()}

    def __str__(self) -> str:
        return f"{self.text}@{_ranges(self.timesteps)}={self.action}"


class Lesioned:
    """A model under lesions (``lesions``: those it added), until :meth:`restore` or the end of the ``with`` block."""

    def __init__(self, model: BLT_VS, lesions: tuple[Lesion, ...]) -> None:
        self._model, self.lesions = model, lesions
        model.lesions = (*model.lesions, *lesions)

    def restore(self) -> None:
        """Take the lesions away again; a second time does nothing."""
        self._model.lesions = tuple(lesion for lesion in self._model.lesions if lesion not in self.lesions)

    def __enter__(self) -> BLT_VS:
        return self._model

    def __exit__(self, *error: object) -> None:
        self.restore()


def lesion(
    model: BLT_VS, *targets: str, timesteps: Timesteps = "all", strength: float = 0.0, action: Action | None = None
) -> Lesioned:
    """Lesion a model at run time; no weight is touched.

    Parameters
    ----------
    model : BLT_VS
        Changed in place until the lesions are taken away: use ``with``, or keep the result and call its ``restore``.
    *targets : str
        Connections and sites, in the grammar of :mod:`bltvs_neuro.model.blt_vs.lesion`: ``"td:LOC->V4"``, ``"lateral:V1"``,
        ``"skip:*"``, ``"V4/td"``. One that says its timesteps or action itself, ``"td:LOC->V4@3:=freeze"``, keeps them.
    timesteps : str, int, slice or iterable of int
        When the area that a connection ends in, or the site, is updated; ``"all"``, ``"3:"``, ``slice(3, None)``.
    strength : float
        What the target delivers is multiplied by it: 0 silences, 1 changes no bit.
    action : Scale, Freeze, Noise, Add or Clamp, optional
        Instead of ``strength``; see :mod:`bltvs_neuro.model.blt_vs.actions`. Add and Clamp are for sites.

    Returns
    -------
    Lesioned
        A context manager that gives the model.

    Raises
    ------
    SpecError
        A target, timestep or action that does not exist; a connection that nothing comes through at any of the
        timesteps; a freeze of what nothing came before, or of what another lesion touches at the same time.

    Notes
    -----
    Lesions compose in the order in which they were added. A connection delivers to both streams of its area (to one as
    drive, to the other as gate) and is lesioned in both. A silenced connection delivers nothing, not even its
    bias, as if the constructor had left it out, and activity that came only through it never arrives: onsets, absent
    and constant states are those of the lesioned network. An area that activity has once reached stays. A silenced
    site sends zeros, so that what it connects to still receives biases. An input frozen before anything came through it
    stays silent. Sites that a lesion leaves without any varying input are ``constant``; a Readout without input
    is absent.

    Examples
    --------
    >>> from bltvs_neuro import BLT_VS
    >>> model = BLT_VS(timesteps=6, num_classes=10, image_size=128)
    >>> with lesion(model, "skip:V1->V4"):
    ...     model.onset("V4/bu")
    5
    >>> model.onset("V4/bu")
    3
    """
    if getattr(model, "intact", None) is None:  # another network says that it has no lesions
        return model.lesion(*targets)
    if not targets:
        raise SpecError(f"no target to lesion; valid: {', '.join(connection_names(model))}, or a site such as 'V4/td'")
    given = Scale(strength) if action is None else action
    if not isinstance(given, Action):
        raise SpecError(f"an action is a Scale, Freeze, Noise, Add or Clamp; got {given!r:.60}")
    lesions = tuple(_lesion(model, text, timesteps, given) for text in targets)
    for at, one in enumerate(lesions):
        _refuse_conflict(one, (*model.lesions, *lesions[:at]))
    return Lesioned(model, lesions)


def connection_names(model: BLT_VS) -> dict[str, Target]:
    """Every connection of a model by its name: ``"td:LOC->V4"``, ``"lateral:V1/bu"``."""
    names: dict[str, Target] = {}
    for area, connection in model.intact.connections():
        source = model.intact.source(area, connection)
        kind = KINDS[connection]
        if kind == "lateral":
            names[f"lateral:{area}/{'bu' if connection == 'bu_lateral' else 'td'}"] = area, connection
        else:
            names[f"{kind}:{source[0] if source else 'image'}->{area}"] = area, connection
    return names


def _lesion(model: BLT_VS, text: str, timesteps: Timesteps, action: Action) -> Lesion:
    target, _, verb = (part.strip() for part in text.partition("="))
    target, at, when = (part.strip() for part in target.partition("@"))
    if verb:
        action = parse_action(verb)
    elif text.rstrip().endswith("="):
        raise SpecError(f"{text!r} ends with '='; write a strength or {', '.join(ACTIONS)}")
    steps = frozenset(parse_timesteps(when if at else timesteps, model.timesteps))
    found = _targets(model, target)
    made = Lesion(target, found, steps, action)
    if isinstance(action, Pattern):
        for (area, what), name in found.items():
            if what not in STREAMS:
                raise SpecError(
                    f"{name}: {action} is for sites, such as '{area}/bu'; connections are scaled, frozen or noisy"
                )
            action.fit(model.shape(Site(area, what)), name)  # type: ignore[arg-type]
    _refuse_untouched(model, made)
    if isinstance(action, Freeze) and 0 in steps:
        raise SpecError(f"{text!r}: nothing comes before timestep 0 that could be held; freeze from timestep 1 on")
    return made


def _targets(model: BLT_VS, target: str) -> dict[Target, str]:
    """What a target's text names."""
    names = connection_names(model)
    if ":" not in target:
        site = Site.parse(target)
        if site.area not in model.areas:
            raise unknown("area", site.area, model.areas)
        return {(site.area, site.stream): str(site)}
    pattern = re.escape(target).replace(r"\*", "[^:/]*")
    found = {names[name]: name for name in names if re.fullmatch(f"{pattern}(/(bu|td))?", name)}
    if not found:
        raise unknown("connection", target, [*names, *(f"{kind}:*" for kind in dict.fromkeys(KINDS.values()))])
    return found


def parse_action(text: str) -> Action:
    """Read ``"0.5"``, ``"freeze"``, ``"noise(0.5,seed=3)"``, ``"add(1)"`` or ``"clamp(pattern.npy)"``."""
    if (strength := _number(text)) is not None:
        return Scale(strength)
    match = re.fullmatch(r"(\w+)(?:\((.*)\))?", text.strip())
    if match is None or match[1] not in ACTIONS:
        raise unknown("action", text, ["a number", "freeze", "noise(SD,seed=0)", "add(PATTERN)", "clamp(PATTERN)"])
    word, inside = match[1], match[2] or ""
    if word == "freeze":
        if inside:
            raise SpecError(f"freeze takes nothing; got {text!r}")
        return Freeze()
    if word == "noise":
        numbers = re.fullmatch(r"\s*([-+.\w]+)\s*(?:,\s*seed\s*=\s*(\d+)\s*)?", inside)
        if numbers is None or (sd := _number(numbers[1])) is None:
            raise SpecError(f"noise is written noise(0.5) or noise(0.5,seed=3); got {text!r}")
        return Noise(sd, int(numbers[2] or 0))
    return ACTIONS[word](*_pattern(inside, text))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _pattern(inside: str, text: str) -> tuple[Any, str]:
    if (value := _number(inside)) is not None:
        return value, ""
    try:
        if why := not_a_file(inside) if inside else "nothing is named":
            raise DataError(why)
        return np.array(open_npy(Path(inside))), Path(inside).name
    except (OSError, ValueError, DataError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SpecError(f"{text!r}: a pattern is a number or a .npy file of numbers ({reason})") from None


def _refuse_untouched(model: BLT_VS, one: Lesion) -> None:
    """Raise where a lesion would change nothing because nothing comes through at its timesteps."""
    reached = {name: model.intact.used_at(area, what) for (area, what), name in one.targets.items()}
    if any(one.timesteps & set(times) for times in reached.values()):
        return
    phrases = []
    for name, times in reached.items():
        never = f"is never used within {model.timesteps} timesteps of the {model.schedule.name} schedule"
        phrases.append(f"{name} {f'is used at timesteps {_ranges(times)}' if times else never}")
    raise SpecError(f"nothing to lesion at timesteps {_ranges(one.timesteps)}: {'; '.join(phrases[:8])}")


def _refuse_conflict(one: Lesion, others: Iterable[Lesion]) -> None:
    for other in others:
        shared = [name for target, name in one.targets.items() if target in other.targets]
        together = one.timesteps & other.timesteps
        if shared and together and Freeze in (type(one.action), type(other.action)):
            raise SpecError(
                f"{one} and {other} both touch {shared[0]} at timesteps {_ranges(together)}; what is frozen cannot be lesioned "
                "otherwise at the same time"
            )


def _ranges(timesteps: Iterable[int]) -> str:
    """``{0, 3, 4, 5}`` -> ``"0,3:6"``, as :func:`bltvs_neuro.schema.parse_timesteps` reads it."""
    runs: list[list[int]] = []
    for t in sorted(timesteps):
        if runs and runs[-1][1] == t:
            runs[-1][1] = t + 1
        else:
            runs.append([t, t + 1])
    return ",".join(str(a) if b == a + 1 else f"{a}:{b}" for a, b in runs)
