"""Contrastive loss: value for equal and unequal embeddings, scale, pairs of modalities."""

import math

import pytest
import torch

from edgehar.teacher.network.model import FUSED
from edgehar.teacher.pretraining.contrast import Projection, agreement_loss, info_nce

SCALE = torch.tensor(math.log(10.0))


def test_info_nce_of_equal_and_of_permuted_embeddings() -> None:
    rows = torch.eye(8)
    equal = float(info_nce(rows, rows, SCALE))
    assert equal == pytest.approx(math.log(1 + 7 * math.exp(-10)), rel=1e-3)
    assert float(info_nce(rows, rows.roll(1, 0), SCALE)) == pytest.approx(10 + equal, rel=1e-3)


def test_similarity_scale_is_bounded() -> None:
    rows = torch.eye(4)
    assert float(info_nce(rows, rows.roll(1, 0), torch.tensor(50.0))) < 60


def test_loss_is_the_mean_over_all_pairs_of_modalities() -> None:
    generator = torch.Generator().manual_seed(0)
    names = ("skeleton", "wrist", "thigh", FUSED)

    def view() -> dict[str, torch.Tensor]:
        return {
            name: torch.nn.functional.normalize(torch.randn(6, 5, generator=generator), dim=1).requires_grad_()
            for name in names
        }

    one, two = view(), view()
    pairs = [(name, name) for name in names]
    pairs += [(name, other) for name in names[:3] for other in names[:3] if name != other]
    expected = sum(info_nce(one[name], two[other], SCALE) for name, other in pairs) / len(pairs)
    loss = agreement_loss([one, two], SCALE)
    torch.testing.assert_close(loss, torch.as_tensor(expected))
    loss.backward()
    assert all(rows.grad is not None and rows.grad.any() for part in (one, two) for rows in part.values())


def test_projections_have_unit_length() -> None:
    torch.manual_seed(0)
    embedded = Projection(12, 7)(torch.randn(3, 12))
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(3))
