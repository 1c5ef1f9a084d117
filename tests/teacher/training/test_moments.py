"""Statistics and moments that a checkpoint stores of its training windows."""

from dataclasses import replace

import numpy as np
import torch
from bodies import CLASSES, SPECS, activity_windows, flat_features, frame_windows

from edgehar.signals.windows import Windows
from edgehar.teacher.training.moments import DIRECTIONS, measure_moments, measure_statistics


def test_size_of_statistics_does_not_depend_on_the_number_of_windows():
    few, many = measure_statistics(frame_windows(20), SPECS), measure_statistics(frame_windows(200), SPECS)
    size = {name: {key: np.shape(value) for key, value in entry.items()} for name, entry in few.items()}
    assert size == {name: {key: np.shape(value) for key, value in entry.items()} for name, entry in many.items()}
    assert size["skeleton"] == {"mean": (60,), "covariance": (60, 60), "motion": (60,)}


def test_no_statistics_of_too_few_windows_or_one_subject():
    assert measure_statistics(frame_windows(9), SPECS)
    assert measure_statistics(frame_windows(8), SPECS) == {}, "one of them has no valid step"
    assert measure_statistics(frame_windows(40, subjects=1), SPECS) == {}


def test_moments_are_activity_means_and_principal_directions():
    windows = activity_windows()
    moments = measure_moments(windows, SPECS, CLASSES)
    means = np.stack([flat_features(windows)[windows.label == activity].mean(0) for activity in range(CLASSES)])
    np.testing.assert_allclose(moments["means"].numpy(), means, atol=2e-3)
    offsets = flat_features(windows) - means[windows.label]
    first = moments["directions"][:2].float().numpy()
    basis, _ = np.linalg.qr(first.T)
    assert np.square(offsets @ basis).sum() > 0.9 * np.square(offsets).sum()
    np.testing.assert_allclose(np.square(first).sum(), np.square(offsets @ basis).sum() / len(offsets), rtol=0.02)


def test_size_of_moments_does_not_depend_on_the_number_of_windows():
    for per_activity, directions in ((9, 5), (40, DIRECTIONS)):
        moments = measure_moments(activity_windows(per_activity), SPECS, CLASSES)
        assert len(moments["means"]) == CLASSES
        assert len(moments["directions"]) == directions
        assert sum(len(part) for part in moments.values()) * 4 < per_activity * CLASSES


def test_activities_of_few_windows_share_a_mean_and_one_subject_has_no_moments():
    given = activity_windows(7, 3)
    means = measure_moments(given, SPECS, CLASSES)["means"].float().numpy()
    np.testing.assert_allclose(means, np.broadcast_to(flat_features(given).mean(0), means.shape), atol=2e-3)
    assert measure_moments(activity_windows(12, 1), SPECS, CLASSES) == {}


def test_moments_do_not_reveal_a_recording_by_difference_or_rare_sensor():
    """One activity has a single window, and one sensor is valid in a single window of another activity."""
    given = activity_windows()
    rows = np.flatnonzero((given.label != 0) | (np.arange(len(given)) == 0))
    rare = SPECS[-1].name
    given.valid[rare][:] = False
    given.valid[rare][20] = True
    given = given.take(rows)
    moments = measure_moments(given, SPECS, CLASSES)
    means, every = moments["means"].float().numpy(), flat_features(given)
    others = np.stack([every[given.label == activity].mean(0) for activity in range(1, CLASSES)])
    rare_start = every.shape[1] - given.features[rare][0].size
    np.testing.assert_allclose(means[0, :rare_start], others[:, :rare_start].mean(0), atol=2e-3)
    assert (means[:, rare_start:] == 0).all()
    assert (moments["directions"][:, rare_start:] == 0).all()


def test_no_direction_is_dominated_by_one_window_or_subject():
    def directions(given: Windows) -> torch.Tensor:
        return measure_moments(given, SPECS, CLASSES)["directions"].float()

    def similarity(windows: Windows, index: int) -> float:
        """Largest cosine between a direction and the offset of a window from its activity's mean."""
        offset = flat_features(windows)[index] - flat_features(windows)[windows.label == windows.label[index]].mean(0)
        unit = torch.nn.functional.normalize(directions(windows), dim=1)
        return float((unit @ torch.as_tensor(offset / np.linalg.norm(offset)).float()).abs().amax())

    loud = activity_windows(40)
    for spec in SPECS:
        loud.features[spec.name][7] += 5 * np.random.default_rng(1).normal(size=loud.features[spec.name][7].shape)
    assert similarity(loud, 7) < 0.3
    assert len(directions(loud)) == DIRECTIONS - 1
    odd = activity_windows(40)
    alone = np.random.default_rng(1).normal(size=odd.features["skeleton"][0].shape)
    for index in np.flatnonzero(odd.subject == "s1"):
        odd.features["skeleton"][index] += alone * (-1) ** (index // 3)
    assert len(directions(odd)) < DIRECTIONS
    assert similarity(odd, int(np.flatnonzero(odd.subject == "s1")[0])) < 0.5


def test_moments_ignore_invalid_steps_and_unlabelled_windows():
    windows = activity_windows()
    plain = measure_moments(windows, SPECS, CLASSES)
    changed = activity_windows()
    for spec in SPECS:
        changed.valid[spec.name][0, 2] = False
        changed.features[spec.name][0, 2] = 1e6
    more = {name: np.concatenate([part, part[:1] + 1e6]) for name, part in changed.features.items()}
    valid = {name: np.concatenate([part, part[:1]]) for name, part in changed.valid.items()}
    zeros = np.zeros(len(windows) + 1)
    label = np.append(changed.label, -1)
    together = Windows(more, valid, label, np.append(changed.subject, "s9"), zeros.astype(str), zeros, zeros)
    found = measure_moments(together, SPECS, CLASSES)
    assert torch.isfinite(found["means"]).all()
    assert (found["means"] - plain["means"]).abs().max() < 0.5


def test_people_in_one_recording_count_as_one_subject():
    """Statistics of two people who only appear together would be those of one pair."""
    windows = frame_windows(40)
    pair = replace(windows, subject=np.where(windows.subject == windows.subject[0], "ann", "ann+bob"))
    assert measure_statistics(windows, SPECS)
    assert measure_statistics(pair, SPECS) == {}
    activities = activity_windows()
    together = replace(activities, subject=np.where(activities.subject == "s1", "ann", "ann+bob"))
    assert measure_moments(activities, SPECS, CLASSES)
    assert measure_moments(together, SPECS, CLASSES) == {}
