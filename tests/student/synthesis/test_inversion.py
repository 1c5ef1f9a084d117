import torch
from bodies import CLASSES, SPECS, STEPS, untrained_student

from edgehar.student.synthesis.inversion import InversionConfig, invert
from edgehar.student.synthesis.samplers import NoiseSampler
from edgehar.teacher.training.batches import update_generator


def test_network_predicts_the_assigned_activity_of_inverted_windows():
    network, start = untrained_student(), NoiseSampler(SPECS, STEPS, 0.2).draw(50, update_generator(0, 0))
    features, valid = invert(network, start, CLASSES, InversionConfig(inversion_steps=60))
    assert torch.equal(network(features, valid).logits.argmax(1), torch.arange(50) % CLASSES)
    for name, flags in valid.items():
        assert (features[name][~flags] == 0).all()
        assert 0 < (features[name] - start[0][name]).square().mean() < 0.5
