import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, untrained_student

from edgehar.student.synthesis.generator import GeneratorConfig, WindowGenerator, train_generator
from edgehar.teacher.training.batches import update_generator


def test_generated_windows_have_their_activity_and_motion_is_the_slope_of_values():
    network = untrained_student()
    config = GeneratorConfig(generator_steps=100)
    trained = train_generator(network, SPECS, STEPS, CLASSES, config, 0, torch.device("cpu"))
    (features, valid), activity = trained.draw(200, update_generator(9, 0))
    assert float((network(features, valid).logits.argmax(1) == activity).float().mean()) > 0.9
    untrained = WindowGenerator(SPECS, STEPS, CLASSES).draw(200, update_generator(9, 0))
    assert float((network(*untrained[0]).logits.argmax(1) == untrained[1]).float().mean()) < 0.5
    for spec in SPECS:
        value, motion = features[spec.name].flatten(1, 2).split(spec.group, -1)  # (B, L, G, 3) each
        slope = (value[:, 2:] - value[:, :-2]).flatten()
        assert float(torch.corrcoef(torch.stack([slope, motion[:, 1:-1].flatten()]))[0, 1]) > 0.95
        assert float(value.square().mean()) == pytest.approx(1.0, rel=1e-3)


def test_generator_depends_on_the_seed_and_does_not_change_the_network():
    network = untrained_student()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    config = GeneratorConfig(generator_steps=5)
    one, again, other = (
        train_generator(network, SPECS, STEPS, CLASSES, config, seed, torch.device("cpu")).weights.weight
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
