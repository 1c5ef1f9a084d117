"""A pruned network learns from the unpruned one again, on windows that no one recorded.

DFBF (data-free backbone fine-tuning): the outputs of blocks are matched, deeper ones weighing more, and the classifier
stays as it is; the softened predictions are matched beside them.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.student.losses import soft_targets
from edgehar.student.pruning.units import KeptUnits
from edgehar.student.windows import WindowSampler
from edgehar.teacher.network.layers import outputs_of
from edgehar.teacher.training.batches import update_generator
from edgehar.teacher.training.loop import EarlyStopping, History, ProcessGroup, TrainConfig, train
from edgehar.teacher.training.stage import LossOf

STOPPED_BY = 128
"""Held-out windows that may stop the recovery."""
HELD_OUT_UPDATE = 10**9
"""Number of an update that no training reaches: what is drawn with it is held out."""


@dataclass(frozen=True)
class RecoveryConfig:
    """What a pruned network learns from the unpruned one."""

    matching: float = option(0.1, "weight of the block outputs")
    soft: float = option(1.0, "weight of the softened predictions")
    temperature: float = option(2.0, "temperature of the predictions")
    train_classifier: bool = option(True, "also change the last layer, which DFBF leaves as it is")
    patience: int = option(30, "sixtieths of the updates without gain on held-out dreamed windows after which to stop")

    def __post_init__(self) -> None:
        """Refuse what teaches nothing."""
        weights = self.matching, self.soft
        if min(weights) < 0 or not 0 < sum(weights) < math.inf or not 0 < self.temperature < math.inf:
            raise ConfigError(
                f"--matching {self.matching}, --soft {self.soft}, --temperature {self.temperature}: expected finite "
                "weights of 0 or more, one of them above 0, and a finite temperature above 0"
            )
        if self.patience < 1:
            raise ConfigError(f"--patience {self.patience}: expected 1 or more; 60 never stops early")


@dataclass(frozen=True)
class PrunedNetwork:
    """A network on its way to being pruned.

    Attributes:
        network: what is left.
        target_block: each block that is left -> the block of the unpruned network whose output it has to give.
        kept: part -> units of the unpruned network that stayed; channels and tokens only matter here.
    """

    network: Any
    target_block: dict[str, str]
    kept: KeptUnits

    def pairs(self) -> list[tuple[str, str, slice | Tensor]]:
        """Block, the unpruned network's block, and which of that one's channels are left."""
        # Of a student the encoder's, of a teacher those of all that is no joint's.
        ends = (
            units
            for name, units in self.kept.items()
            if name.startswith("encoder.modality_projection.") or name.endswith(".merge")
        )
        channels: slice | Tensor = next(ends, slice(None))

        def left(block: str) -> slice | Tensor:
            row = block.rpartition(".blocks.")[0]
            match block.partition(".")[0]:
                case "head":
                    return self.kept.get("encoder.token_projection", slice(None))
                case "tokens":
                    return self.kept.get(f"{row}.embed", slice(None))
                case _:
                    return channels

        return [(own, other, left(own)) for own, other in self.target_block.items()]


def recovery_loss(
    unpruned: nn.Module,
    source: WindowSampler,
    pairs: list[tuple[str, str, slice | Tensor]],
    got: dict[str, Tensor],
    wanted: dict[str, Tensor],
    batch: int,
    config: RecoveryConfig,
    processes: ProcessGroup,
) -> LossOf:
    """Match block outputs on the channels that stayed, deeper blocks weighing more, and the predictions.

    `got` and `wanted` are what the blocks of both networks gave last, see `edgehar.teacher.network.layers.outputs_of`.
    """

    def loss_of(model: nn.Module, rows: NDArray[Any], generator: torch.Generator) -> Tensor:
        features, valid = (processes.shard_all(part) for part in source.draw(batch, generator))
        with torch.no_grad():
            known: Tensor = unpruned(features, valid).logits
        loss = config.soft * soft_targets(model(features, valid).logits, known, config.temperature)
        for depth, (own, other, channels) in enumerate(pairs, 1):
            target = wanted[other][..., channels]
            apart = functional.l1_loss(got[own], target) / target.abs().mean().clamp(min=1e-12)
            loss = loss + config.matching * depth / len(pairs) * apart
        return loss

    return loss_of


def recover(
    smaller: PrunedNetwork,
    unpruned: nn.Module,
    source: WindowSampler,
    config: RecoveryConfig,
    training: TrainConfig,
    seed: int,
    processes: ProcessGroup,
    progress: Path,
    key: object,
) -> History:
    """Train what is left on windows from a source, as long as that helps on others from the same source."""
    network = smaller.network
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(config.train_classifier or not name.startswith(("head.classifier.", "classifier.")))
    unseen = source.draw(STOPPED_BY, update_generator(seed, HELD_OUT_UPDATE))
    with torch.no_grad():
        known = unpruned(*unseen).logits
    pairs = smaller.pairs()
    with (
        outputs_of(network, list(smaller.target_block)) as got,
        outputs_of(unpruned, [*{*smaller.target_block.values()}]) as wanted,
    ):
        return train(
            network,
            recovery_loss(unpruned, source, pairs, got, wanted, training.batch, config, processes),
            training.batch,
            training,
            seed,
            processes,
            "recover",
            progress,
            key,
            EarlyStopping(
                lambda model: float(soft_targets(model(*unseen).logits, known, 1.0)),
                config.patience * training.steps / 60,
            ),
        )
