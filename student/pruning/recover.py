"""Recovery: trains a pruned network to reproduce the unpruned one, on windows of any sampler.

DFBF (data-free backbone fine-tuning) matches the outputs of blocks, deeper ones with a higher weight, and leaves the
classifier unchanged. Softened predictions are matched in addition.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgehar.config import Options, option
from edgehar.errors import ConfigError
from edgehar.student.losses import soft_targets
from edgehar.student.pruning.removal import PrunedNetwork
from edgehar.student.windows import WindowSampler
from edgehar.teacher.network.layers import outputs_of
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.loop import EarlyStopping, LossOf, TrainConfig, train
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.progress import History

VALIDATION_WINDOWS = 128
"""Held-out windows for early stopping."""
HELD_OUT_UPDATE = 10**9
"""Update number beyond any training: windows drawn with its generator are held out."""


@dataclass(frozen=True)
class RecoveryConfig(Options):
    """Recovery."""

    matching: float = option(0.1, "weight of the block outputs", at_least=0)
    soft: float = option(1.0, "weight of the softened predictions", at_least=0)
    temperature: float = option(2.0, "temperature of the softened predictions", above=0)
    train_classifier: bool = option(True, "also train the last layer, which DFBF leaves unchanged")
    patience: int = option(
        30,
        "early stopping: sixtieths of the updates without improvement on held-out windows; 60 never stops early",
        at_least=1,
    )

    def __post_init__(self) -> None:
        """Raise ConfigError if no loss has a weight."""
        super().__post_init__()
        if not self.matching and not self.soft:
            raise ConfigError("--matching 0, --soft 0: expected one weight above 0")


def recovery_loss(
    unpruned: nn.Module,
    sampler: WindowSampler,
    pairs: list[tuple[str, str, slice | Tensor]],
    outputs: dict[str, Tensor],
    targets: dict[str, Tensor],
    batch: int,
    config: RecoveryConfig,
    processes: ProcessGroup,
) -> LossOf:
    """Distance of block outputs on the remaining channels, weighted by depth, plus divergence of the predictions.

    Args:
        unpruned: the network to reproduce.
        sampler: draws the training windows.
        pairs: see `PrunedNetwork.pairs`.
        outputs: latest block outputs of the pruned network, see `edgehar.teacher.network.layers.outputs_of`.
        targets: latest block outputs of the unpruned network.
        batch: B, over all processes.
        config: weights and temperature.
        processes: the processes that train together.
    """

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        features, valid = (processes.shard_all(part) for part in sampler.draw(batch, generator))
        with torch.no_grad():
            expected: Tensor = unpruned(features, valid).logits
        loss = config.soft * soft_targets(model(features, valid).logits, expected, config.temperature)
        for depth, (block, target_block, channels) in enumerate(pairs, 1):
            target = targets[target_block][..., channels]
            distance = functional.l1_loss(outputs[block], target) / target.abs().mean().clamp(min=1e-12)
            loss = loss + config.matching * depth / len(pairs) * distance
        return loss

    return loss_of


def recover(
    pruned: PrunedNetwork,
    unpruned: nn.Module,
    sampler: WindowSampler,
    config: RecoveryConfig,
    training: TrainConfig,
    seed: int,
    processes: ProcessGroup,
    progress: Path,
    key: object,
) -> History:
    """Train a pruned network in place, with early stopping on held-out windows of the same sampler.

    Arguments as of `recovery_loss` and `edgehar.teacher.training.loop.train`; returns the training curve.
    """
    network = pruned.network
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(config.train_classifier or not name.startswith(("head.classifier.", "classifier.")))
    held_out = sampler.draw(VALIDATION_WINDOWS, update_generator(seed, HELD_OUT_UPDATE))
    with torch.no_grad():
        expected = unpruned(*held_out).logits
    pairs = pruned.pairs()
    blocks, target_blocks = list(pruned.target_block), [*{*pruned.target_block.values()}]
    with outputs_of(network, blocks) as outputs, outputs_of(unpruned, target_blocks) as targets:
        return train(
            network,
            recovery_loss(unpruned, sampler, pairs, outputs, targets, training.batch, config, processes),
            training.batch,
            training,
            seed,
            processes,
            "recover",
            progress,
            key,
            EarlyStopping(
                lambda model: float(soft_targets(model(*held_out).logits, expected, 1.0)),
                config.patience * training.steps / 60,
            ),
        )
