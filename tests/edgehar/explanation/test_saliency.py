"""Occlusion and temporal saliency rescaling find the parts that a network of known rules uses, and nothing else."""

import numpy as np
import pytest

from edgehar.errors import ConfigError, DataError
from edgehar.explanation.probe import Probe, log_odds, still_features
from edgehar.explanation.saliency import METHODS, important_steps, occlusion, rescaled, step_evidence, time_importance
from edgehar.signals.clip import Floats
from edgehar.signals.modality import KINECT_JOINTS, KINECT_PARENTS, ModalitySpec
from edgehar.signals.windows import Windows

SKELETON = ModalitySpec("skeleton", 60, "m", 30.0, 2, joints=KINECT_JOINTS, parents=KINECT_PARENTS)
WATCH = ModalitySpec("watch", 6, "g", 50.0, 4)
SPECS = (SKELETON, WATCH)
STEPS = 8
JOINT, AXIS, STEP = 11, 1, 5


class JointNetwork:
    """Class 1 is as likely as one joint moves along one axis, in each step, squared; a missing step has no motion."""

    def encode(self, features: dict[str, Floats], valid: Floats) -> Floats:
        """The mean motion of the joint."""
        motion = features["skeleton"][:, :, JOINT, SKELETON.group + AXIS].mean(axis=1)
        return (motion * valid[:, 0])[:, None].astype(np.float32)

    def classify(self, tokens: Floats) -> Floats:
        """Logits of two classes."""
        strength = np.square(tokens.sum(axis=2)).sum(axis=1)
        return np.stack([np.zeros_like(strength), strength], axis=1).astype(np.float32)


def window(seed: int = 0) -> Windows:
    """One random window in which the joint moves in one step only."""
    generator = np.random.default_rng(seed)
    features: dict[str, Floats] = {
        spec.name: generator.standard_normal((1, STEPS, spec.patch, spec.groups, spec.features)).astype(np.float32)
        for spec in SPECS
    }
    features["skeleton"][0, :, :, JOINT, SKELETON.group :] = 0
    features["skeleton"][0, STEP, :, JOINT, SKELETON.group + AXIS] = 2
    valid = {spec.name: np.ones((1, STEPS), bool) for spec in SPECS}
    nothing = np.zeros(1)
    return Windows(features, valid, np.zeros(1, np.int64), np.array(["s1"]), np.array(["a"]), nothing, nothing + 1)


@pytest.mark.parametrize("method", METHODS)
def test_only_the_joint_axis_and_step_that_decide_are_important(method: str) -> None:
    saliency = METHODS[method](Probe(JointNetwork(), window(), SPECS, 1))
    assert saliency.steps.argmax() == STEP
    assert np.argwhere(saliency.groups["skeleton"] > 0).tolist() == [[STEP, JOINT]]
    assert not saliency.groups["watch"].any()
    assert saliency.step_evidence[STEP] == pytest.approx(4)
    assert saliency.sensor_evidence == pytest.approx({"skeleton": 4, "watch": 0})
    assert saliency.sensor_steps["skeleton"][STEP] == pytest.approx(4)
    assert saliency.group_evidence["skeleton"][JOINT] == pytest.approx(4)
    found = {(axis.group, axis.channel): axis.evidence for axis in saliency.axes}
    assert found == pytest.approx({(JOINT, 0): 0, (JOINT, AXIS): 4, (JOINT, 2): 0})


def test_evidence_against_an_activity_is_negative_and_important() -> None:
    saliency = occlusion(Probe(JointNetwork(), window(), SPECS, 0))
    assert saliency.step_evidence[STEP] == pytest.approx(-4)
    assert saliency.steps[STEP] == pytest.approx(4)


def test_time_importance_is_the_change_of_the_other_steps_attribution() -> None:
    class Pair(JointNetwork):
        """Two steps count only together."""

        def classify(self, tokens: Floats) -> Floats:
            both = tokens[:, 1, 0] * tokens[:, 2, 0]
            return np.stack([np.zeros_like(both), both], axis=1)

    one = window()
    one.features["skeleton"][0, :, :, JOINT, SKELETON.group + AXIS] = 1
    probe = Probe(Pair(), one, SPECS, 1)
    lost = step_evidence(probe)
    assert lost.tolist() == pytest.approx([0, 1, 1, 0, 0, 0, 0, 0])
    # Without one of the pair, neither has anything left to lose.
    assert time_importance(probe, lost).tolist() == pytest.approx([0, 2, 2, 0, 0, 0, 0, 0])


def test_rescaling_examines_fewer_steps_than_occlusion() -> None:
    probes = [Probe(JointNetwork(), window(), SPECS, 1) for _ in range(2)]
    saliencies = [rescaled(probes[0]), occlusion(probes[1])]
    assert saliencies[0].examined.tolist() == [step == STEP for step in range(STEPS)]
    assert saliencies[1].examined.all()
    assert probes[0].cost.encoder_steps < probes[1].cost.encoder_steps


def test_groups_are_ranked_in_every_step_by_the_importance_of_the_step() -> None:
    one = window()
    one.features["skeleton"][0, :STEP, :, JOINT, SKELETON.group + AXIS] = np.linspace(0.2, 1, STEP)[:, None]
    saliency = rescaled(Probe(JointNetwork(), one, SPECS, 1))
    importance = saliency.groups["skeleton"][:, JOINT]
    assert (importance[: STEP + 1] > 0).all()
    assert np.argsort(-importance).tolist()[:3] == [STEP, STEP - 1, STEP - 2]
    assert saliency.examined.sum() < STEP


class TwoJoints(JointNetwork):
    """Each of two joints speaks for an activity of its own."""

    def encode(self, features: dict[str, Floats], valid: Floats) -> Floats:
        """The mean motion of both joints."""
        joints = [JOINT, JOINT + 1]
        return (features["skeleton"][:, :, joints, SKELETON.group].mean(axis=1) * valid[:, :1]).astype(np.float32)

    def classify(self, tokens: Floats) -> Floats:
        """Logits of three classes, of which the first has no joint."""
        strength = tokens.sum(axis=1)
        return np.concatenate([np.zeros_like(strength[:, :1]), strength], axis=1).astype(np.float32)


def test_importance_of_joints_belongs_to_the_activity() -> None:
    one = window()
    one.features["skeleton"][..., JOINT : JOINT + 2, SKELETON.group :] = 0
    one.features["skeleton"][0, STEP, :, JOINT : JOINT + 2, SKELETON.group] = 4
    for index in (1, 2):
        importance = rescaled(Probe(TwoJoints(), one, SPECS, index)).groups["skeleton"][STEP]
        assert importance.argmax() == JOINT + index - 1


def test_missing_steps_and_sensors_are_not_important() -> None:
    one = window()
    one.valid["watch"][:] = False
    one.valid["skeleton"][0, 6:] = False
    for method in METHODS.values():
        saliency = method(Probe(JointNetwork(), one, SPECS, 1))
        assert not saliency.steps[6:].any()
        assert saliency.sensor_evidence["watch"] == 0
        assert not saliency.groups["watch"].any()


def test_lost_joint_occludes_a_joint_where_the_network_knows_lost_joints() -> None:
    lossy = ModalitySpec("skeleton", 60, "m", 30.0, 2, joints=KINECT_JOINTS, parents=KINECT_PARENTS, lost_joints=True)
    one = window()
    valid = one.valid["skeleton"][0]
    assert not still_features(one.features["skeleton"][0], valid, lossy).any()
    still = still_features(one.features["skeleton"][0], valid, SKELETON)
    expected = one.features["skeleton"][0, :, :, 3, :3].mean(axis=(0, 1))
    np.testing.assert_allclose(still[3], [*expected, 0, 0, 0], atol=1e-6)


def test_frames_in_which_a_joint_is_lost_do_not_count_for_its_mean() -> None:
    one = window()
    one.features["skeleton"][0, 2:, :, 3] = 0
    still = still_features(one.features["skeleton"][0], one.valid["skeleton"][0], SKELETON)
    np.testing.assert_allclose(still[3, :3], one.features["skeleton"][0, :2, :, 3, :3].mean(axis=(0, 1)), atol=1e-6)


def test_important_steps_exist_where_all_are_equal() -> None:
    steps = np.array([0, 1, 3])
    assert important_steps(np.ones(4, np.float32), steps).tolist() == [0, 1, 3]
    assert important_steps(np.array([0, 1, 9, 3], np.float32), steps).tolist() == [3]


def test_log_odds_do_not_saturate() -> None:
    assert log_odds(np.array([[60.0, 0.0, 0.0]], np.float32), 0)[0] == pytest.approx(60 - np.log(2))
    assert log_odds(np.array([[600.0, 0.0]], np.float32), 1)[0] == pytest.approx(-600)


def test_window_without_a_valid_step_is_an_error() -> None:
    one = window()
    for valid in one.valid.values():
        valid[:] = False
    with pytest.raises(DataError, match="no valid step"):
        Probe(JointNetwork(), one, SPECS)


def test_one_activity_is_an_error() -> None:
    class Sure(JointNetwork):
        """One class."""

        def classify(self, tokens: Floats) -> Floats:
            return np.ones((len(tokens), 1), np.float32)

    with pytest.raises(ConfigError, match="one activity"):
        Probe(Sure(), window(), SPECS)
