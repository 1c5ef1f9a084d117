"""The sections of a report: results of a run in, HTML out, or nothing where there is nothing to show."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from edgehar.errors import DataError
from edgehar.report import plots
from edgehar.report.page import decimal, definitions, duration, escaped, image, percent, table, whole

Entry: TypeAlias = dict[str, Any]
MODELS = {
    "teacher": "teacher, fp32",
    "student": "student, fp32",
    "student-int8": "student, INT8",
    "pruned": "pruned student, fp32",
    "pruned-int8": "pruned student, INT8",
}


def entry_of(parent: Entry, name: str) -> Entry:
    """An object inside an object, empty if it is not there; TypeError if it is something else."""
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"{name!r} holds {value!r:.40}, expected an object")
    return cast(Entry, value)


def list_of(parent: Entry, name: str) -> list[Any]:
    """A list inside an object, empty if it is not there; TypeError if it is something else."""
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(f"{name!r} holds {value!r:.40}, expected a list")
    return cast(list[Any], value)


def title_of(model: str) -> str:
    """A model's name for people."""
    return MODELS.get(model, model)


def counted(score: Entry) -> str:
    """Correct of total: 421 / 430."""
    return f"{whole(score['correct'])} / {whole(score['total'])}" if score else ""


def share_of(score: Entry) -> str:
    """Correct of total in percent."""
    return percent(score["correct"] / score["total"]) if score and score["total"] else ""


def headline(results: Entry, run: Path) -> str:
    """The delivered model's accuracy in large type, then every model beside it."""
    data, scores = entry_of(results, "dataset"), entry_of(results, "evaluation")
    about = [f"split {data['split']}"] if "split" in data else []
    about += [f"{len(list_of(data, 'labels'))} activities"] if "labels" in data else []
    about += [" + ".join(list_of(data, "modalities"))] if "modalities" in data else []
    words = f"<h1>{escaped(data.get('name', 'Results'))}</h1>\n"
    words += f'<p class="note">{escaped(", ".join(about))}</p>\n' if about else ""
    delivered = str(results.get("delivered", ""))
    rows: list[list[str]] = []
    for name in scores:
        score = entry_of(scores, name)
        low, high = score["wilson95"]
        interval = f"{percent(low)} to {percent(high)}"
        if name == delivered:
            words += (
                f'<p class="figure">{percent(score["accuracy"])}</p>\n<p>of the windows of people it never saw are '
                f"recognised by the delivered model ({escaped(title_of(name))}): {whole(score['correct'])} of "
                f"{whole(score['total'])}; 95 % interval {interval}.</p>\n"
            )
        macro_f1 = percent(score["macro_f1"]) if "macro_f1" in score else ""
        rows.append([title_of(name), percent(score["accuracy"]), counted(score), interval, macro_f1])
    head = ("model", "accuracy", "correct / windows", "95 % interval (Wilson)", "macro F1")
    stressed = list(scores).index(delivered) if delivered in scores else None
    return words + (table(head, rows, stressed) if rows else "")


def stages(results: Entry, run: Path) -> str:
    """What each stage cost and what came out of it."""
    scores = entry_of(results, "evaluation")
    rows: list[list[str]] = []
    for stage in list_of(results, "stages"):
        costs = [whole(stage[key]) if stage.get(key) is not None else "" for key in ("parameters", "macs", "bytes")]
        time = duration(stage["seconds"]) + (", kept from before" if stage.get("skipped") else "")
        rows.append([str(stage["name"]), time, *costs, counted(entry_of(scores, str(stage.get("model"))))])
    head = ("stage", "time", "parameters", "multiply-adds per window", "bytes", "correct / windows")
    return "<h2>Stages</h2>\n" + table(head, rows) if rows else ""


def curves(results: Entry, run: Path) -> str:
    """How training went: every quantity of every stage's history."""
    pieces: list[str] = []
    for stage in list_of(results, "stages"):
        series: dict[str, list[tuple[float, float]]] = {}
        for point in list_of(stage, "history"):
            for name, value in point.items():
                if name != "update" and value is not None:
                    series.setdefault(name, []).append((float(point["update"]), float(value)))
        pictures: list[str] = []
        for name, points in series.items():
            updates, values = zip(*points, strict=True)
            quantity = name.replace("_", " ")
            said = f"{quantity}: {decimal(values[0])} to {decimal(values[-1])} at update {whole(updates[-1])}"
            pictures.append(image(plots.curve(updates, values, quantity), f"{stage['name']}, {said}", said))
        if pictures:
            pieces.append(f'<h3>{escaped(stage["name"])}</h3>\n<div class="grid">\n{"".join(pictures)}</div>\n')
    return "<h2>Training</h2>\n" + "".join(pieces) if pieces else ""


def confusion(results: Entry, run: Path) -> str:
    """Which activities the delivered model takes for which."""
    score = entry_of(entry_of(results, "evaluation"), str(results.get("delivered")))
    labels = [str(label) for label in list_of(entry_of(results, "dataset"), "labels")]
    words = ""
    if list_of(score, "confusion") and labels:
        counts = np.asarray(score["confusion"], np.int64)  # (K, K)
        picture = plots.confusion_matrix(counts, labels)
        pairs = [(int(true), int(taken)) for true, taken in np.argwhere(counts) if true != taken]
        pairs.sort(key=lambda pair: -int(counts[pair]))
        said = "; ".join(
            f"{labels[true]} taken for {labels[taken]}: {counts[true, taken]} of {counts[true].sum()}"
            for true, taken in pairs[:10]
        )
        words += f"<p>Most frequent: {escaped(said)}.</p>\n" if said else "<p>No window is taken for another.</p>\n"
        words += image(
            picture,
            f"Confusion matrix of {len(labels)} activities; most frequent confusions: {said or 'none'}",
            "Windows of the delivered model; a row is a true activity, darker is a larger share of the row.",
            width_rem=min(7 + 1.75 * len(labels), 58),
        )
    classes = entry_of(score, "per_class")
    rows = [(name, counted(entry_of(classes, name)), share_of(entry_of(classes, name))) for name in classes]
    if rows:
        listed = table(("activity", "correct / windows", "share"), rows)
        words += f"<details><summary>Every activity in figures</summary>\n{listed}</details>\n"
    return f"<h2>What is taken for what</h2>\n{words}" if words else ""


def subjects(results: Entry, run: Path) -> str:
    """Accuracy for each person of the test, by model: an average hides who is left out."""
    scores = entry_of(results, "evaluation")
    columns = {name: entry_of(entry_of(scores, name), "per_subject") for name in scores}
    columns = {name: column for name, column in columns.items() if column}
    people = dict.fromkeys(subject for column in columns.values() for subject in column)
    rows: list[list[str]] = []
    for subject in people:
        cells = [entry_of(column, subject) for column in columns.values()]
        rows.append([subject, *(f"{counted(cell)} = {share_of(cell)}" if cell else "" for cell in cells)])
    return "<h2>Person by person</h2>\n" + table(["subject", *map(title_of, columns)], rows) if rows else ""


def benchmark(results: Entry, run: Path) -> str:
    """Speed and memory as measured on the machine named."""
    measured = entry_of(results, "benchmark")
    rows = [
        (
            str(row.get("what", "")),
            str(row.get("precision", "")),
            *(decimal(row[key]) if row.get(key) is not None else "" for key in ("median_ms", "p95_ms", "p99_ms")),
        )
        for row in list_of(measured, "results")
    ]
    words = table(("what", "precision", "median ms", "p95 ms", "p99 ms"), rows) if rows else ""
    words += definitions((name, plain(value)) for name, value in measured.items() if name != "results")
    return f"<h2>Speed</h2>\n{words}" if words else ""


def plain(value: Any) -> str:
    """A free-form value in one line."""
    if isinstance(value, dict):
        inner = cast(Entry, value)
        return ", ".join(f"{name.replace('_', ' ')}: {plain(part)}" for name, part in inner.items())
    if isinstance(value, list):
        return ", ".join(plain(part) for part in cast(list[Any], value))
    if isinstance(value, float):
        return decimal(value)
    return "" if value is None else str(value)


def example(results: Entry, run: Path) -> str:
    """One recording of the test as poses, with what the model says of it."""
    chosen = entry_of(results, "example")
    if not chosen:
        return ""
    verdict = "rightly" if chosen["predicted"] == chosen["label"] else f"but it is {chosen['label']}"
    said = f"Recognised as {chosen['predicted']} with probability {chosen['score']:.3f}, {verdict}."
    words = f"<h2>One example</h2>\n<p>{escaped(said)}</p>\n"
    if not chosen.get("file"):
        return words
    path = run / Path(chosen["file"]).name
    try:
        with np.load(path, allow_pickle=False) as arrays:
            frames, parents = np.asarray(arrays["frames"], np.float32), np.asarray(arrays["parents"], np.int64)
            vertical = int(arrays["vertical"])
    except (OSError, KeyError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as problem:
        raise DataError(
            f"{path}: not a readable example ({problem}); expected arrays frames, parents and vertical; "
            "run the pipeline again"
        ) from None
    strip = plots.skeleton_strip(frames, parents, vertical)
    return words + image(strip, f"Stick figures of one recording, {len(frames)} frames. {said}", width_rem=40)


def provenance(results: Entry, run: Path) -> str:
    """How the page's figures were made, so that they can be made again."""
    data = entry_of(results, "dataset")
    windows = [f"{whole(data[f'{side}_windows'])} {side}" for side in ("train", "test") if f"{side}_windows" in data]
    words = definitions(
        [
            *((name, plain(results.get(name))) for name in ("command", "preset", "seed", "date")),
            ("protocol", plain(results.get("protocol"))),
            ("split", plain(data.get("split"))),
            ("trained on subjects", plain(data.get("train_subjects"))),
            ("tested on subjects", plain(data.get("test_subjects"))),
            ("windows", ", ".join(windows)),
            ("recordings", plain(data.get("citation"))),
            ("versions", ", ".join(f"{name} {version}" for name, version in entry_of(results, "versions").items())),
            ("git commit", plain(results.get("git_commit"))),
            ("peak memory, MB", plain(results.get("peak_resident_mb"))),
        ]
    )
    commands = definitions((plain(stage["name"]), plain(stage.get("command"))) for stage in list_of(results, "stages"))
    if commands:
        words += f"<details><summary>Stage by stage</summary>\n{commands}</details>\n"
    return f"<h2>How it was made</h2>\n{words}" if words else ""


def caveats(results: Entry, run: Path) -> str:
    """What to bear in mind when quoting a figure of this page."""
    listed = "".join(f"<li>{escaped(text)}</li>\n" for text in list_of(entry_of(results, "dataset"), "caveats"))
    return f"<h2>To bear in mind</h2>\n<ul>\n{listed}</ul>\n" if listed else ""


SECTIONS: dict[str, Callable[[Entry, Path], str]] = {
    "headline": headline,
    "stages": stages,
    "training curves": curves,
    "confusion matrix": confusion,
    "figures per subject": subjects,
    "benchmark": benchmark,
    "example": example,
    "provenance": provenance,
    "caveats": caveats,
}
