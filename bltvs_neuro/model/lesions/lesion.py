"""Lesions: connections and sites that are scaled, silenced, frozen, made noisy or driven at run time.

The grammar of one lesion is ``TARGET[PART][@TIMESTEPS][=ACTION]``::

    TARGET     V4/td, and of BLT_VS   td:LOC->V4   bu:V1->V2   skip:V1->V4   lateral:V1   lateral:V1/td   td:*   lateral:*/bu
    PART       [0:64]   [0,5;y=0:8;x=0:8]   [unit=0,17]   [mask.npy]         of a site; all of it where left out
    TIMESTEPS  3   3:   0:6   0,2,5          those of the reading area; all where left out
    ACTION     0.5   freeze   noise(0.5)   noise(0.5,seed=3)   add(1)   add(pattern.npy)   clamp(0)   clamp(pattern.npy)
               resample(donor.png)   resample(donors/,seed=3)

A number is the strength that what the target delivers is multiplied by; 0, the default, silences it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, SpecError, StimulusError, unknown
from ...foreign.npy import open_npy
from ...paths import not_a_file
from ...schema import STREAMS, Site, parse_timesteps
from .actions import Action, Add, Clamp, Freeze, Noise, Scale
from .part import Partly
from .resample import Resample

if TYPE_CHECKING:
    from ..network import Network

Timesteps = str | int | slice | Iterable[int]
Target = tuple[str, str]
"""An area, and one of its streams (``"td"``) or connections (``"td_conv"``)."""


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
        return f"{self.text}@{spans(self.timesteps)}={self.action}"


class Lesioned:
    """A model under lesions (``lesions``: those it added), until :meth:`restore` or the end of the ``with`` block."""

    def __init__(self, network: Network, lesions: tuple[Lesion, ...]) -> None:
        self._network, self.lesions = network, lesions
        network.lesions = (*network.lesions, *lesions)

    def restore(self) -> None:
        """Take the lesions away again; a second time does nothing."""
        self._network.lesions = tuple(lesion for lesion in self._network.lesions if lesion not in self.lesions)

    def __enter__(self) -> Network:
        return self._network

    def __exit__(self, *error: object) -> None:
        self.restore()


def lesion(
    network: Network, *targets: str, timesteps: Timesteps = "all", strength: float = 0.0, action: Action | None = None,
    part: str | np.ndarray | None = None,
) -> Lesioned:  # fmt: skip
    """Lesion a network at run time; no weight is touched.

    Parameters
    ----------
    network : Network
        Changed in place until the lesions are taken away: use ``with``, or keep the result and call its ``restore``.
    *targets : str
        Sites, and connections of BLT_VS, in the grammar of :mod:`bltvs_neuro.model.lesions.lesion`: ``"td:LOC->V4"``,
        ``"lateral:V1"``, ``"skip:*"``, ``"V4/td"``, ``"layer4/bu"``. One that says its part, timesteps or action itself,
        ``"V4/td[0:64]@3:=freeze"``, keeps them.
    timesteps : str, int, slice or iterable of int
        When the area that a connection ends in, or the site, is updated; ``"all"``, ``"3:"``, ``slice(3, None)``.
    strength : float
        What the target delivers is multiplied by it: 0 silences, 1 changes no bit.
    action : Scale, Freeze, Noise, Add, Clamp or Resample, optional
        Instead of ``strength``; see :mod:`bltvs_neuro.model.lesions.actions`. Add, Clamp and Resample are for sites.
    part : str or boolean array, optional
        Of a site: ``"0:64"`` (channels), ``"y=0:8;x=0:8"``, ``"unit=0,17"``, or a mask of the site's shape, its channels or its
        positions. All of it unless given.

    Returns
    -------
    Lesioned
        A context manager that gives the network.

    Raises
    ------
    SpecError
        A target, part, timestep or action that does not exist; a connection that nothing comes through at any of the
        timesteps; a freeze of what nothing came before, or of what another lesion touches at the same time.

    Notes
    -----
    Lesions compose in the order in which they were added. A connection delivers to both streams of its area (to one as
    drive, to the other as gate) and is lesioned in both. A silenced connection delivers nothing, not even its
    bias, as if the constructor had left it out, and activity that came only through it never arrives: onsets, absent
    and constant states are those of the lesioned network. An area that activity has once reached stays. A silenced
    site sends zeros, so that what it connects to still receives biases. An input frozen before anything came through it
    stays silent. Sites that a lesion leaves without any varying input are ``constant``; a Readout without input
    is absent. In networks other than BLT_VS, a lesioned layer is computed first and changed then.

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
    if not targets:
        raise SpecError(f"no target to lesion; valid: {', '.join(network.target_names())}")
    given = Scale(strength) if action is None else action
    if not isinstance(given, Action):
        raise SpecError(f"an action is a Scale, Freeze, Noise, Add, Clamp or Resample; got {given!r:.60}")
    lesions: list[Lesion] = []
    for text in targets:
        one = _lesion(network, text, timesteps, given, part)
        _refuse_conflict(one, (*network.lesions, *lesions))
        lesions.append(one)
    return Lesioned(network, tuple(lesions))


_GRAMMAR = re.compile(r"(?P<target>[^\[@=]*)(?P<part>\[[^\]]*\])?\s*(?P<when>@[^=]*)?(?P<verb>=.*)?", re.DOTALL)


def _lesion(
    network: Network, text: str, timesteps: Timesteps, action: Action, part: str | np.ndarray | None
) -> Lesion:  # fmt: skip
    read = _GRAMMAR.fullmatch(text)
    if read is None:
        raise SpecError(f"a lesion is written TARGET[PART]@TIMESTEPS=ACTION; got {text!r}")
    target, verb = read["target"].strip(), (read["verb"] or "")[1:].strip()
    if verb:
        action = parse_action(verb)
    elif read["verb"]:
        raise SpecError(f"{text!r} ends with '='; write a strength or {', '.join(ACTIONS)}")
    steps = frozenset(parse_timesteps(read["when"][1:].strip() if read["when"] else timesteps, network.timesteps))
    found = network.targets(target)
    if read["part"]:
        part = read["part"][1:-1]
    if part is not None:
        action, target = Partly(action, part), target + (f"[{part}]" if isinstance(part, str) else "[mask]")
    for (area, what), name in found.items():
        if what in STREAMS:
            action = action.on(network, Site(area, what), steps)  # type: ignore[arg-type]
        elif action.of_sites:
            raise SpecError(
                f"{name}: {'a part' if part is not None else action} is for sites, such as '{area}/bu'; connections are scaled, "
                "frozen or noisy as a whole"
            )
    made = Lesion(target, found, steps, action)
    _refuse_untouched(network, made)
    if action.holds and 0 in steps:
        raise SpecError(f"{text!r}: nothing comes before timestep 0 that could be held; freeze from timestep 1 on")
    network.check_lesion(made)
    return made


def parse_action(text: str) -> Action:
    """Read ``"0.5"``, ``"freeze"``, ``"noise(0.5,seed=3)"``, ``"add(1)"`` or ``"clamp(pattern.npy)"``."""
    if (strength := _number(text)) is not None:
        return Scale(strength)
    match = re.fullmatch(r"(\w+)(?:\((.*)\))?", text.strip())
    if match is None or match[1] not in ACTIONS:
        raise unknown(
            "action",
            text,
            ["a number", "freeze", "noise(SD,seed=0)", "add(PATTERN)", "clamp(PATTERN)", "resample(PICTURES,seed=0)"],
        )
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
    if word == "resample":
        donors = re.fullmatch(r"\s*(.+?)\s*(?:,\s*seed\s*=\s*(\d+)\s*)?", inside)
        try:
            if donors is None:
                raise SpecError("nothing is named")
            return Resample(donors[1], int(donors[2] or 0))
        except (SpecError, StimulusError) as error:
            raise SpecError(
                f"{text!r}: resample is written resample(PICTURES) or resample(PICTURES,seed=3); {error}"
            ) from None
    return ACTIONS[word](*_pattern(inside, text))


ACTIONS: dict[str, Callable[..., Action]] = {
    "freeze": Freeze, "noise": Noise, "add": Add, "clamp": Clamp, "resample": Resample,
}  # fmt: skip
"""Words of the grammar; a bare number is the strength of :class:`Scale`."""


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


def _refuse_untouched(network: Network, one: Lesion) -> None:
    """Raise where a lesion would change nothing because nothing comes through at its timesteps."""
    reached = {name: network.used_at(target) for target, name in one.targets.items()}
    if any(one.timesteps & set(times) for times in reached.values()):
        return
    phrases = []
    for name, times in reached.items():
        never = f"is never used within {network.timesteps} timesteps of the {network.schedule_name} schedule"
        phrases.append(f"{name} {f'is used at timesteps {spans(times)}' if times else never}")
    raise SpecError(f"nothing to lesion at timesteps {spans(one.timesteps)}: {'; '.join(phrases[:8])}")


def _refuse_conflict(one: Lesion, others: Iterable[Lesion]) -> None:
    for other in others:
        shared = [name for target, name in one.targets.items() if target in other.targets]
        together = one.timesteps & other.timesteps
        if shared and together and (one.action.holds or other.action.holds):
            raise SpecError(
                f"{one} and {other} both touch {shared[0]} at timesteps {spans(together)}; what is frozen cannot be lesioned "
                "otherwise at the same time"
            )


def spans(timesteps: Iterable[int]) -> str:
    """``{0, 3, 4, 5}`` -> ``"0,3:6"``, as :func:`bltvs_neuro.schema.parse_timesteps` reads it."""
    runs: list[list[int]] = []
    for t in sorted(timesteps):
        if runs and runs[-1][1] == t:
            runs[-1][1] = t + 1
        else:
            runs.append([t, t + 1])
    return ",".join(str(a) if b == a + 1 else f"{a}:{b}" for a, b in runs)
