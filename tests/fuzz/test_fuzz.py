"""Every input, damaged: its value or one sentence, no traceback, crash or hang; a short run, and a long one as ``slow``."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from . import runner
from .commands import COMMANDS
from .faults import FAULTS
from .runner import Campaign
from .target import all_targets
from .verdict import GOOD

SEED = int(os.environ.get("BLTVS_FUZZ_SEED", 0))
COUNT = int(os.environ.get("BLTVS_FUZZ_COUNT", 60))
SHORT = 10
"""Cases of each target in the short run, whose seed is always 0; a pipe that blocks costs six seconds."""

NAMES = [*all_targets(), *(f"command-{name}" for name in COMMANDS)]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory) -> Iterator[Campaign]:
    campaign = Campaign(tmp_path_factory.mktemp("fuzz"))
    yield campaign
    campaign.child.close()


def check(campaign: Campaign, name: str, seed: int, numbers: range) -> None:
    tally = campaign.run(name, seed, numbers)
    if not tally.outcomes:
        pytest.skip(f"the data or the libraries of {name} are not there")
    assert not tally.failures, "\n".join(tally.failures)


@pytest.mark.parametrize("name", all_targets())
def test_damaged_input(campaign: Campaign, name: str) -> None:
    check(campaign, name, 0, range(SHORT))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_much_damaged_input(campaign: Campaign, name: str) -> None:
    check(campaign, name, SEED, range(COUNT))


def registered() -> dict[str, set[str]]:
    """What has to have a target, from the package's own tables."""
    from bltvs_neuro.model.released.weights import SUFFIXES
    from bltvs_neuro.neural import RDM_READERS, RESPONSE_READERS
    from bltvs_neuro.report.inputs import KINDS
    from bltvs_neuro.stimuli.decode import IMAGE_FORMATS
    from bltvs_neuro.stimuli.stimulus_set import _HDF5, _TABLES
    from bltvs_neuro.training.pictures.data import SOURCES

    return {
        "rdms": set(RDM_READERS), "responses": set(RESPONSE_READERS), "stimuli": {*IMAGE_FORMATS, *_TABLES, *_HDF5},
        "weights": set(SUFFIXES), "report": set(KINDS), "data": set(SOURCES) - {"shapes"},
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["rdms", "responses", "stimuli", "weights", "report", "data"])
def test_every_reader_has_a_target(kind: str) -> None:
    covered = {
        target.covers.partition(":")[2] for target in all_targets().values() if target.covers.startswith(f"{kind}:")
    }
    assert covered == registered()[kind]


def test_every_command_has_rubbish_arguments() -> None:
    from bltvs_neuro.cli.app import COMMANDS as REAL

    assert set(COMMANDS) == set(REAL)


# the harness itself: it has to see what it is there for


SLOW = ("fault-crash", "fault-hang")  # each starts the child anew


@pytest.mark.parametrize("fault", [pytest.param(f, marks=[pytest.mark.slow] * (f in SLOW)) for f in FAULTS])
def test_the_harness_sees_a_reader_that_is_wrong(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(runner, "STILL_S", 1.0)
    tally = campaign.run(fault, 0, range(4))
    assert FAULTS[fault][1] in tally.outcomes
    assert bool(tally.failures) == (FAULTS[fault][1] not in GOOD)


def test_a_case_can_be_replayed(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    kept = campaign.run("fault-traceback", 0, range(30)).failures[0].partition(":")[0]
    with pytest.raises(ZeroDivisionError):
        runner.replay(campaign.folder / kept)
    assert "fault-traceback Change" in capsys.readouterr().out


def test_cases_depend_on_nothing_but_their_number(campaign: Campaign) -> None:
    def failures(seed: int, numbers: range) -> list[str]:
        return campaign.run("fault-other value", seed, numbers).failures

    assert failures(5, range(10)) + failures(5, range(10, 20)) == failures(5, range(20))
    assert failures(5, range(20)) != failures(6, range(20))
