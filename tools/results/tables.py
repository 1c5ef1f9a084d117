"""The list of all tables: result files, rows, columns, figure and note of each."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgehar.experiments.suite.options import SEEDS
from tools.results.records import Column, Record, Run, correct, interval, mean, percent, pooled, spread

INT8 = ("student, INT8", "nano student, INT8")
TIME = "{median_ms:.3f} ({p95_ms:.3f}, {p99_ms:.3f})"
PSEUDO_LABELS = (
    "Pseudo-labels (equal): the teachers label the other training windows under the constraint that every subject "
    "performs every activity equally often; training on labels alone does not use this information."
)


@dataclass(frozen=True)
class Table:
    """One table, with a row for every combination of values of some fields; or rows of a data set's summary.

    Attributes:
        title: heading, with the group's name for {0}; in the summary the figure, with fields of a row's first record.
        suites: suites, or format of a measurement, that it shows; groups without the last one do not have it.
        by: fields that tell its rows apart; empty: every record is a row.
        columns: heading -> column. One with a * is repeated for every value of `pivot`, on the records with it.
        kind: kind of the records.
        where: which of them.
        pivot: field.
        published: key of the comparable figures in published.json, which follow the columns.
        figure: kind of the figure below it, see `figures.py`.
        note: text below it, or a function of the first file.
        pool: whether the test sets of a seed are one score.
    """

    title: str
    suites: tuple[str, ...]
    by: tuple[str, ...]
    columns: dict[str, Column]
    kind: str = "network"
    where: Callable[[Record], bool] = lambda record: True
    pivot: str = ""
    published: str = ""
    figure: str = ""
    note: str | Callable[[Run], str] = ""
    pool: bool = False


def _labels(row: list[Record]) -> str:
    """Share of the labels, and how pseudo-labels for the other windows were made."""
    method = row[0].get("pseudo_labels", "none")
    return f"{row[0]['share_percent']:g} %" + (f", pseudo-labels ({method})" if method != "none" else "")


def _gain(row: list[Record]) -> str:
    """Percentage points by which the first way to train is better than the second."""
    first = ("pretrained", "distilled")
    arms = [[100 * one["accuracy"] for one in row if (one["arm"] in first) is it] for it in (True, False)]
    return f"{statistics.fmean(arms[0]) - statistics.fmean(arms[1]):+.2f}" if all(arms) else ""


def _regained(row: list[Record]) -> str:
    """Share of the accuracy regained by recovery with recordings that this recovery regains, in percent."""
    if row[0]["recordings"] is None or row[0]["source"] == "recordings":
        return ""
    both = row, [record["recordings"] for record in row]
    ours, theirs = (statistics.fmean(one["accuracy"] - one["removed"]["accuracy"] for one in some) for some in both)
    return f"{100 * ours / theirs:.0f}" if theirs > 0 else ""


def _counts(field: str) -> Column:
    return lambda row: ", ".join(f"{name} {count:,}" for name, count in row[0][field].items())


def _peak_memory(row: list[Record]) -> str:
    """Peak resident memory, which older results lack."""
    peak = row[0].get("peak_resident_bytes")
    return "" if peak is None else f"{peak / 1e6:.0f} MB"


def _machine(run: Run) -> str:
    device = run["device"] | {"where": run["device"]["board"] or run["device"]["cpu"]}
    text = "{where}, {system}, Python {python}, numpy {numpy}, onnxruntime {onnxruntime}".format_map(device)
    text += f", LiteRT {device['litert']}." if device.get("litert") else "."
    return " ".join([text, *(f"Warning: {remark}." for remark in run.get("remarks", []))])


def _about_pipeline(run: Run) -> str:
    data, minutes = run["dataset"], sum(stage["seconds"] for stage in run["stages"]) / 60
    trained, tested = (", ".join(data[f"{part}_subjects"]) for part in ("train", "test"))
    peak = "" if run["peak_resident_mb"] is None else f", {run['peak_resident_mb']:,} MB resident"
    text = f"{data['name']}, {' + '.join(data['modalities'])}, split {data['split']}: trained on {trained}; tested on "
    return "\n\n".join([f"{text}{tested}. Seed {run['seed']}, {minutes:.1f} minutes{peak}.", *data["caveats"]])


COLUMNS: dict[str, Column] = {
    "network": "{network}",
    "inputs": lambda row: row[0]["inputs"].replace("+", " + "),
    "correct": correct,
    "accuracy, %": percent("accuracy"),
    "95 % interval": interval,
    "macro F1, %": percent("macro_f1"),
    "ECE, %": mean("ece", "{:.2f}", 100),
    "robustness, %": percent("overall"),
    "parameters": "{parameters:,}",
    "multiply-adds": mean("macs", "{:.2f} M", 1e-6),
    "size": mean("bytes", "{:,.0f} kB", 1e-3),
}
"""Columns of several tables."""


def _pick(heads: str) -> dict[str, Column]:
    return {head: COLUMNS[head] for head in heads.split(" | ")}


NETWORK = _pick(
    "network | inputs | correct | accuracy, % | 95 % interval | macro F1, % | ECE, % | multiply-adds | size"
)
TEST_SETS: dict[str, Any] = {"by": ("network", "seed", "inputs"), "pivot": "test_set", "columns": {
    **_pick("network | inputs"), "seed": "{seed}", "*": "{correct}/{total}",
    "all, %": lambda row: spread(100 * one["accuracy"] for one in pooled(row)),
    "macro F1 of the sets, %": percent("macro_f1")}}  # fmt: skip
LABELS: dict[str, Any] = {"kind": "labels", "by": ("share",), "pivot": "arm", "columns": {
    "labels": _labels, "windows": "{train_windows:,}", "*, %": percent("accuracy"), "gain, points": _gain,
    "correct, *": correct}}  # fmt: skip

TABLES = (
    Table("{0}: accuracy", ("accuracy",), ("network", "inputs"), NETWORK),
    Table("{0}: robustness", ("accuracy",), ("category",), {"category": "{category}", "*": percent("accuracy")},
          "category", pivot="network", published="robustness",
          note="Accuracy in %. Method: [robustness](robustness.md)."),
    Table("{0}: robustness by scenario", ("accuracy",), ("name",),
          {"scenario": "{name}", "*, %": percent("accuracy"), "*, correct": correct}, "scenario", pivot="network",
          figure="robustness"),
    Table("{0}: networks trained for one sensor", ("sensors",), ("everything", "network", "inputs"), NETWORK),
    Table("{0}: leave one subject out", ("loso",), **TEST_SETS),
    Table("{0}: subjects in folds", ("folds",), **TEST_SETS),
    Table("{0}: few labels", ("labels",), where=lambda one: one["network"] == "teacher", figure="labels", **LABELS),
    Table("{0}: distillation", ("labels", "distillation"), where=lambda one: one["network"] == "student",
          note=PSEUDO_LABELS, **LABELS),
    Table("{0}: baselines", ("accuracy", "baselines"), ("suite", "network", "inputs"),
          _pick("network | inputs | correct | accuracy, % | 95 % interval | parameters")
          | {"training, s": lambda row: f"{mean('seconds', '{:.0f}')(row)}" if "seconds" in row[0] else ""},
          where=lambda one: one["suite"] == "baselines" or one["inputs"] == one["everything"]),
    Table("{0}: unknown activities", ("unknown",), ("seed",), {
        "draw": "{seed}", "left out of training": lambda row: ", ".join(row[0]["activities"]),
        "AUROC, %": percent("auroc"), "correct, other activities": correct}, "unknown"),
    Table("{0}: pruning", ("compression-teacher", "compression"), ("network", "kept", "source"), {
        "network": "{network}", "removed": "{removed_percent:g} %", "windows": "{source}",
        "unpruned, correct": lambda row: correct([one["unpruned"] for one in row]),
        "before recovery, %": lambda row: spread(100 * one["removed"]["accuracy"] for one in row),
        "recovered, correct": correct, "points lost": percent("lost"), "share of what recordings regain, %": _regained,
        **_pick("multiply-adds"), "time": mean("seconds", "{:.0f} s")}, "pruned", figure="compression",
        note="Method: [compression](compression.md)."),
    Table("{0}: packages of the pruned student", ("accuracy", "compression"), ("network",),
          _pick("network | correct | accuracy, % | robustness, % | parameters | multiply-adds | size"),
          where=lambda one: one["inputs"] == one["everything"] and one["network"].startswith(INT8[0])),
    Table("{0}: pruning criteria", ("ablation",), ("criterion",), {
        "criterion": "{criterion}", "*": lambda row: f"{percent('lost')(row)} ({mean('seconds', '{:.0f} s')(row)})"},
        "pruned", pivot="source", note="Points lost, and time, with half of the student's multiply-adds removed."),
    Table("{0}: training cost", tuple(SEEDS), ("suite",), {
        "suite": "{suite}", "runs": lambda row: str(len(row)), **{name: mean(name, "{:.1f}") for name in (
            "pretrain", "finetune", "distill", "nano", "rest", "minutes per run")},
        "peak MB": lambda row: f"{max(peaks):,}" if (peaks := [one["peak"] for one in row if one["peak"]]) else ""},
        "cost"),
    Table("", ("pipeline",), ("network",), _pick(
        "network | correct | accuracy, % | 95 % interval | macro F1, % | parameters | multiply-adds | size"),
        note=_about_pipeline),
    Table("Latency of {0} beside torch and onnxruntime", ("edgehar-speed",), (),
          {"implementation": "{name}", "median ms (95th, 99th percentile)": TIME, "CPU ms": "{cpu_median_ms:.3f}"},
          "entry", note=_machine),
    Table("Ratios of latencies of {0}", ("edgehar-speed",), (), {
        "slow / fast": lambda row: row[0]["what"].replace("samples to answer", "samples to prediction"),
        "ratio": "{wall:.2f}", "floor": "{floor:g}",
        "reached": lambda row: "yes" if row[0]["reached"] else "no"}, "row"),
    Table("Latency of pruned packages", ("edgehar-pruned-speed",), (), {
        "package": "{package}", "runtime": "{way}", **_pick("parameters | multiply-adds"), "window, ms": TIME,
        "speed-up": "{speed_up:.2f}", "reduction of multiply-adds": "{macs_ratio:.2f}",
        "speed-up / reduction (floor 0.8)": "{share:.2f}"}, "row", note=_machine),
    Table("Benchmark of {0}", ("edgehar-bench",), (), {
        "precision": "{name}", "window, ms": "{window[median_ms]:.3f} ({window[p95_ms]:.3f}, {window[p99_ms]:.3f})",
        "hop, ms": "{hop[median_ms]:.3f} ({hop[p95_ms]:.3f}, {hop[p99_ms]:.3f})", "hops/s": "{hops_per_s:.0f}",
        "x real time": "{times_real_time:.0f}", "cold start, ms": mean("cold_start_s", "{:.0f}", 1000),
        "runtime alone, ms": lambda row: f"{1000 * (row[0].get('bare_start_s') or 0):.0f}",
        "MiB": mean("resident_bytes", "{:.1f}", 2**-20), "graph bytes": "{graph_bytes:,}"}, "entry", note=_machine),
    Table("Hops of revisions: {0}", ("edgehar-revisions",), (), {
        "revision": "{revision}", "hop, us": "{hop_us:.0f}", "networks alone, us": "{networks_us:.0f}",
        "hop / networks": "{hop_over_networks:.2f}", "hops/s over the first": "{hops_per_s_over_first:.2f}"},
        "row", note=_machine),
    Table("Many people on one core: {0}", ("edgehar-people-lines",), (), {
        "source": "{name}", "lines per prediction": "{lines_per_hop:.1f}",
        "CPU us per prediction": "{fleet_us_per_hop:.0f}", "a process each": "{own_process_us_per_hop:.0f}",
        "ratio": "{own_process_over_fleet:.2f}", "people per core": "{fleet_people_per_core:.0f}",
        "with a process each": "{own_process_people_per_core:.0f}", "same text": "{same_answers}"},
        "entry", note=_machine),
    Table("Soak test", ("edgehar-soak",), (), {
        "precision": "{precision}", "hops": "{hops:,}", "hours of signal": mean("stream_s", "{:.0f}", 1 / 3600),
        "memory growth after 1,000 hops (limit 1 MB)": mean("growth_bytes", "{:.2f} MB", 1e-6),
        "median ms, first tenth": "{median_latency_ms[0]:.3f}", "last tenth (limit 10 % apart)":
        "{median_latency_ms[9]:.3f}", "x real time": "{times_real_time:.0f}", "injected faults": _counts("faults")},
        "summary", note=_machine),
    Table("Random sensor faults", ("edgehar-chaos",), (), {
        "schedules": "{schedules:,}", "failed": "{broken}", "schedules with each fault": _counts("with_fault"),
        "peak memory": _peak_memory}, "summary"),
    Table("Damaged packages", ("edgehar-fuzz",), (), {
        "packages": "{packages:,}", "results": _counts("results"),
        "unexpected results": lambda row: str(len(row[0]["not_as_they_should"])), "slowest": "{slowest_s:.2f} s",
        "peak memory": _peak_memory},
        "summary", note="Accepted: the damage has no effect, or checksums were recomputed and the package is valid."),
    Table("Streaming evaluation of {0}", ("edgehar-stream",), (), {
        "%": "{name}", "whole recordings": "{offline:.2f}", "stream": "{stream:.2f}"}, "entry"),
    Table("Detection delay of {0}", ("edgehar-stream",), (), {
        "recordings": "{recordings}", "labelled seconds": "{labelled_s:.0f}", "segments": "{true}",
        "largest difference, points (limit 0.5)": "{most_points:.2f}", "median delay, s": "{median_s:.2f}",
        "90th percentile, s": "{p90_s:.2f}", "false alarms per hour": "{false_alarms_per_hour:.1f}"}, "summary"),
)  # fmt: skip

OURS = "ours, %"
COUNTED: dict[str, Column] = {OURS: percent("accuracy"), "correct": correct, "95 % interval": interval}

SUMMARY = (
    Table("{network}", ("accuracy",), ("network",), COUNTED, where=lambda one: one["inputs"] == one["everything"],
          published="{inputs}"),
    Table("{inputs} only, {network}", ("accuracy",), ("inputs", "network"), COUNTED, published="{inputs}",
          where=lambda one: one["inputs"] != one["everything"] and one["network"] in INT8),
    Table("{inputs} only, {network}, trained for it", ("sensors",), ("inputs", "network"), COUNTED,
          where=lambda one: one["network"] in ("teacher", INT8[0]), published="{inputs}"),
    *(Table(f"{{network}}, {protocol}{{progress}}", (suite,), ("network",), COUNTED, pool=True,
            where=lambda one: one["inputs"] == one["everything"] and one["network"] in ("teacher", *INT8))
      for suite, protocol in (("loso", "leave one subject out"), ("folds", "subjects in folds"))),
    Table("robustness over {number} scenarios: {network}", ("accuracy",), ("network",), {OURS: percent("accuracy")},
          "category", lambda one: one["category"] == "overall", published="robustness"),
    Table("expected calibration error (lower is better): {network}, {calibration}", ("accuracy",), ("network",),
          {OURS: percent("ece")}, where=lambda one: one["inputs"] == one["everything"] and one["network"] in INT8),
    Table("student, fp32, {removed_percent:g} % of the multiply-adds removed without data", ("compression",), ("kept",),
          COUNTED, "pruned", lambda one: one["first"] and one["network"] == "student"),
    Table("student, fp32, distilled with {share_percent:g} % of the labels", ("labels",), ("share",), COUNTED, "labels",
          lambda one: one["arm"] == "distilled"),
    Table("AUROC of {number} activities left out of training: student, INT8", ("unknown",), ("suite",),
          {OURS: percent("auroc")}, "unknown"),
)  # fmt: skip

README = (
    ("utd-mhad", "student, INT8"),
    ("utd-mhad", "nano student, INT8"),
    ("utd-mhad", "teacher"),
    ("utd-mhad", "skeleton only, student, INT8, trained for it"),
    ("utd-mhad", "inertial only, student, INT8, trained for it"),
    ("utd-mhad", "student, INT8, leave one subject out"),
    ("utd-mhad", "robustness over 25 scenarios: student, INT8"),
    ("utd-mhad", "student, fp32, distilled with 10 % of the labels"),
    ("utd-mhad", "student, fp32, 50 % of the multiply-adds removed without data"),
    ("sp-sw-har", "student, INT8, subjects in folds"),
)
"""Data set and figure of each row of the table in README.md."""
