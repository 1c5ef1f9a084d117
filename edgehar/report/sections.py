"""The sections of a report: each turns a run's results into HTML, or an empty text without such results."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from edgehar.report import plots
from edgehar.report.advice import advice, baseline_verdict
from edgehar.report.entries import Entry, counted, entry_of, list_of, share_of, title_of
from edgehar.report.page import decimal, definitions, duration, escaped, image, integer, percent, table
from edgehar.report.people import people
from edgehar.report.recordings import example, signals


def headline(results: Entry, folder: Path) -> str:
    """The delivered model's accuracy, and a table of all models."""
    data, scores = entry_of(results, "dataset"), entry_of(results, "evaluation")
    description = [f"split {data['split']}"] if "split" in data else []
    description += [f"{len(list_of(data, 'labels'))} activities"] if "labels" in data else []
    description += [" + ".join(list_of(data, "modalities"))] if "modalities" in data else []
    text = f"<h1>{escaped(data.get('name', 'Results'))}</h1>\n"
    text += f'<p class="note">{escaped(", ".join(description))}</p>\n' if description else ""
    delivered = str(results.get("delivered", ""))
    tested = (
        "recordings of the same people, not in training" if "train_recordings" in data else "subjects not in training"
    )
    rows: list[list[str]] = []
    for name in scores:
        score = entry_of(scores, name)
        low, high = score["wilson95"]
        interval = f"{percent(low)} to {percent(high)}"
        if name == delivered:
            text += (
                f'<p class="figure">{percent(score["accuracy"])}</p>\n<p>accuracy of the delivered model '
                f"({escaped(title_of(name))}) on {tested}: {integer(score['correct'])} of "
                f"{integer(score['total'])} windows; 95 % interval {interval}.</p>\n"
            )
        macro_f1 = percent(score["macro_f1"]) if "macro_f1" in score else ""
        whole = entry_of(score, "recordings")
        recordings = f"{counted(whole)} = {share_of(whole)}" if whole else ""
        rows.append([title_of(name), percent(score["accuracy"]), counted(score), interval, macro_f1, recordings])
    head = ("model", "accuracy", "correct / windows", "95 % interval (Wilson)", "macro F1", "correct / recordings")
    highlighted = list(scores).index(delivered) if delivered in scores else None
    text += table(head, rows, highlighted) if rows else ""
    return text + "".join(f"<p>{escaped(sentence)}</p>\n" for sentence in baseline_verdict(results))


def record_more(results: Entry, folder: Path) -> str:
    """What to record more of."""
    listed = "".join(f"<li>{escaped(sentence)}</li>\n" for sentence in advice(results))
    return f"<h2>What to record more of</h2>\n<ul>\n{listed}</ul>\n" if listed else ""


def choices(results: Entry, folder: Path) -> str:
    """What was chosen by the training recordings, and why."""
    found = [(str(one["name"]), f"{one['value']}. {one['reason']}") for one in list_of(results, "choices")]
    return "<h2>Choices</h2>\n" + definitions(found) if found else ""


def stages(results: Entry, folder: Path) -> str:
    """Time, size and accuracy of each stage."""
    scores = entry_of(results, "evaluation")
    rows: list[list[str]] = []
    for stage in list_of(results, "stages"):
        costs = [integer(stage[key]) if stage.get(key) is not None else "" for key in ("parameters", "macs", "bytes")]
        time = duration(stage["seconds"]) + (", from an earlier run" if stage.get("skipped") else "")
        time = "not run" if "failed" in stage else time
        rows.append([str(stage["name"]), time, *costs, counted(entry_of(scores, str(stage.get("model"))))])
    head = ("stage", "time", "parameters", "multiply-adds per window", "bytes", "correct / windows")
    return "<h2>Stages</h2>\n" + table(head, rows) if rows else ""


def curves(results: Entry, folder: Path) -> str:
    """Training curves of each stage."""
    parts: list[str] = []
    for stage in list_of(results, "stages"):
        series: dict[str, list[tuple[float, float]]] = {}
        for point in list_of(stage, "history"):
            for name, value in point.items():
                if name != "update" and value is not None:
                    series.setdefault(name, []).append((float(point["update"]), float(value)))
        plotted: list[str] = []
        for name, points in series.items():
            updates, values = zip(*points, strict=True)
            quantity = name.replace("_", " ")
            caption = f"{quantity}: {decimal(values[0])} to {decimal(values[-1])} at update {integer(updates[-1])}"
            plotted.append(image(plots.curve(updates, values, quantity), f"{stage['name']}, {caption}", caption))
        if plotted:
            parts.append(f'<h3>{escaped(stage["name"])}</h3>\n<div class="grid">\n{"".join(plotted)}</div>\n')
    return "<h2>Training curves</h2>\n" + "".join(parts) if parts else ""


def confusion(results: Entry, folder: Path) -> str:
    """Confusion matrix and accuracy per class of the delivered model."""
    score = entry_of(entry_of(results, "evaluation"), str(results.get("delivered")))
    labels = [str(label) for label in list_of(entry_of(results, "dataset"), "labels")]
    text = ""
    if list_of(score, "confused"):
        pairs = sorted(list_of(score, "confused"), key=lambda pair: -int(pair["count"]))
        errors = "; ".join(f"{pair['true']} predicted as {pair['predicted']}: {pair['count']}" for pair in pairs[:10])
        large = f"<p>The matrix of {len(labels)} activities is too large to draw."
        text += f"{large} Most frequent errors: {escaped(errors)}.</p>\n"
    if list_of(score, "confusion") and labels:
        counts = np.asarray(score["confusion"], np.int64)  # (K, K)
        plot = plots.confusion_matrix(counts, labels)
        pairs = [(int(true), int(predicted)) for true, predicted in np.argwhere(counts) if true != predicted]
        pairs.sort(key=lambda pair: -int(counts[pair]))
        errors = "; ".join(
            f"{labels[true]} predicted as {labels[predicted]}: {counts[true, predicted]} of {counts[true].sum()}"
            for true, predicted in pairs[:10]
        )
        text += f"<p>Most frequent errors: {escaped(errors)}.</p>\n" if errors else "<p>No errors.</p>\n"
        text += image(
            plot,
            f"Confusion matrix of {len(labels)} activities; most frequent errors: {errors or 'none'}",
            "Windows of the delivered model. Rows: true activity; a darker cell is a larger share of its row.",
            width_rem=min(7 + 1.75 * len(labels), 58),
        )
    classes = entry_of(score, "per_class")
    rows = [(name, counted(entry_of(classes, name)), share_of(entry_of(classes, name))) for name in classes]
    if rows:
        listed = table(("activity", "correct / windows", "accuracy"), rows)
        text += f"<details><summary>Accuracy per activity</summary>\n{listed}</details>\n"
    return f"<h2>Confusion matrix</h2>\n{text}" if text else ""


def benchmark(results: Entry, folder: Path) -> str:
    """Latency and memory, with the machine they were measured on."""
    measured = entry_of(results, "benchmark")
    rows = [
        (
            str(row.get("what", "")),
            str(row.get("precision", "")),
            *(decimal(row[key]) if row.get(key) is not None else "" for key in ("median_ms", "p95_ms", "p99_ms")),
        )
        for row in list_of(measured, "results")
    ]
    text = table(("measurement", "precision", "median ms", "p95 ms", "p99 ms"), rows) if rows else ""
    text += definitions((name, plain(value)) for name, value in measured.items() if name != "results")
    return f"<h2>Latency and memory</h2>\n{text}" if text else ""


def plain(value: Any) -> str:
    """A JSON value as one line of text."""
    if isinstance(value, dict):
        inner = cast(Entry, value)
        return ", ".join(f"{name.replace('_', ' ')}: {plain(part)}" for name, part in inner.items())
    if isinstance(value, list):
        return ", ".join(plain(part) for part in cast(list[Any], value))
    if isinstance(value, float):
        return decimal(value)
    return "" if value is None else str(value)


def provenance(results: Entry, folder: Path) -> str:
    """Command, data, versions and commit: what reproduces the results."""
    data = entry_of(results, "dataset")
    windows = [f"{integer(data[f'{side}_windows'])} {side}" for side in ("train", "test") if f"{side}_windows" in data]
    text = definitions(
        [
            *((name, plain(results.get(name))) for name in ("command", "preset", "seed", "date")),
            ("protocol", plain(results.get("protocol"))),
            ("split", plain(data.get("split"))),
            ("training subjects", plain(data.get("train_subjects"))),
            ("test subjects", plain(data.get("test_subjects"))),
            ("windows", ", ".join(windows)),
            ("recordings", plain(data.get("citation"))),
            ("versions", ", ".join(f"{name} {version}" for name, version in entry_of(results, "versions").items())),
            ("git commit", plain(results.get("git_commit"))),
            ("peak memory, MB", plain(results.get("peak_resident_mb"))),
        ]
    )
    commands = definitions((plain(stage["name"]), plain(stage.get("command"))) for stage in list_of(results, "stages"))
    if commands:
        text += f"<details><summary>Command of each stage</summary>\n{commands}</details>\n"
    return f"<h2>Reproducibility</h2>\n{text}" if text else ""


def limitations(results: Entry, folder: Path) -> str:
    """Limitations of the data set."""
    listed = "".join(f"<li>{escaped(text)}</li>\n" for text in list_of(entry_of(results, "dataset"), "caveats"))
    return f"<h2>Limitations</h2>\n<ul>\n{listed}</ul>\n" if listed else ""


SECTIONS: dict[str, Callable[[Entry, Path], str]] = {
    "headline": headline,
    "choices": choices,
    "stages": stages,
    "training curves": curves,
    "confusion matrix": confusion,
    "people": people,
    "advice": record_more,
    "example": example,
    "signals": signals,
    "benchmark": benchmark,
    "provenance": provenance,
    "limitations": limitations,
}
