"""Windows for pruning that no one recorded: what is stored of the training windows, and what needs none of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from bodies import CLASSES, INERTIAL, SKELETON, SPECS, STEPS

from edgehar.errors import CheckpointError, ConfigError
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import KINECT_JOINTS, ModalitySpec, WindowSpec
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import Windows
from edgehar.simulation.activities import EVERYDAY
from edgehar.student.network.model import PRESETS, StudentNetwork, StudentConfig
from edgehar.student.synthesis.generator import GeneratorConfig, WindowGenerator, train_generator
from edgehar.student.synthesis.inversion import InversionConfig, invert
from edgehar.student.synthesis.simulated import TRIALS, joint_source, simulated_windows
from edgehar.student.synthesis.sources import (
    SOURCES,
    NoiseSampler,
    SourceConfig,
    AugmentedSampler,
    any_recorded,
    create_sampler,
)
from edgehar.student.synthesis.window_means import WindowMeansSampler
from edgehar.teacher.augmentation.sensor_faults import FaultyWindows
from edgehar.teacher.training.batches import WindowTensors, update_generator
from edgehar.teacher.training.checkpoint import Checkpoint
from edgehar.teacher.training.moments import DIRECTIONS, measure_moments, measure_statistics

INFO = DatasetInfo("test", SPECS, tuple("abcde"), WindowSpec("clip", STEPS, 0.1))


def recorded(per_activity: int = 12, subjects: int = 3) -> Windows:
    """Windows around one mean per activity, each straying along two directions and a little besides."""
    random = np.random.default_rng(0)
    count = per_activity * CLASSES
    label = np.repeat(np.arange(CLASSES), per_activity)
    along = random.normal(size=(count, 2))
    features: dict[str, Any] = {}
    for spec in SPECS:
        shape = (STEPS, spec.patch, spec.groups, spec.features)
        still = (1, 1, spec.groups, spec.features)
        mean = random.normal(size=(CLASSES, *still)) * np.ones(shape)
        ways = random.normal(size=(2, *still)) * np.ones(shape) / 2
        strays = np.tensordot(along, ways, 1)
        features[spec.name] = (mean[label] + strays + random.normal(size=(count, *shape)) * 0.05).astype(np.float32)
    valid = {spec.name: np.ones((count, STEPS), bool) for spec in SPECS}
    people = np.array([f"s{place % subjects}" for place in range(count)])
    rest = np.zeros(count)
    return Windows(features, valid, label.astype(np.int64), people, rest.astype(str), rest, rest)


def checkpoint(windows: Windows) -> Checkpoint:
    facts = {"statistics": measure_statistics(windows, SPECS)}
    moments = measure_moments(windows, SPECS, CLASSES)
    return Checkpoint("student", {}, INFO, Normalisation.identity(SPECS), {}, [], facts, {}, moments)


def student() -> StudentNetwork:
    torch.manual_seed(0)
    return StudentNetwork(StudentConfig(**PRESETS["tiny"]), SPECS, STEPS, CLASSES).eval().requires_grad_(False)


def flat(windows: Windows) -> np.ndarray[Any, Any]:
    return np.concatenate([windows.features[spec.name].reshape(len(windows), -1) for spec in SPECS], 1)


def test_moments_are_the_mean_of_each_activity_and_the_ways_windows_stray():
    windows = recorded()
    moments = measure_moments(windows, SPECS, CLASSES)
    means = np.stack([flat(windows)[windows.label == activity].mean(0) for activity in range(CLASSES)])
    np.testing.assert_allclose(moments["means"].numpy(), means, atol=2e-3)
    strays = flat(windows) - means[windows.label]
    first = moments["directions"][:2].float().numpy()
    basis, _ = np.linalg.qr(first.T)
    assert np.square(strays @ basis).sum() > 0.9 * np.square(strays).sum()
    np.testing.assert_allclose(np.square(first).sum(), np.square(strays @ basis).sum() / len(strays), rtol=0.02)


def test_moments_do_not_grow_with_the_windows_and_are_fewer_than_them():
    for per_activity, directions in ((9, 5), (40, DIRECTIONS)):
        moments = measure_moments(recorded(per_activity), SPECS, CLASSES)
        assert len(moments["means"]) == CLASSES
        assert len(moments["directions"]) == directions
        assert sum(len(part) for part in moments.values()) * 4 < per_activity * CLASSES


def test_activities_of_few_windows_share_a_mean_and_one_person_leaves_none():
    given = recorded(7, 3)
    means = measure_moments(given, SPECS, CLASSES)["means"].float().numpy()
    np.testing.assert_allclose(means, np.broadcast_to(flat(given).mean(0), means.shape), atol=2e-3)
    assert measure_moments(recorded(12, 1), SPECS, CLASSES) == {}


def test_no_difference_of_means_and_no_rare_sensor_tells_a_recording():
    """An activity of one window, and a sensor that one window of another activity has."""
    given = recorded()
    kept = np.flatnonzero((given.label != 0) | (np.arange(len(given)) == 0))
    rare = SPECS[-1].name
    given.valid[rare][:] = False
    given.valid[rare][20] = True
    given = given.take(kept)
    moments = measure_moments(given, SPECS, CLASSES)
    means, every = moments["means"].float().numpy(), flat(given)
    others = np.stack([every[given.label == activity].mean(0) for activity in range(1, CLASSES)])
    with_rare = every.shape[1] - given.features[rare][0].size
    np.testing.assert_allclose(means[0, :with_rare], others[:, :with_rare].mean(0), atol=2e-3)
    assert (means[:, with_rare:] == 0).all()
    assert (moments["directions"][:, with_rare:] == 0).all()


def test_no_direction_is_mostly_one_window_or_one_person():
    def directions(given: Windows) -> torch.Tensor:
        return measure_moments(given, SPECS, CLASSES)["directions"].float()

    def tells(windows: Windows, place: int) -> float:
        """How alike the direction most like it is to how a window strays."""
        stray = flat(windows)[place] - flat(windows)[windows.label == windows.label[place]].mean(0)
        ways = torch.nn.functional.normalize(directions(windows), dim=1)
        return float((ways @ torch.as_tensor(stray / np.linalg.norm(stray)).float()).abs().amax())

    loud = recorded(40)
    for spec in SPECS:
        loud.features[spec.name][7] += 5 * np.random.default_rng(1).normal(size=loud.features[spec.name][7].shape)
    assert tells(loud, 7) < 0.3
    assert len(directions(loud)) == DIRECTIONS - 1
    odd = recorded(40)
    alone = np.random.default_rng(1).normal(size=odd.features["skeleton"][0].shape)
    for place in np.flatnonzero(odd.subject == "s1"):
        odd.features["skeleton"][place] += alone * (-1) ** (place // 3)
    assert len(directions(odd)) < DIRECTIONS
    assert tells(odd, int(np.flatnonzero(odd.subject == "s1")[0])) < 0.5


def test_what_is_pruned_on_is_what_the_checkpoint_keeps_enough_of():
    full = checkpoint(recorded())
    assert SourceConfig().names(full) == ("means",)
    assert SourceConfig().names(replace(full, moments={})) == ("smooth",)
    assert SourceConfig().names(replace(full, moments={}, facts={})) == ("inverted",)


def test_steps_that_are_not_valid_and_windows_without_a_label_do_not_count():
    windows = recorded()
    plain = measure_moments(windows, SPECS, CLASSES)
    spoilt = recorded()
    for spec in SPECS:
        spoilt.valid[spec.name][0, 2] = False
        spoilt.features[spec.name][0, 2] = 1e6
    more = {name: np.concatenate([part, part[:1] + 1e6]) for name, part in spoilt.features.items()}
    valid = {name: np.concatenate([part, part[:1]]) for name, part in spoilt.valid.items()}
    rest = np.zeros(len(windows) + 1)
    label = np.append(spoilt.label, -1)
    together = Windows(more, valid, label, np.append(spoilt.subject, "s9"), rest.astype(str), rest, rest)
    found = measure_moments(together, SPECS, CLASSES)
    assert torch.isfinite(found["means"]).all()
    assert (found["means"] - plain["means"]).abs().max() < 0.5


@pytest.mark.parametrize("name", [*(name for name in SOURCES if name != "recordings"), "means,noise,simulated"])
def test_every_source_draws_windows_of_the_right_shape_and_always_the_same(name: str):
    inversion = InversionConfig(inverted=40, inversion_steps=3)
    generator = GeneratorConfig(generator_steps=3)
    config = SourceConfig(tuple(name.split(",")), people=1, inversion=inversion, generator=generator)
    given, network = checkpoint(recorded()), student()
    source = create_sampler(config, given, network, 0, torch.device("cpu"))
    features, valid = source.draw(64, update_generator(0, 1))
    again, _ = create_sampler(config, given, network, 0, torch.device("cpu")).draw(64, update_generator(0, 1))
    for spec in SPECS:
        assert features[spec.name].shape == (64, STEPS, spec.patch, spec.groups, spec.features)
        assert valid[spec.name].shape == (64, STEPS)
        assert valid[spec.name].dtype == torch.bool
        assert torch.isfinite(features[spec.name]).all()
        assert torch.equal(features[spec.name], again[spec.name])
        assert (features[spec.name][~valid[spec.name]] == 0).all()
    assert network(features, valid).logits.shape == (64, CLASSES)


def test_recorded_windows_come_sound_and_with_faults():
    def constant(value: float) -> WindowTensors:
        features = {s.name: torch.full((6, STEPS, s.patch, s.groups, s.features), value) for s in SPECS}
        return WindowTensors(features, {s.name: torch.ones(6, STEPS, dtype=torch.bool) for s in SPECS}, torch.zeros(6))

    source = AugmentedSampler(any_recorded(FaultyWindows(constant(0.0), [constant(5.0)], 0.5)), SPECS, 0.0)
    features, valid = source.draw(400, update_generator(0, 0))
    for spec in SPECS:
        faulty = features[spec.name].square().mean((1, 2, 3, 4)) > 1
        assert 0.4 < faulty.float().mean() < 0.6
        assert (features[spec.name][~valid[spec.name]] == 0).all()


def test_dreams_around_means_lie_nearer_to_the_recordings_than_noise_does():
    windows = recorded()
    source = WindowMeansSampler(measure_moments(windows, SPECS, CLASSES), SPECS, STEPS, 0.0)
    drawn = torch.cat([part.flatten(1) for part in source.draw(64, update_generator(0, 0))[0].values()], 1)
    noise = torch.randn(64, drawn.shape[1], generator=update_generator(0, 1))
    known = torch.as_tensor(flat(windows))
    assert torch.cdist(drawn, known).min(1).values.mean() < 0.8 * torch.cdist(noise, known).min(1).values.mean()


def test_inverted_windows_show_every_activity_to_the_network():
    network, start = student(), NoiseSampler(SPECS, STEPS, 0.2).draw(50, update_generator(0, 0))
    features, valid = invert(network, start, CLASSES, InversionConfig(inversion_steps=60))
    assert torch.equal(network(features, valid).logits.argmax(1), torch.arange(50) % CLASSES)
    for name, there in valid.items():
        assert (features[name][~there] == 0).all()
        assert 0 < (features[name] - start[0][name]).square().mean() < 0.5


@pytest.mark.parametrize(
    ("name", "joint"),
    [
        ("head", "head"),
        ("LeftElbow", "left_elbow"),
        ("elbow_left", "left_elbow"),
        ("R-knee", "right_knee"),
        ("pelvis", "hip_centre"),
        ("SpineBase", "hip_centre"),
        ("right_wrist", "right_wrist"),
    ],
)
def test_joints_are_known_by_the_names_they_go_by(name: str, joint: str):
    assert joint_source(name) == KINECT_JOINTS.index(joint)


def test_simulated_motion_fits_any_skeleton_and_unit():
    other = ModalitySpec("body", 9, "m", 25.0, 3, joints=("pelvis", "l_hand", "tail"), parents=(0, 0, 0), vertical=2)
    phone = ModalitySpec("phone", 9, "m/s2, rad/s and uT", 100.0, 5)
    info = replace(INFO, modalities=(other, phone), window=WindowSpec("sliding", 12, 0.5))
    assert joint_source("tail") is None
    features, valid = simulated_windows(info, 2, 0)
    assert len(valid["phone"]) == 2 * 2 * TRIALS * len(EVERYDAY)  # people; as many improvisations as activities
    for spec in (other, phone):
        assert features[spec.name].shape[1:] == (12, spec.patch, spec.groups, spec.features)
        assert valid[spec.name].all()
        square = features[spec.name].square().mean((0, 1, 2))
        assert 0.2 < float(square[:, : spec.group].mean()) < 2
    # The tail lies where the root does; heights are along the vertical axis.
    assert (features["body"][..., 2, :3] == 0).all()
    assert features["body"][..., 1, 2].mean().abs() > features["body"][..., 1, 0].mean().abs()


def test_what_is_no_source_and_what_keeps_no_moments_is_a_clear_error():
    with pytest.raises(ConfigError, match="expected one or several of means"):
        SourceConfig(("dreams",))
    with pytest.raises(ConfigError, match="once"):
        SourceConfig(("means", "means"))
    bare = replace(checkpoint(recorded()), moments={})
    with pytest.raises(CheckpointError, match="distil again, or choose another --source"):
        create_sampler(SourceConfig(("means",)), bare, student(), 0, torch.device("cpu"))
    assert SourceConfig().names(checkpoint(recorded())) == ("means",)
    assert SourceConfig().names(bare) == ("smooth",)
    with pytest.raises(CheckpointError, match="expected means and directions"):
        WindowMeansSampler(checkpoint(recorded()).moments, (SKELETON, INERTIAL), STEPS + 1, 0.0)


def test_generated_windows_show_what_they_were_made_for_and_move_as_smoothly_as_their_signals_say():
    network = student()
    made = train_generator(network, SPECS, STEPS, CLASSES, GeneratorConfig(generator_steps=150), 0, torch.device("cpu"))
    (features, valid), activity = made.draw(200, update_generator(9, 0))
    assert float((network(features, valid).logits.argmax(1) == activity).float().mean()) > 0.9
    untrained = WindowGenerator(SPECS, STEPS, CLASSES).draw(200, update_generator(9, 0))
    assert float((network(*untrained[0]).logits.argmax(1) == untrained[1]).float().mean()) < 0.5
    for spec in SPECS:
        value, motion = features[spec.name].flatten(1, 2).split(spec.group, -1)  # (B, L, G, 3) each
        slope = (value[:, 2:] - value[:, :-2]).flatten()
        assert float(torch.corrcoef(torch.stack([slope, motion[:, 1:-1].flatten()]))[0, 1]) > 0.95
        assert float(value.square().mean()) == pytest.approx(1.0, rel=1e-3)


def test_a_generator_is_the_same_for_the_same_seed_and_leaves_the_network_as_it_was():
    network = student()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    config = GeneratorConfig(generator_steps=5)
    one, again, other = (
        train_generator(network, SPECS, STEPS, CLASSES, config, seed, torch.device("cpu")).weights.weight
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
