"""The progress file of a training: model, average and optimiser state, for resuming after an interruption."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from edgehar.files.atomic import atomic_file

History = list[dict[str, float]]
"""Points of a training curve: update, loss and further quantities by name."""


def save_progress(
    path: Path, key: str, update: int, history: History, model: nn.Module, average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:  # fmt: skip
    """Write the state after `update` updates; `key` identifies the training."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in state.items()}
    metadata = {"key": key, "update": str(update), "history": json.dumps(history)}
    with atomic_file(path) as temporary:
        # Not safetensors' save_file: a full disk must raise OSError, as everywhere else.
        temporary.write_bytes(save({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, metadata))


def load_progress(
    path: Path, key: str, model: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer
) -> tuple[int, History]:
    """Restore the state in place and return update and history; (0, []) without a readable file of this key."""
    if not path.is_file():
        return 0, []
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata()
            if metadata.get("key") != key:
                return 0, []
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError:
        return 0, []
    model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    average.update({name[8:]: tensor for name, tensor in tensors.items() if name.startswith("average.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, number, entry = name.split(".", 2)
            state.setdefault(int(number), {})[entry] = tensor
    parameter_groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": parameter_groups})
    return int(metadata["update"]), json.loads(metadata["history"])
