"""A table for every suite, and for every single run of the pipeline."""

import statistics
from pathlib import Path
from typing import Any

from edgehar.experiments.suite.plan import SHARING
from edgehar.signals.faults import CATEGORIES
from tools.result_figures import Counts, Run, by_seed, command, count, fed_all, fine_tunings, seeds_note, spread

MODELS = {
    "teacher": ("teacher", "finetune"),
    "student": ("student, fp32", "export"),
    "student-int8": ("student, INT8", "export"),
    "pruned": ("pruned without data, fp32", "export-pruned"),
    "pruned-int8": ("pruned without data, INT8", "export-pruned"),
}
NETWORKS = {
    "teacher": "teacher", "student-fp32": "student, fp32", "student": "student, INT8", "nano": "nano student, INT8",
}  # fmt: skip
METHODS = {"nearest": "nearest neighbour", "minirocket": "MiniRocket", "lstm": "LSTM", "tcn": "TCN"}
TRAININGS = ("pretrain", "finetune", "distill", "nano")


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Markdown lines."""
    head, *body = (f"| {' | '.join(row)} |" for row in (heads, *rows))
    return [head, "|" + "---|" * len(heads), *body]


def notes(runs: list[Run]) -> list[str]:
    """What gives the table again, and from how many seeds it is."""
    return ["", f"{command(runs)} · {seeds_note(runs)}"]


def pipeline_section(name: str, run: Run) -> list[str]:
    """Heading, table and command of one run of `edgehar pipeline`."""
    data, stages = run["dataset"], {stage["name"]: stage for stage in run["stages"]}
    minutes = sum(stage["seconds"] for stage in run["stages"]) / 60
    rows: list[list[str]] = []
    for key, score in run["evaluation"].items():
        title, stage = MODELS[key]
        facts = stages[stage]
        quantised = stages["quantize" + stage.removeprefix("export")] if key.endswith("int8") else facts
        counts = Counts((score["correct"],), score["total"])
        rows.append(
            [
                title,
                f"{score['correct']}/{score['total']}",
                counts.percent,
                counts.interval,
                f"{100 * score['macro_f1']:.2f}",
                f"{facts['parameters']:,}",
                f"{facts['macs'] / 1e6:.2f} M",
                f"{quantised['bytes'] / 1000:,.0f} kB",
            ]
        )
    heads = ["network", "right", "%", "95 % interval", "macro F1", "parameters", "multiply-adds", "bytes"]
    peak = run["peak_resident_mb"]
    resident = "" if peak is None else f", {peak:,} MB resident"
    return [
        f"### {data['name']}, {' + '.join(data['modalities'])}, {data['split']}",
        "",
        f"Trained on subjects {', '.join(data['train_subjects'])}; tested on {', '.join(data['test_subjects'])}.",
        "",
        *table(heads, rows),
        "",
        f"`{run['command']}` · seed {run['seed']} · {minutes:.1f} minutes{resident} · "
        f"{run['date'][:10]} · [{name}.json](docs/results/{name}.json)",
        *(line for caveat in data["caveats"] for line in ("", caveat)),
    ]


def networks_table(runs: list[Run]) -> list[str]:
    """Every network and every set of sensors, seed by seed."""
    rows: list[list[str]] = []
    for key, title in NETWORKS.items():
        if any(key not in run["networks"] for run in runs):
            continue
        first = runs[0]["networks"][key]
        for fed in first["scores"]:
            scores = [run["networks"][key]["scores"][fed] for run in runs]
            counts = count(scores)
            rows.append(
                [
                    title,
                    fed.replace("+", " + "),
                    counts.right,
                    counts.percent,
                    counts.interval,
                    spread([100 * score["macro_f1"] for score in scores]),
                    f"{100 * statistics.fmean(score['ece'] for score in scores):.2f}",
                    f"{first['macs'] / 1e6:.2f} M",
                    f"{first['bytes'] / 1000:,.0f} kB",
                ]
            )
    heads = ["network", "fed", "right", "%", "95 % interval", "macro F1", "ECE, %", "multiply-adds", "bytes"]
    return table(heads, rows)


def subjects_table(runs: list[Run]) -> list[str]:
    """A row per network, sensors and seed, a column per test set; then all sets together."""
    sets = list(dict.fromkeys(run["dataset"]["split"] for run in runs))
    rows: list[list[str]] = []
    for key, title in NETWORKS.items():
        for seed, part in by_seed(runs).items():
            found = {run["dataset"]["split"]: run["networks"][key]["scores"] for run in part if key in run["networks"]}
            for fed in next(iter(found.values()), {}):
                scores = {name: of_set[fed] for name, of_set in found.items()}
                cells = [
                    f"{scores[name]['correct']}/{scores[name]['total']}" if name in scores else "" for name in sets
                ]
                right, asked = (sum(score[what] for score in scores.values()) for what in ("correct", "total"))
                macro_f1 = spread([100 * score["macro_f1"] for score in scores.values()])
                percent = f"{100 * right / asked:.2f}"
                rows.append([f"{title}, seed {seed}", fed.replace("+", " + "), *cells, percent, macro_f1])
    columns = [name.partition(":")[2] for name in sets]
    return table(["network", "fed", *columns, "all, %", "macro F1, mean of these"], rows)


def robustness_table(runs: list[Run], published: dict[str, Any]) -> list[str]:
    """Means of the categories beside the published ones, in percent."""
    keys = [key for key in ("student", "nano") if all("faults" in run["networks"].get(key, {}) for run in runs)]
    comparable = runs[0]["dataset"]["split"] == published.get("split")
    others: list[dict[str, Any]] = published.get("robustness", []) if comparable else []
    rows: list[list[str]] = []
    for category in (*CATEGORIES, "overall"):
        found = [[run["networks"][key]["faults"] for run in runs] for key in keys]
        ours = [
            spread([100 * (one["overall"] if category == "overall" else one["categories"][category]) for one in part])
            for part in found
        ]
        theirs = [f"{other[category]:.2f}" if category in other else "" for other in others]
        cells = [category, *ours, *theirs]
        rows.append([f"**{cell}**" if cell else "" for cell in cells] if category == "overall" else cells)
    return table(["%", *(NETWORKS[key] for key in keys), *(other["method"] for other in others)], rows)


def scenarios_table(runs: list[Run]) -> list[str]:
    """Every scenario's count over the seeds."""
    keys = [key for key in ("student", "nano") if all("faults" in run["networks"].get(key, {}) for run in runs)]
    rows: list[list[str]] = []
    for place, scenario in enumerate(runs[0]["networks"][keys[0]]["faults"]["scenarios"]):
        cells: list[str] = []
        for key in keys:
            counts = count(run["networks"][key]["faults"]["scenarios"][place] for run in runs)
            cells += [counts.percent, counts.right]
        rows.append([scenario["name"], *cells])
    return table(["scenario", *(head for key in keys for head in (f"{NETWORKS[key]}, %", "right"))], rows)


def labels_table(runs: list[Run]) -> list[str]:
    """Accuracy by share of the labels, with and without pretraining, and what pretraining gains."""
    entries = fine_tunings(runs)
    rows: list[list[str]] = []
    for share in sorted({entry["share"] for entry in entries}):
        chosen = [entry for entry in entries if entry["share"] == share]
        groups = [[entry for entry in chosen if entry["pretrained"] is given] for given in (True, False)]
        percents = [[100 * entry["accuracy"] for entry in group] for group in groups]
        gains = [statistics.fmean(one) if one else float("nan") for one in percents]
        rows.append(
            [
                f"{100 * share:g} %",
                f"{chosen[0]['train_windows']:,}",
                *(spread(one) if one else "" for one in percents),
                f"{gains[0] - gains[1]:+.2f}" if all(percents) else "",
                ", ".join(str(entry["correct"]) for entry in groups[0]),
                f"{', '.join(str(entry['correct']) for entry in groups[1])} of {chosen[0]['total']:,}",
            ]
        )
    heads = [
        "labels",
        "windows",
        "pretrained, %",
        "from scratch, %",
        "gain, points",
        "right, pretrained",
        "from scratch",
    ]
    return table(heads, rows)


def taught_table(runs: list[Run], labels: list[Run]) -> list[str]:
    """The student with and without its teacher: on all labels by seed, on shares of them by draw."""
    rows: list[list[str]] = []

    def compare(what: str, windows: int, distilled: Counts, alone: Counts) -> None:
        gain = statistics.fmean(distilled.correct) - statistics.fmean(alone.correct)
        cells = (distilled.percent, alone.percent, f"{100 * gain / distilled.total:+.2f}", distilled.right, alone.right)
        rows.append([what, f"{windows:,}", *cells])

    entries = [entry for run in labels for entry in run["labels"] if entry.get("network") == "student"]
    for share in sorted({entry["share"] for entry in entries}):
        chosen = [entry for entry in entries if entry["share"] == share]
        taught, alone = ([entry for entry in chosen if entry["distilled"] is given] for given in (True, False))
        how = taught[0].get("pseudo_labels", "none")
        what = f"{100 * share:g} %" + (f", pseudo-labels ({how})" if how != "none" else "")
        compare(what, chosen[0]["train_windows"], count(taught), count(alone))
    if runs:
        fed = fed_all(runs[0])
        counts = [
            count(run["networks"][name]["scores"][fed] for run in runs) for name in ("student-fp32", "student-alone")
        ]
        compare("100 %", runs[0]["dataset"]["train_windows"], counts[0], counts[1])
    return table(["labels", "windows", "distilled, %", "labels alone, %", "gain, points", "right", "alone"], rows)


def baselines_table(runs: list[Run], accuracy: list[Run]) -> list[str]:
    """Every baseline under the networks of the accuracy suite, all sensors and each alone."""
    rows: list[list[str]] = []
    for key in ("teacher", "student", "nano"):
        if accuracy and all(key in run["networks"] for run in accuracy):
            first = accuracy[0]["networks"][key]
            counts = count(run["networks"][key]["scores"][fed_all(run)] for run in accuracy)
            fed = fed_all(accuracy[0]).replace("+", " + ")
            size = f"{first['parameters']:,}"
            rows.append([NETWORKS[key], fed, counts.right, counts.percent, counts.interval, size, ""])
    for kind in runs[0]["baselines"]:
        found = [run["baselines"][kind] for run in runs]
        seconds = f"{statistics.fmean(one['seconds'] for one in found):.0f}"
        for fed in found[0]["scores"]:
            counts = count(one["scores"][fed] for one in found)
            size = f"{found[0]['parameters']:,}"
            row = [METHODS.get(kind, kind), fed.replace("+", " + "), counts.right, counts.percent, counts.interval]
            rows.append([*row, size, seconds])
    return table(["method", "fed", "right", "%", "95 % interval", "parameters", "seconds"], rows)


def unknown_table(runs: list[Run]) -> list[str]:
    """What was left out in each draw and how well a low score gives it away."""
    rows: list[list[str]] = []
    for run in runs:
        found, score = run["unknown"], run["networks"]["student"]["scores"][fed_all(run)]
        rows.append(
            [
                str(run["seed"]),
                ", ".join(found["activities"]),
                f"{100 * found['auroc']:.2f}",
                f"{score['correct']}/{score['total']}",
            ]
        )
    return table(["draw", "left out", "AUROC, %", "right of the known"], rows)


def cost_table(suites: dict[str, list[Run]]) -> list[str]:
    """Minutes of every training and of everything else, per run."""
    rows: list[list[str]] = []
    for suite, runs in suites.items():
        sums = [{name: 0.0 for name in (*TRAININGS, "rest")} for _ in runs]
        for total, run in zip(sums, runs, strict=True):
            for stage in run["stages"]:
                if suite in SHARING and stage["name"] in TRAININGS:
                    continue  # counted once, where they were trained
                name = "finetune" if stage["name"].startswith("finetune") else stage["name"]
                total[name if name in TRAININGS else "rest"] += stage["seconds"] / 60
        means = {name: statistics.fmean(total[name] for total in sums) for name in sums[0]}
        peaks = [run["peak_resident_mb"] for run in runs if run["peak_resident_mb"] is not None]
        minutes = [f"{mean:.1f}" if mean else "" for mean in means.values()]
        rows.append([suite, str(len(runs)), *minutes, f"{sum(means.values()):.1f}", f"{max(peaks):,}" if peaks else ""])
    return table(["suite", "runs", *TRAININGS, "rest", "minutes per run", "peak MB"], rows)


def files_line(names: list[str], folder: str = "docs/results") -> str:
    """Links to the files a section was made from."""
    return "Files: " + ", ".join(f"[{Path(name).stem}]({folder}/{name})" for name in names) + "."
