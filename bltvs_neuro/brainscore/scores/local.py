"""Benchmarks of one's own data, built from Brain-Score's own benchmark, metric and ceiling classes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from brainscore_core.metrics import Score
from brainscore_core.supported_data_standards.brainio.assemblies import BehavioralAssembly, NeuroidAssembly
from brainscore_vision import load_ceiling, load_metric
from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark, RSABenchmark, average_repetition
from brainscore_vision.benchmark_helpers.screen import place_on_screen
from brainscore_vision.benchmarks import BenchmarkBase
from brainscore_vision.model_interface import BrainModel

from ...errors import DataError, SpecError, argument, difference, listed, unknown
from ...schema import PRESENTATION, STIMULUS_ID
from ...stimuli import StimulusSet
from ..environment import no_installing
from ..subject.timeline import Bin
from .assemblies import OBJECT, assembly_sha256, choices_from, to_assembly, to_stimulus_set

SPLITS, TRAIN = 10, 0.9
"""Brain-Score's default cross-validation."""

MAX_IDENTIFIER = 100


@dataclass(frozen=True)
class Metric:
    """A metric of Brain-Score: its plugin for one time bin, and for several (none: '')."""

    static: str
    temporal: str
    description: str


METRICS: dict[str, Metric] = {
    "pls": Metric("pls", "spantime_pls", "partial least squares with 25 components, pearson, median over neuroids"),
    "ridge": Metric("ridge", "spantime_ridge", "ridge with alpha 1, pearson, median over neuroids"),
    "linear": Metric("linear_predictivity", "", "least squares, pearson, median over neuroids"),
    "neuron_to_neuron": Metric("neuron_to_neuron", "", "the best single unit, pearson, median over neuroids"),
    "rdm": Metric("rdm", "", "RDMs by correlation distance, spearman; per subject if there are several"),
}
"""Metrics for neural data."""


def local_benchmark(
    responses: xr.DataArray, stimuli: StimulusSet, *, region: str, metric: str = "pls", visual_degrees: float,
    times: Bin | None = None, average: bool = False, name: str = "local", ceiling: bool = True,
) -> BenchmarkBase:  # fmt: skip
    """Make responses to stimuli a Brain-Score benchmark.

    Parameters
    ----------
    responses : DataArray
        (presentation, neuroid[, time]), see :func:`bltvs_neuro.load_responses`.
    stimuli : StimulusSet
        What was shown, matched by id.
    region : str
        What the model records for it: V1, V2, V4, IT or an area of the model.
    metric : str
        A name of :data:`METRICS`.
    visual_degrees : float
        How large the stimuli were shown, degrees of visual angle.
    times : (start, end), optional
        Time bins to keep, milliseconds.
    average : bool
        Average over time. Several time bins are otherwise compared one by one, with weights that they share.
    name : str
        First part of the identifier; a hash of data and stimuli follows, because Brain-Score keeps ceilings by it.
    ceiling : bool
        Estimate the noise ceiling from split halves of the repetitions (for RDMs of several subjects from these).
        Without one, scores are divided by 1.

    Returns
    -------
    Benchmark
        ``benchmark(brain_model(...))`` gives a ``Score``: explained variance, that is the squared correlation divided
        by the ceiling, with the correlation itself in ``score.raw``.

    Raises
    ------
    SpecError, DataError
        A choice that does not exist, or data that do not fit.
    """
    if metric not in METRICS:
        raise unknown("metric", metric, list(METRICS))
    assembly = to_assembly(responses, stimuli, region=region, times=times, average=average)
    temporal = "time_bin" in assembly.dims
    plugin = METRICS[metric].temporal if temporal else METRICS[metric].static
    if not plugin:
        able = [name for name, known in METRICS.items() if known.temporal]
        raise SpecError(f"metric {metric!r} takes no time bins: average over time, or choose {listed(able)}")
    repeated = len(np.unique(assembly["repetition"].values)) > 1
    subjects = len(np.unique(assembly["subject"].values))
    by_subject = metric == "rdm" and subjects > 1
    if ceiling and not by_subject:
        _check_repetitions(assembly, metric)
    identifier = f"{name[:MAX_IDENTIFIER]}.{assembly_sha256(assembly)[:12]}.{region}-{metric}"
    averaged = average_repetition(assembly) if repeated else assembly
    common: dict[str, Any] = dict(identifier=identifier, version=1, visual_degrees=visual_degrees, number_of_trials=1)
    with no_installing():
        if by_subject:
            made = RSABenchmark(assembly=averaged, region=region, bibtex="", parent=region, **common)
            if not ceiling:
                made._ceiling_func = _one
            return made
        kwargs = {} if metric == "rdm" else {"crossvalidation_kwargs": _folds(averaged)}
        similarity = load_metric(plugin, **kwargs)
        return NeuralBenchmark(
            assembly=averaged, similarity_metric=similarity, parent=region,
            ceiling_func=_consistency(assembly, metric, temporal=temporal) if ceiling else _one, **common,
        )  # fmt: skip


def _one() -> Score:
    return Score(1.0)


def _consistency(assembly: NeuroidAssembly, metric: str, *, temporal: bool) -> Callable[[], Score]:
    def ceiling() -> Score:
        with no_installing():
            if metric == "rdm":
                return load_ceiling("internal_consistency", consistency_metric=load_metric("rdm"))(assembly)
            return load_ceiling("internal_consistency_temporal" if temporal else "internal_consistency")(assembly)

    return ceiling


def _check_repetitions(assembly: NeuroidAssembly, metric: str) -> None:
    """Split halves need every stimulus in either half: refuse repetitions that not every stimulus has."""
    counts = pd.crosstab(assembly[STIMULUS_ID].values, assembly["repetition"].values)
    if counts.shape[1] < 2:
        what = "or at least 2 subjects" if metric == "rdm" else "of every stimulus"
        raise DataError(
            f"a noise ceiling needs at least 2 repetitions {what}; leave it out with {argument('ceiling', False)}"
        )
    uneven = counts.index[(counts != 1).any(axis=1)]
    if len(uneven):
        least = int((counts == 1).all(axis=0).sum())
        raise DataError(
            f"{len(uneven)} stimuli do not have each of the {counts.shape[1]} repetitions once (first: {uneven[0]}); split "
            f"halves need equal repetitions. Keep {least} of them, or leave the ceiling out with {argument('ceiling', False)}"
        )


def _folds(assembly: NeuroidAssembly) -> dict[str, Any]:
    """Cross-validation over stimuli, stratified by object where each has enough stimuli for that."""
    by = None
    if OBJECT in assembly.coords:
        counts = pd.Series(assembly[OBJECT].values).value_counts()
        tested = len(assembly) - int(TRAIN * len(assembly))
        by = OBJECT if counts.min() >= 2 and tested >= len(counts) else None
    return {"stratification_coord": by, "splits": SPLITS}


class ChoiceBenchmark(BenchmarkBase):
    """Choices between two objects, compared with the model's by Brain-Score's i2n metric.

    ``choices`` has one row per trial: stimulus_id, choice, sample_obj (what was shown), dist_obj (the other option). The
    model's readout is fitted to ``fitting_stimuli``, other pictures, with the column ``image_label`` (or ``object_name``).

    References
    ----------
    Rajalingham et al. 2018, J. Neurosci. 38:7255-7269, doi:10.1523/JNEUROSCI.0388-18.2018
    """

    def __init__(
        self, choices: pd.DataFrame, stimuli: StimulusSet, fitting_stimuli: StimulusSet, *, visual_degrees: float,
        name: str = "local",
    ) -> None:  # fmt: skip
        table = choices_from(choices)
        shown = list(dict.fromkeys(table[STIMULUS_ID]))
        problem = difference(
            "stimuli", shown, [i for i in stimuli.ids if i in set(shown)], "the choices", "the stimuli"
        )
        if problem:
            raise DataError(problem)
        self._visual_degrees = visual_degrees
        self._stimuli = to_stimulus_set(stimuli.subset(shown))
        self._fitting = _labelled(fitting_stimuli)
        objects = set(table["sample_obj"]) | set(table["dist_obj"])
        unfit = objects - set(self._fitting["image_label"])
        if unfit:
            raise DataError(f"no fitting stimulus shows {listed(sorted(unfit))}, which the choices are about")
        columns = {name: table[name].to_numpy(dtype=object) for name in table}
        choices_made, columns["truth"] = columns.pop("choice"), columns["sample_obj"]
        coords = {name: (PRESENTATION, column) for name, column in columns.items()}
        self._assembly = BehavioralAssembly(choices_made, coords=coords, dims=[PRESENTATION])
        with no_installing():
            self._metric = load_metric("i2n")
        content = table.to_csv(index=False) + self._stimuli.identifier + self._fitting.identifier
        short = hashlib.sha256(content.encode()).hexdigest()[:12]
        super().__init__(
            identifier=f"{name[:MAX_IDENTIFIER]}.{short}-i2n", version=1, parent="behavior",
            ceiling_func=lambda: self._metric.ceiling(self._assembly),
        )  # fmt: skip

    def __call__(self, candidate: BrainModel) -> Score:
        """Fit the candidate's readout, let it look, compare."""
        fitting = place_on_screen(self._fitting, candidate.visual_degrees(), self._visual_degrees)
        candidate.start_task(BrainModel.Task.probabilities, fitting)
        stimuli = place_on_screen(self._stimuli, candidate.visual_degrees(), self._visual_degrees)
        raw = self._metric(candidate.look_at(stimuli, number_of_trials=1), self._assembly)
        ceiling = self.ceiling
        score = Score(raw.values / np.sqrt(ceiling.values))
        score.attrs[Score.RAW_VALUES_KEY], score.attrs["ceiling"] = raw, ceiling
        return score


def _labelled(stimuli: StimulusSet) -> Any:
    made = to_stimulus_set(stimuli)
    if "image_label" not in made:
        if OBJECT not in made:
            raise DataError("fitting stimuli need a column image_label or object_name: what each of them shows")
        made["image_label"] = made[OBJECT]
    made["image_label"] = made["image_label"].astype(str)
    return made
