"""The tests of :mod:`.check` beside those that brainscore_vision has: run in the copy, in a process of their own."""

SUBMISSION_TESTS = '''
import numpy as np
import pytest
from PIL import Image
from pybtex.database import parse_string

from brainscore_core.plugin_management.generic_plugin_tests_helper import pytest_generate_tests
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
from brainscore_vision import BrainModel, load_model, load_model_bibtex
from brainscore_vision.model_helpers.brain_transformation.neural import LayerMappedModel
from brainscore_vision.model_helpers.brain_transformation.temporal import TemporalAligned
from brainscore_vision.model_helpers.check_submission import check_models


def test_bibtex(identifier):
    assert parse_string(load_model_bibtex(identifier), 'bibtex').entries


def test_region_layer_map_is_found(identifier):
    model = load_model(identifier)
    stated = model.load_region_layer_map_json(identifier)
    assert stated
    layers = model.layer_model.region_layer_map
    assert {region: layers[region] for region in stated} == stated


def test_layers_can_be_mapped(identifier, data):
    """Brain-Score maps regions to layers anew: every layer that is offered is recorded, and a map to one of them is taken."""
    model, stimuli = load_model(identifier), data('').stimulus_set
    few = [stimuli.stimulus_paths[i] for i in stimuli['stimulus_id'][:2]]
    recorded = model.activations_model(few, layers=model.layers)
    assert set(recorded['layer'].values) == set(model.layers)
    assert np.isfinite(recorded.values).all()
    mapped = LayerMappedModel(identifier, model.activations_model, {'IT': model.layers[len(model.layers) // 2]})
    aligned = TemporalAligned(mapped)
    aligned.start_recording('IT', [(70, 170)])
    assert aligned.look_at(few).sizes['presentation'] == 2


def test_task_probabilities_starts(identifier, data):
    """The generic test passes in silence if it does not."""
    load_model(identifier).start_task(BrainModel.Task.probabilities, data('').stimulus_set)


def test_mock_benchmark(identifier, data, monkeypatch):
    monkeypatch.setattr(check_models, 'load_dataset', data)
    check_models.check_brain_model_processing(load_model(identifier))


@pytest.fixture
def data(tmp_path):
    """Made-up data in the form of MajajHong2015.public."""
    rng, count, repetitions, neuroids = np.random.RandomState(0), 30, 2, 6
    stimuli = StimulusSet({
        'stimulus_id': [f'stimulus{i}' for i in range(count)],
        'object_name': [f'object{i % 3}' for i in range(count)],
        'image_label': [f'object{i % 3}' for i in range(count)],
    })
    stimuli.stimulus_paths = {}
    for number, stimulus_id in enumerate(stimuli['stimulus_id']):
        path = tmp_path / f'{stimulus_id}.png'
        Image.fromarray(rng.randint(0, 256, (64, 64, 3)).astype('uint8')).save(path)
        stimuli.stimulus_paths[stimulus_id] = str(path)
    stimuli.identifier = 'made_up'

    def load_dataset(identifier):
        signal = rng.rand(count, neuroids, 1)
        values = np.concatenate([signal + 0.1 * rng.rand(*signal.shape) for _ in range(repetitions)])
        assembly = NeuroidAssembly(
            values,
            coords={
                'stimulus_id': ('presentation', list(stimuli['stimulus_id']) * repetitions),
                'object_name': ('presentation', list(stimuli['object_name']) * repetitions),
                'repetition': ('presentation', np.repeat(range(repetitions), count)),
                'neuroid_id': ('neuroid', range(neuroids)),
                'animal': ('neuroid', ['made_up'] * neuroids),
                'region': ('neuroid', ['IT'] * neuroids),
                'time_bin_start': ('time_bin', [70]),
                'time_bin_end': ('time_bin', [170]),
            },
            dims=['presentation', 'neuroid', 'time_bin'],
        )
        assembly.attrs['stimulus_set'] = stimuli
        assembly.name = 'made_up'
        return assembly

    return load_dataset
'''
