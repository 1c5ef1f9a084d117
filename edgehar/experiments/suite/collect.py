"""The scores and sizes of a suite's run, collected from the files of its stages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgehar.choices import NO_PSEUDO_LABELS
from edgehar.data.splits import Split
from edgehar.experiments.results import SCORE_KEYS, checkpoint_facts
from edgehar.experiments.stage import TRAININGS, TRIAL
from edgehar.experiments.suite.comparison import PIPELINE, method_of
from edgehar.experiments.suite.plan import LEAVING_OUT, Run
from edgehar.experiments.suite.transfer import collect_transfer
from edgehar.files.atomic import read_json
from edgehar.metrics.classification import named_pairs
from edgehar.metrics.logits_file import read_logits, scores, sensor_set_name
from edgehar.signals.clip import Dataset
from edgehar.signals.preprocess import Normalisation
from edgehar.signals.windows import cut

COUNTED = ("correct", "total", "accuracy", "per_subject")
COMPARED = (*COUNTED, "macro_f1", "recordings")
"""Part of a score that the suite strangers stores."""
CONFIDENCE_KEYS = ("ece", "nll", "temperature", "coverage", "selective_accuracy")


def brief(result: Mapping[str, Any]) -> dict[str, Any]:
    """A score without the predictions, its confusion matrix as a list of the confused pairs."""
    kept = {key: result[key] for key in (*SCORE_KEYS, *CONFIDENCE_KEYS) if key in result and key != "confusion"}
    pairs = (
        (true, predicted, count)
        for true, row in enumerate(result.get("confusion", ()))
        for predicted, count in enumerate(row)
        if count and true != predicted
    )
    return {"confused": named_pairs(pairs, list(result["per_class"]))} | kept


def _teacher(folder: Path) -> dict[str, Any]:
    checkpoint = folder / "teacher"
    facts = checkpoint_facts(checkpoint)["facts"]
    scored = scores(read_logits(folder / "measured" / "logits-teacher.npz"))
    return {
        "precision": "fp32",
        "parameters": facts["parameters"],
        "macs": facts["macs"],
        "bytes": (checkpoint / "weights.safetensors").stat().st_size,
        "scores": {fed: brief(found) for fed, found in scored.items()},
    }


def _packaged(run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every network that was scored as a package, and what was measured of activities left out."""
    networks: dict[str, Any] = {}
    left_out: dict[str, Any] = {}
    for stage in run.stages:
        if stage.verb != "evaluate" or stage.model is None:
            continue
        result, (key, _, fed) = read_json(stage.products[0]), stage.model.partition(".")
        package, precision = Path(stage.positional["package"]), result["precision"]
        manifest = read_json(package / "manifest.json")
        graphs = [package / f"{part}.{precision}.onnx" for part in ("encoder", "head")]
        facts: dict[str, Any] = {
            "precision": precision,
            "parameters": manifest["parameters"],
            "macs": manifest["macs"]["window"],
            "bytes": sum(path.stat().st_size for path in graphs),
            "scores": {},
        }
        networks.setdefault(key, facts)["scores"][fed] = brief(result)
        if "faults" in result:
            networks[key]["faults"] = result["faults"]
        left_out |= {key: result[key] for key in LEAVING_OUT if key in result}
    return networks, left_out


def _labels(run: Run) -> list[dict[str, Any]]:
    """The score of every fine-tuning and distillation on a share of the labels."""
    entries: list[dict[str, Any]] = []
    for stage in run.stages:
        if stage.verb not in ("finetune", "distill") or stage.checkpoint is None:
            continue
        facts = checkpoint_facts(stage.checkpoint)["facts"]
        options, found = facts["options"], facts["evaluation"]
        student = stage.verb == "distill"
        training: dict[str, Any] = {}
        if student:
            training["distilled"] = not stage.name.endswith("-alone")
            # Older checkpoints lack it.
            training["pseudo_labels"] = options["distill"].get("pseudo_labels", NO_PSEUDO_LABELS)
        entries.append(
            {
                "network": "student" if student else "teacher",
                "share": options["distill" if student else "labels"]["label_share"],
                "draw": options["distill" if student else "labels"]["label_draw"],
                "seed": options["seed"],
                **training,
                "pretrained": student or options["pretrained"] is not None,
                "train_windows": facts["labelled_windows" if student else "train_windows"],
                **{key: found[key] for key in COUNTED},
            }
        )
    return entries


def _pruned(run: Run) -> list[dict[str, Any]]:
    """Cost and score of every pruning."""
    entries: list[dict[str, Any]] = []
    for stage in run.stages:
        if stage.verb != "prune" or stage.checkpoint is None:
            continue
        facts = checkpoint_facts(stage.checkpoint)["facts"]
        options = facts["options"]
        kept = ("needs", "parameters", "macs", "macs_before", "updates", "agreement_removed", "agreement_recovered")
        entries.append(
            {
                "network": Path(options["checkpoint"]).name,
                "kept": options["macs"],
                "source": options["inputs"]["source"],
                "criterion": options["criterion"],
                "seconds": round(facts["seconds"], 1),
                **{key: facts[key] for key in kept},
                **{key: facts["evaluation"][key] for key in COUNTED},
                "removed": {key: facts["evaluation_removed"][key] for key in COUNTED},
            }
        )
    return entries


def _trained(run: Run, *more: tuple[str, str]) -> dict[str, Any]:
    """Teacher, student and `more` (folder, name) with the scores of their training stages."""
    networks: dict[str, Any] = {}
    for folder, name in (("teacher", "teacher"), ("student", "student-fp32"), *more):
        facts = checkpoint_facts(run.folder / folder)["facts"]
        size = (run.folder / folder / "weights.safetensors").stat().st_size
        scores = {sensor_set_name(run.data.modalities): brief(facts["evaluation"])}
        networks[name] = {
            "precision": "fp32", "parameters": facts["parameters"], "macs": facts["macs"], "bytes": size,
            "scores": scores,
        }  # fmt: skip
    return networks


def _pipeline(results: dict[str, Any]) -> dict[str, Any]:
    """The networks of a pipeline run: parameters, score, and seconds of all trainings up to the network's."""
    stages: list[dict[str, Any]] = results["stages"]

    def trains(stage: dict[str, Any]) -> bool:
        return stage["name"] in TRAININGS or stage["name"].startswith(TRIAL)

    parameters = {stage["name"]: stage["parameters"] for stage in stages if "parameters" in stage}
    networks: dict[str, Any] = {}
    for name, exported, trained in (
        ("teacher", "finetune", "finetune"),
        ("student-fp32", "export", "distill"),
        ("student", "export", "distill"),
    ):
        score = results["evaluation"]["student-int8" if name == "student" else name.removesuffix("-fp32")]
        last = next(number for number, stage in enumerate(stages) if stage["name"] == trained)
        networks[name] = {
            "parameters": parameters[exported],
            "seconds": sum(stage["seconds"] for stage in stages[: last + 1] if trains(stage)),
            "score": _compared(score),
        }
    return networks


def _compared(score: Mapping[str, Any]) -> dict[str, Any]:
    return {key: score[key] for key in COMPARED if key in score}


def _strangers(run: Run) -> dict[str, Any]:
    """A baseline, or the networks of the default pipeline and what it chose, with all sensors of the run."""
    (stage,) = run.stages
    document = read_json(stage.products[0])
    if method_of(stage) == PIPELINE:
        models = _pipeline(document)
        windows = models["student"]["score"]["total"]
        return {"models": models, "choices": document["choices"], "test_windows": windows}
    score = _compared(next(iter(document["scores"].values())))  # with all sensors
    facts = {key: document[key] for key in ("parameters", "seconds", "fitted_windows")}
    return {"models": {method_of(stage): facts | {"score": score}}, "test_windows": score["total"]}


def collect(run: Run) -> dict[str, Any]:
    """The results of a run: networks, labels, baselines, models or unknown, and the number of scored windows."""
    match run.suite:
        case "labels":
            labels = _labels(run)
            return {"labels": labels, "test_windows": labels[0]["total"]}
        case "baselines":
            documents = {stage.positional["kind"]: read_json(stage.products[0]) for stage in run.stages}
            baselines = {
                kind: {key: document[key] for key in ("parameters", "macs", "seconds")}
                | {"scores": {fed: brief(found) for fed, found in document["scores"].items()}}
                for kind, document in documents.items()
            }
            every = [found for baseline in baselines.values() for found in baseline["scores"].values()]
            return {"baselines": baselines, "test_windows": every[0]["total"]}
        case "strangers":
            return _strangers(run)
        case "transfer":
            return collect_transfer(run.stages)
        case "distillation":
            networks = _trained(run, ("student-alone", "student-alone"))
            (score,) = networks["teacher"]["scores"].values()
            return {"networks": networks, "test_windows": score["total"]}
        case "compression" | "compression-teacher" | "ablation":
            networks = _trained(run) | _packaged(run)[0]
            pruned = _pruned(run)
            return {"networks": networks, "pruned": pruned, "test_windows": pruned[0]["total"]}
        case _:
            networks, left_out = _packaged(run)
            teacher = _teacher(run.folder)
            windows = next(iter(teacher["scores"].values()))["total"]
            found: dict[str, Any] = {"networks": {"teacher": teacher, **networks}, "test_windows": windows}
            return found | left_out


def train_windows(dataset: Dataset, split: Split) -> int:
    """Labelled windows of the training subjects."""
    clips = split.train_clips(dataset.clips)
    return len(cut(clips, dataset.info, Normalisation.identity(dataset.info.modalities)).labelled())
