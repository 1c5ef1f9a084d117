"""The synthetic series of Ismail et al. (NeurIPS 2020): noise with a box of signal in known steps and features.

Series of independent standard normal noise, to which a box of `LEVEL` is added in some steps and channels, whose place
is drawn for each series; its sign is the class. A student is trained on them, with a tenth of all steps missing so that
its vector for missing data is trained, too.
"""

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from torch import nn

from edgehar.metrics.precision_recall import average_precision
from edgehar.signals.clip import Bools
from edgehar.signals.modality import ModalitySpec
from edgehar.signals.preprocess import Normalisation, prepare
from edgehar.signals.windows import Windows
from edgehar.student.network.model import StudentConfig, StudentNetwork
from edgehar.teacher.training.stage import predict
from tools.faithfulness.methods import METHODS, all_parts, summarised, timed_saliency

STEPS, PATCH, CHANNELS = 25, 2, 20
BOX_STEPS, BOX_CHANNELS = 6, 5
LEVEL = 1.0
SERIES, TEST_SERIES = 2048, 512
UPDATES, BATCH, LEARNING_RATE, MISSING = 400, 64, 3e-3, 0.1
SPEC = ModalitySpec("series", CHANNELS, "", 50.0, PATCH, group=1)


def draw_series(count: int, generator: np.random.Generator) -> tuple[Windows, Bools]:
    """Prepared series, and True (N, S, C) where the box is."""
    frames = generator.standard_normal((count, STEPS * PATCH, CHANNELS)).astype(np.float32)
    label = generator.integers(0, 2, count)
    truth = np.zeros((count, STEPS, CHANNELS), bool)
    features = np.empty((count, STEPS, PATCH, CHANNELS, SPEC.features), np.float32)
    # The motion of noise has a root-mean-square of sqrt(2) per frame.
    scale = np.tile(np.array([1.0, 2**0.5 * SPEC.rate_hz], np.float32), (CHANNELS, 1))
    for row in range(count):
        step = int(generator.integers(0, STEPS - BOX_STEPS + 1))
        channel = int(generator.integers(0, CHANNELS - BOX_CHANNELS + 1))
        box = (slice(step, step + BOX_STEPS), slice(channel, channel + BOX_CHANNELS))
        truth[row][box] = True
        frames[row, step * PATCH : (step + BOX_STEPS) * PATCH, box[1]] += LEVEL * (2 * label[row] - 1)
        features[row] = prepare(
            frames[row], np.ones(len(frames[row]), bool), SPEC, 1 / SPEC.rate_hz, Normalisation({SPEC.name: scale})
        )[0]
    names = np.array([f"series{row}" for row in range(count)])
    times = np.zeros(count)
    valid = np.ones((count, STEPS), bool)
    return Windows({SPEC.name: features}, {SPEC.name: valid}, label, names, names, times, times + 1), truth


def train_student(windows: Windows, seed: int) -> StudentNetwork:
    """A small student of these series."""
    torch.manual_seed(seed)
    config = StudentConfig(stem=24, width=32, encoder_blocks=1, hidden=32, token=32, heads=2, head_hidden=32)
    network = StudentNetwork(config, (SPEC,), STEPS, 2)
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, UPDATES)
    generator = np.random.default_rng((seed, 1))
    for _ in range(UPDATES):
        rows = generator.integers(0, len(windows), BATCH)
        valid = torch.from_numpy(generator.random((BATCH, STEPS)) >= MISSING)
        features = torch.from_numpy(windows.features[SPEC.name][rows]) * valid[..., None, None, None]
        logits = network({SPEC.name: features}, {SPEC.name: valid}).logits
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(windows.label[rows]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def measure_synthetic(most: int, seed: int) -> dict[str, Any]:
    """Train a student and score every method on correctly recognised series; scores as on the simulator."""
    generator = np.random.default_rng(seed)
    training, _ = draw_series(SERIES, generator)
    windows, truth = draw_series(TEST_SERIES, generator)
    network = train_student(training, seed)
    correct = predict(network, windows, torch.device("cpu")).argmax(axis=1) == windows.label
    scores: dict[str, dict[str, list[float]]] = {method: defaultdict(list) for method in METHODS}
    seconds: dict[str, list[float]] = defaultdict(list)
    rows: list[int] = np.flatnonzero(correct)[:most].tolist()
    for row in rows:
        one = windows.take(np.array([row]))
        for method in METHODS:
            saliency, took_s = timed_saliency(method, network, one, (SPEC,), int(windows.label[row]), generator)
            seconds[method].append(took_s)
            parts = all_parts(saliency, (SPEC,))
            scores[method]["parts"].append(average_precision(parts, truth[row].reshape(-1)))
            scores[method]["limbs"].append(
                average_precision(saliency.groups[SPEC.name].sum(axis=0), truth[row].any(axis=0))
            )
            scores[method]["steps"].append(average_precision(saliency.steps, truth[row].any(axis=1)))
    return {
        "score": "area under precision-recall",
        "truth": f"a box of {BOX_STEPS} of {STEPS} steps and {BOX_CHANNELS} of {CHANNELS} channels",
        "share_true": {
            "parts": BOX_STEPS * BOX_CHANNELS / STEPS / CHANNELS,
            "limbs": BOX_CHANNELS / CHANNELS,
            "steps": BOX_STEPS / STEPS,
        },
        "windows": len(rows),
        "accuracy": round(float(correct.mean()), 4),
        "methods": summarised(scores, seconds),
    }
