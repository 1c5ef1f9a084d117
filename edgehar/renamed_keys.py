"""Names in stored files that were renamed: options of checkpoints and results, tensors of checkpoints.

A checkpoint of format version 1 and the results in docs/results use the old names; today's code reads them through
this map. Every name is listed once: to rename an option or a module attribute, add a row here.
"""

from collections.abc import Mapping
from typing import Any, cast

OPTIONS = {"average": "ema_decay", "begin_like_teacher": "init_from_teacher"}
"""Stored name -> current name of an option: `facts.options` of a checkpoint, `config.trainings` of a result."""

TENSORS = {
    "place": "position_embedding",
    "time": "time_blocks",
    "fusion_kind": "modality_embedding",
    "encoder.widen": "encoder.modality_projection",
    "encoder.narrow": "encoder.token_projection",
    "head.place": "head.position_embedding",
}
"""Stored -> current beginning of a tensor's name, up to a dot; modality names follow, and may equal an old name."""


def current_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Stored options under their current names, groups of options included, in the same order."""
    return {OPTIONS.get(name, name): _renamed(value) for name, value in settings.items()}


def _renamed(value: Any) -> Any:
    return current_options(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value


def stored_option(name: str) -> str:
    """The name under which docs/results and version 1 checkpoints store an option, given its current name."""
    return _STORED_OPTIONS.get(name, name)


_STORED_OPTIONS = {current: stored for stored, current in OPTIONS.items()}


def current_tensor(name: str) -> str:
    """The current name of a tensor of a version 1 checkpoint."""
    for stored, current in TENSORS.items():
        if name == stored or name.startswith(f"{stored}."):
            return current + name[len(stored) :]
    return name
