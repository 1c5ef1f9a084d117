"""Each source of windows for pruning, and the choice of a source by what the checkpoint holds."""

from dataclasses import replace

import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, activity_windows, untrained_student

from edgehar.choices import SOURCES
from edgehar.errors import CheckpointError, ConfigError
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.student.synthesis.generator import GeneratorConfig
from edgehar.student.synthesis.inversion import InversionConfig
from edgehar.student.synthesis.sources import SourceConfig, create_sampler
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.checkpoint import Checkpoint
from edgehar.teacher.training.moments import measure_moments, measure_statistics

INFO = DatasetInfo("test", SPECS, tuple("abcde"), WindowSpec("clip", STEPS, 0.1))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    windows = activity_windows()
    facts = {"statistics": measure_statistics(windows, SPECS)}
    moments = measure_moments(windows, SPECS, CLASSES)
    return Checkpoint("student", {}, INFO, Normalisation.identity(SPECS), {}, [], facts, {}, moments)


def test_default_source_depends_on_what_the_checkpoint_holds(checkpoint: Checkpoint):
    assert SourceConfig().sources_for(checkpoint) == ("means",)
    assert SourceConfig().sources_for(replace(checkpoint, moments={})) == ("smooth",)
    assert SourceConfig().sources_for(replace(checkpoint, moments={}, facts={})) == ("inverted",)


@pytest.mark.parametrize("name", [*(name for name in SOURCES if name != "recordings"), "means,noise,simulated"])
def test_every_source_draws_the_same_windows_of_the_right_shape(name: str, checkpoint: Checkpoint):
    inversion = InversionConfig(inverted=40, inversion_steps=3)
    generator = GeneratorConfig(generator_steps=3)
    config = SourceConfig(tuple(name.split(",")), people=1, inversion=inversion, generator=generator)
    network = untrained_student()
    (features, valid), (again, _) = (
        create_sampler(config, checkpoint, network, 0, torch.device("cpu")).draw(64, update_generator(0, 1))
        for _ in range(2)
    )
    for spec in SPECS:
        assert features[spec.name].shape == (64, STEPS, spec.patch, spec.groups, spec.features)
        assert valid[spec.name].shape == (64, STEPS)
        assert valid[spec.name].dtype == torch.bool
        assert torch.isfinite(features[spec.name]).all()
        assert torch.equal(features[spec.name], again[spec.name])
        assert (features[spec.name][~valid[spec.name]] == 0).all()
    assert network(features, valid).logits.shape == (64, CLASSES)


@pytest.mark.parametrize("source", [("dreams",), ("means", "means")])
def test_unknown_or_repeated_source_is_refused(source: tuple[str, ...]):
    with pytest.raises(ConfigError, match="--source"):
        SourceConfig(source)


def test_source_without_its_moments_is_refused(checkpoint: Checkpoint):
    bare = replace(checkpoint, moments={})
    with pytest.raises(CheckpointError, match="--source"):
        create_sampler(SourceConfig(("means",)), bare, untrained_student(), 0, torch.device("cpu"))
