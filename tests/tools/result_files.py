"""Contents of result files of each suite, with consistent counts."""

import json
from pathlib import Path
from typing import Any

PUBLISHED = {
    "utd-mhad": {
        "split": "odd-even",
        "note": "As published.",
        "skeleton+inertial": [
            {"method": "Big", "accuracy": 97.67, "parameters": 3400000, "about": True, "source": "2022", "note": ""},
            {"method": "Small", "accuracy": 92.09, "parameters": 90006, "about": False, "source": "", "note": ""},
        ],
        "robustness": [{"method": "Safe", "source": "2026", "overall": 85.13, "shift": 95.96, "noise": 88.29}],
    }
}
CATEGORIES = ("clean", "shift", "loss", "noise", "missing", "composite")


def score(correct: int, total: int = 430) -> dict[str, Any]:
    return {
        "correct": correct,
        "total": total,
        "accuracy": correct / total,
        "macro_f1": correct / total,
        "per_subject": {"s2": {"correct": correct, "total": total}},
        "ece": 0.03,
        "nll": 0.1,
        "temperature": 1.5,
    }


def faults(correct: int) -> dict[str, Any]:
    rows = [
        {"name": f"a {category}", "category": category, "correct": correct, "total": 430, "accuracy": correct / 430}
        for category in CATEGORIES
    ]
    categories = {category: correct / 430 for category in CATEGORIES}
    return {"seed": 0, "scenarios": rows, "categories": categories, "overall": correct / 430}


def network(parameters: int, scores: dict[str, Any], **more: Any) -> dict[str, Any]:
    sizes = {"precision": "int8", "parameters": parameters, "macs": 2_000_000, "bytes": 200_000}
    return {**sizes, "scores": scores, **more}


def run(suite: str, seed: int, split: str = "odd-even", **measured: Any) -> dict[str, Any]:
    return {
        "format": "edgehar-run",
        "suite": suite,
        "seed": seed,
        "command": f"edgehar evaluate --suite {suite} --data utd-mhad --preset base --seeds {seed}",
        "config": {"recipe": {"preset": "base", "update_share": 1.0}, "trainings": {}},
        "peak_resident_mb": 700,
        "dataset": {
            "name": "utd-mhad",
            "modalities": ["skeleton", "inertial"],
            "labels": ["walk", "wave"],
            "split": split,
            "train_windows": 431,
            "train_subjects": ["s1", "s3"],
            "test_subjects": ["s2", "s4"],
            "caveats": ["Wrist or thigh."],
        },
        "stages": [{"name": "pretrain", "seconds": 60.0}, {"name": "evaluate", "seconds": 30.0}],
        **measured,
    }


def accuracy(seed: int, correct: int) -> dict[str, Any]:
    scores = {"skeleton+inertial": score(correct), "skeleton": score(correct - 20), "inertial": score(correct - 50)}
    student = network(99_000, scores, faults=faults(correct - 30))
    return run("accuracy", seed, networks={"teacher": network(1_000_000, scores), "student": student})


def left_out(subject: str, correct: int) -> dict[str, Any]:
    scores = {"skeleton+inertial": score(correct, 108)}
    return run("loso", 0, f"loso:{subject}", networks={"student": network(99_000, scores)})


def few_labels() -> dict[str, Any]:
    def entry(share: float, pretrained: bool, draw: int, correct: int) -> dict[str, Any]:
        counts = {"correct": correct, "total": 430, "accuracy": correct / 430}
        return {"share": share, "draw": draw, "pretrained": pretrained, "train_windows": int(431 * share), **counts}

    return run(
        "labels",
        0,
        labels=[
            entry(0.1, True, 0, 387),
            entry(0.1, False, 0, 344),
            entry(1.0, True, 0, 421),
            entry(1.0, False, 0, 421),
        ],
    )


def pruned(source: str, criterion: str, correct: int) -> dict[str, Any]:
    about = {"network": "student", "kept": 0.5, "source": [source], "criterion": criterion, "macs": 600_000}
    return {**about, "parameters": 50_000, "seconds": 40.0, **score(correct), "removed": score(200)}


def compression(seed: int, correct: int) -> dict[str, Any]:
    scores = {"skeleton+inertial": score(correct)}
    entries = [pruned("means", "l2", correct - 2), pruned("recordings", "l2", correct)]
    small = network(50_000, {"skeleton+inertial": score(correct - 3)})
    networks = {"student-fp32": network(99_000, scores), "pruned-student-50-means-l2": small}
    return run("compression", seed, networks=networks, pruned=entries)


def put(root: Path, name: str, content: dict[str, Any]) -> Path:
    path = root / "docs/results" / f"{name}.json"
    path.write_text(json.dumps(content))
    return path
