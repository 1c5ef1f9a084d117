"""The masked autoencoder: target and loss."""

from dataclasses import replace

import torch
from bodies import SKELETON, STEPS, windows

from edgehar.teacher.network.masking import MaskingConfig, visible_grids
from edgehar.teacher.pretraining.autoencoder import FRAMES, Decoder, View, motion_target


def test_motion_target_is_normalised_per_token():
    features, _ = windows()
    target = motion_target(features["skeleton"], 3)
    assert target.shape == (3, STEPS, 20, FRAMES * 3)
    torch.testing.assert_close(target.mean(-1), torch.zeros(3, STEPS, 20), atol=1e-5, rtol=0)
    torch.testing.assert_close(target.var(-1, unbiased=False), torch.ones(3, STEPS, 20), atol=1e-3, rtol=0)


def test_lost_joint_is_no_target():
    spec = replace(SKELETON, lost_joints=True)
    features, valid = windows(8)
    tokens = {"skeleton": features["skeleton"].clone()}
    tokens["skeleton"][:, :, :, 5] = 0
    visible = visible_grids(tokens, (spec,), MaskingConfig(), torch.Generator().manual_seed(1))
    view = View(tokens, {"skeleton": valid["skeleton"]}, visible)
    encoded = {"skeleton": torch.randn(8, visible["skeleton"].steps.shape[1], 32)}
    torch.manual_seed(0)
    decoder = Decoder(32, 16)
    loss = decoder.loss(encoded, view, (spec,), STEPS, 0.1)
    other = {"skeleton": tokens["skeleton"].clone()}
    other["skeleton"][:, :, :, 6, :3] += 1  # a position is no target
    torch.testing.assert_close(decoder.loss(encoded, view._replace(features=other), (spec,), STEPS, 0.1), loss)
    known = {"skeleton": features["skeleton"]}
    assert decoder.loss(encoded, view._replace(features=known), (spec,), STEPS, 0.1) != loss
