"""results.json: the results of a run, stage by stage, collected from the files of its stages."""

from pathlib import Path
from typing import Any

from edgehar.data.people import people_warnings
from edgehar.data.splits import Split, caveats
from edgehar.experiments.examples import write_example, write_signals
from edgehar.experiments.recorded import training_facts
from edgehar.experiments.stage import TRIAL, Stage
from edgehar.files.atomic import read_json, write_json
from edgehar.metrics.subjects import outlying_subject
from edgehar.provenance import stamp
from edgehar.signals.clip import Dataset

PROTOCOL = (
    "Trained on the training subjects only; the test subjects are scored once, at the fixed last update. "
    "Pruning, quantising and parity use synthetic windows, no recording; probabilities are calibrated on training "
    "subjects whom a short training left out."
)

SCORE_KEYS = (
    "correct", "total", "accuracy", "wilson95", "macro_f1", "confusion", "confused", "per_subject", "per_class",
    "recordings",
)  # fmt: skip


def checkpoint_facts(folder: Path) -> dict[str, Any]:
    """The content of checkpoint.json, which a training writes beside its weights."""
    return read_json(folder / "checkpoint.json")


def stage_entry(stage: Stage, record: dict[str, Any]) -> dict[str, Any]:
    """One row of the stage table."""
    entry: dict[str, Any] = {
        "name": stage.name,
        "seconds": round(record["seconds"], 2),
        "skipped": record["skipped"],
        "command": stage.command,
        **{name: record[name] for name in ("date", "git_commit", "failed") if name in record},
    }
    if "failed" in record:
        return entry
    if stage.checkpoint is not None:
        checkpoint = checkpoint_facts(stage.checkpoint)
        facts = checkpoint["facts"]
        entry |= {key: facts[key] for key in ("parameters", "macs") if key in facts}
        entry["bytes"] = (stage.checkpoint / "weights.safetensors").stat().st_size
        if not stage.name.startswith(TRIAL):
            entry["history"] = checkpoint["history"]
    if stage.verb in ("export", "quantize"):
        graphs = [path for path in stage.products if path.suffix == ".onnx"]
        entry["bytes"] = sum(path.stat().st_size for path in graphs)
    if stage.verb == "baseline":
        entry["parameters"] = read_json(stage.products[0])["parameters"]
    if stage.verb == "export":
        manifest = read_json(stage.products[0].parent / "manifest.json")
        entry |= {"parameters": manifest["parameters"], "macs": manifest["macs"]["window"]}
    if stage.model is not None:
        entry["model"] = stage.model
    return entry


def peak_of(records: list[dict[str, Any]]) -> int | None:
    """Peak memory of the process over all stages that ran, in MB; None if a record lacks it."""
    ran = [record for record in records if "failed" not in record]
    recorded = [int(record["resident_mb"]) for record in ran if "resident_mb" in record]
    return max(recorded) if len(recorded) == len(ran) else None


def evaluation_of(stage: Stage) -> dict[str, Any]:
    """The score of a stage's model."""
    if stage.checkpoint is not None:
        return checkpoint_facts(stage.checkpoint)["facts"]["evaluation"]
    result = read_json(stage.products[0])
    if stage.verb == "baseline":
        result = next(iter(result["scores"].values()))  # with all sensors
    return {key: result[key] for key in SCORE_KEYS if key in result}


def outlying_text(score: dict[str, Any], worn: dict[str, list[str]]) -> str | None:
    """A sentence about the test person who is recognised far worse than the rest, and how they wear a sensor.

    Args:
        score: with "per_subject".
        worn: person -> sentences about sensors worn otherwise, see `edgehar.data.people.people_warnings`.
    """
    found = outlying_subject(score["per_subject"])
    if found is None:
        return None
    cause = "A sensor seems to be worn otherwise, too:" if found.person in worn else ""
    return " ".join([found.text, cause, *worn.get(found.person, [])]).rstrip()


def benchmark_of(stages: list[Stage]) -> dict[str, Any]:
    """The benchmark of every package in one table, and the device it ran on."""
    documents = [read_json(stage.products[0]) for stage in stages if stage.verb == "bench"]
    rows: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    for document in documents:
        for precision, figures in document["precisions"].items():
            for kind in ("window", "hop"):
                what = f"{document['name']}, {'whole window' if kind == 'window' else 'one hop of a stream'}"
                rows.append({"what": what, "precision": precision} | figures[kind])
            kept = ("cold_start_s", "peak_resident_bytes", "graph_bytes", "hops_per_s", "providers")
            facts[f"{document['name']} {precision}"] = {key: figures[key] for key in kept}
        facts[f"{document['name']} limit_ms"] = document["limit_ms"]
        facts["device"] = document["device"]
    return {"results": rows, **facts}


def write_results(
    folder: Path,
    about: dict[str, Any],
    dataset: Dataset,
    split: Split,
    stages: list[Stage],
    records: list[dict[str, Any]],
) -> dict[str, Any]:
    """Write results.json; returns its content."""
    teacher = checkpoint_facts(folder / "teacher")
    failed = {record["name"] for record in records if "failed" in record}
    scoring = [stage for stage in stages if stage.model is not None and stage.name not in failed]
    scoring.sort(key=lambda stage: stage.verb == "baseline")  # below the networks
    worn = people_warnings(dataset.clips, dataset.info)
    evaluation = {str(stage.model): evaluation_of(stage) for stage in scoring}
    for score in evaluation.values():
        text = outlying_text(score, worn)
        score |= {} if text is None else {"outlying_subject": text}
    scored = next(stage for stage in stages if stage.model == "student-int8")
    default = read_json(folder / "package" / "manifest.json")["default_precision"]
    delivered = "student-int8" if default == "int8" else "student"
    info = dataset.info
    results: dict[str, Any] = {
        "format": "edgehar-results",
        "format_version": 1,
        "command": about["command"],
        "preset": about["preset"],
        "seed": about["seed"],
        **stamp(),
        "protocol": PROTOCOL.replace("subjects", "recordings") if split.by_trial else PROTOCOL,
        "peak_resident_mb": peak_of(records),
        "dataset": {
            "name": info.name,
            "labels": list(info.labels),
            "modalities": [spec.name for spec in info.modalities],
            "split": teacher["data"]["split"],
            "train_subjects": teacher["data"]["train_subjects"],
            "test_subjects": teacher["data"]["test_subjects"],
            **({"train_recordings": list(split.train_recordings)} if split.by_trial else {}),
            "train_windows": teacher["facts"]["train_windows"],
            "test_windows": evaluation[delivered]["total"],
            "training": training_facts(split.train_clips(dataset.clips), info),
            "people": [text for texts in worn.values() for text in texts],
            "citation": info.citation,
            "caveats": [*caveats(split, dataset.clips, info.labels), *info.caveats],
        },
        "choices": about["choices"],
        "stages": [stage_entry(stage, record) for stage, record in zip(stages, records, strict=True)],
        "evaluation": evaluation,
        "delivered": delivered,
        "benchmark": benchmark_of(stages),
        "example": write_example(folder, dataset, read_json(scored.products[0])["predictions"]),
        "signals": write_signals(folder, dataset),
    }
    write_json(folder / "results.json", results)
    return results
