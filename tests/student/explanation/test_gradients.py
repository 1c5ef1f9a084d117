"""Explanations of a checkpoint: gradients with captum, and the methods of the board on a torch network."""

import numpy as np
import pytest
import torch
from bodies import SPECS, activity_windows, small_teacher, student, trained_norms
from torch import Tensor, nn

from edgehar.errors import ConfigError
from edgehar.explanation.probe import Probe, log_odds, still_features
from edgehar.signals.windows import Windows
from edgehar.student.explain import GRADIENTS, saliency_of
from edgehar.student.explanation.gradients import gradient
from edgehar.student.explanation.network import TorchNetwork
from edgehar.student.network.model import NetworkOutput
from edgehar.teacher.training.stage import predict

pytest.importorskip("captum", reason="gradients need the extra explain")
JOINT, STEP, WEIGHT = 7, 3, 2.0


@pytest.fixture
def window() -> Windows:
    """One window of random motion."""
    return activity_windows().take(np.array([5]))


class OneJoint(nn.Module):
    """The log odds of class 1 are the weighted sum of all features of one joint in one step."""

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> NetworkOutput:
        total = WEIGHT * features["skeleton"][:, STEP, :, JOINT].sum((1, 2)) + 0 * features["inertial"].sum(
            (1, 2, 3, 4)
        )
        logits = torch.stack([torch.zeros_like(total), total], 1)
        return NetworkOutput(logits, logits, logits[:, None])


@pytest.mark.parametrize("integrated", [False, True])
def test_gradients_find_the_joint_and_the_step_of_a_linear_network(integrated: bool, window: Windows) -> None:
    saliency = gradient(OneJoint(), window, SPECS, 1, integrated)
    assert np.argwhere(saliency.groups["skeleton"] > 1e-6).tolist() == [[STEP, JOINT]]
    assert not saliency.groups["inertial"].any()
    features = window.features["skeleton"][0]
    expected = WEIGHT * features[STEP, :, JOINT].size
    if integrated:  # of a linear network, the weight times the difference to the still window
        still = still_features(features, window.valid["skeleton"][0], SPECS[0])
        expected = WEIGHT * np.abs(features[STEP, :, JOINT] - still[JOINT]).sum()
    assert saliency.groups["skeleton"][STEP, JOINT] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", [*GRADIENTS, "tsr", "occlusion"])
def test_every_method_explains_a_student(method: str, window: Windows) -> None:
    window.valid["inertial"][0, 4:] = False
    window.features["inertial"][0, 4:] = 0
    saliency = saliency_of(trained_norms(student("tiny")).eval(), window, SPECS, 0, method)
    for spec in SPECS:
        part = saliency.groups[spec.name]
        assert part.shape == (window.valid[spec.name].shape[1], spec.groups)
        assert np.isfinite(part).all()
        assert (part >= 0).all()
    assert saliency.groups["skeleton"].any()
    if method not in ("gradient",):  # a gradient exists where a value is missing, too
        assert not saliency.groups["inertial"][4:].any()


def test_torch_network_has_the_evidence_of_the_whole_network(window: Windows) -> None:
    network = trained_norms(student("tiny")).eval()
    expected = log_odds(predict(network, window, torch.device("cpu")), 0)[0]
    assert Probe(TorchNetwork(network), window, SPECS, 0).evidence == pytest.approx(expected, abs=1e-4)


def test_teacher_is_explained_by_gradients_only(window: Windows) -> None:
    teacher = small_teacher().eval()
    assert saliency_of(teacher, window, SPECS, 0, "integrated-gradients").groups["skeleton"].any()
    with pytest.raises(ConfigError, match="a teacher has no encoder of single steps"):
        saliency_of(teacher, window, SPECS, 0, "tsr")
