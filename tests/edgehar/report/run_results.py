"""A run's results as the pipeline writes them, with made-up figures: 27 activities, six models, eight stages."""

from typing import Any

import numpy as np

LABELS = (
    "swipe left", "swipe right", "wave", "clap", "throw", "arm cross", "basketball shoot", "draw x",
    "draw circle (clockwise)", "draw circle (counter-clockwise)", "draw triangle", "bowling", "boxing",
    "baseball swing", "tennis swing", "arm curl", "tennis serve", "push", "knock", "catch", "pick up and throw",
    "jog", "walk", "sit to stand", "stand to sit", "lunge", "squat",
)  # fmt: skip


def score(generator: np.random.Generator, accuracy: float) -> dict[str, Any]:
    confusion = np.zeros((27, 27), int)
    for true in range(27):
        for _ in range(16):
            taken = (
                true if generator.random() < accuracy else int(generator.integers(max(true - 2, 0), min(true + 3, 27)))
            )
            confusion[true, taken] += 1
    correct, total = int(np.trace(confusion)), int(confusion.sum())
    subjects = {f"s{number}": {"correct": correct // 4, "total": total // 4} for number in (2, 4, 6, 8)}
    return {
        "correct": correct,
        "total": total,
        "accuracy": correct / total,
        "wilson95": [correct / total - 0.02, correct / total + 0.01],
        "macro_f1": correct / total - 0.001,
        "confusion": confusion.tolist(),
        "per_subject": subjects,
        "per_class": {label: {"correct": int(confusion[k, k]), "total": 16} for k, label in enumerate(LABELS)},
    }


def history(generator: np.random.Generator, updates: int, accuracy: bool) -> list[dict[str, float]]:
    points = []
    for update in range(0, updates + 1, updates // 40):
        point = {"update": update, "loss": 3.3 * np.exp(-3 * update / updates) + 0.05 * generator.random()}
        point["learning_rate"] = 1e-3 * (1 - update / updates)
        if accuracy:
            point["train_accuracy"] = 1 - 0.96 * np.exp(-4 * update / updates)
        points.append({name: float(value) for name, value in point.items()})
    return points


def full_results() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    accuracies = {"teacher": 0.985, "student": 0.98, "student-int8": 0.975, "pruned": 0.95, "pruned-int8": 0.945}
    accuracies |= {"minirocket": 0.9}
    stages = [
        {"name": "baseline-minirocket", "seconds": 9.25, "skipped": False, "parameters": 289911, "model": "minirocket",
         "command": "edgehar baseline minirocket"},
        {"name": "pretrain", "seconds": 912.4, "skipped": True, "command": "edgehar pretrain --data utd-mhad",
         "parameters": 1831043, "macs": 31457280, "history": history(generator, 2000, False)},
        {"name": "finetune", "seconds": 604.0, "skipped": False, "command": "edgehar finetune", "parameters": 1834527,
         "macs": 31460001, "model": "teacher", "history": history(generator, 1200, True)},
        {"name": "distill", "seconds": 1803.9, "skipped": False, "command": "edgehar distill", "parameters": 97416,
         "macs": 2764800, "model": "student", "history": history(generator, 4000, True)},
        {"name": "prune", "seconds": 71.2, "skipped": False, "command": "edgehar prune", "parameters": 51208,
         "macs": 1402880, "model": "pruned"},
        {"name": "export", "seconds": 4.25, "skipped": False, "command": "edgehar export", "bytes": 412345},
        {"name": "quantize", "seconds": 8.5, "skipped": False, "command": "edgehar quantize", "bytes": 139876,
         "model": "student-int8"},
        {"name": "verify", "seconds": 1.5, "skipped": False, "command": "edgehar verify"},
    ]  # fmt: skip
    return {
        "format": "edgehar-results",
        "format_version": 1,
        "command": "edgehar pipeline --data utd-mhad --preset base --seed 7",
        "preset": "base",
        "seed": 7,
        "date": "2026-11-21",
        "versions": {"python": "3.11.7", "torch": "2.13.0", "onnxruntime": "1.31.1"},
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "dataset": {
            "name": "UTD-MHAD",
            "labels": list(LABELS),
            "modalities": ["skeleton", "inertial"],
            "split": "odd-even",
            "train_subjects": ["s1", "s3", "s5", "s7"],
            "test_subjects": ["s2", "s4", "s6", "s8"],
            "train_windows": 431,
            "test_windows": 430,
            "people": ["s2 was recorded with another sensor <1>."],
            "training": {
                "people": 12,
                "recordings": 431,
                "kind": "clip",
                "window_s": 2.5,
                "short": 0,
                "unlabelled_share": 0.0,
                "sensors": {"skeleton": 431, "inertial": 431},
                "labels": {label: {"recordings": 16, "seconds": 40.0, "people": 12} for label in LABELS},
            },
            "citation": "C. Chen, R. Jafari, N. Kehtarnavaz, UTD-MHAD, IEEE ICIP 2015",
            "caveats": ["The inertial sensor is on the wrist for actions 1-21 and on the thigh for 22-27."],
        },
        "choices": [{"name": "pretraining", "value": "off", "reason": "100 % of the training clips have a label."}],
        "stages": stages,
        "evaluation": {name: score(generator, accuracy) for name, accuracy in accuracies.items()},
        "delivered": "student-int8",
        "benchmark": {
            "results": [
                {"precision": "fp32", "what": "hop", "median_ms": 0.1042, "p95_ms": 0.1321, "p99_ms": 0.2205},
                {"precision": "int8", "what": "hop", "median_ms": 0.0817, "p95_ms": 0.0993, "p99_ms": 0.1788},
            ],
            "cold_start_ms": 119.25,
            "resident_mb": 60.5,
            "provider": "CPUExecutionProvider",
            "device": {"machine": "x86_64", "cores": 2, "processor": "a processor"},
        },
        "example": {"file": "example.npz", "label": "wave", "predicted": "wave", "score": 0.9731},
    }


def small_results(results: dict[str, Any]) -> dict[str, Any]:
    """The same with 3 activities and one short training: pictures take time."""
    stages = [dict(stage) for stage in results["stages"][1:3]]
    del stages[0]["history"]
    stages[1]["history"] = [{"update": 0, "loss": 2.0}, {"update": 9, "loss": 1.0}]
    scores = {name: dict(score) for name, score in results["evaluation"].items()}
    for score in scores.values():
        score["confusion"] = [[14, 2, 0], [0, 16, 0], [0, 0, 16]]
        score["per_class"] = {label: {"correct": 14, "total": 16} for label in LABELS[:3]}
    dataset = results["dataset"] | {"labels": list(LABELS[:3])}
    return results | {"stages": stages, "evaluation": scores, "dataset": dataset}
