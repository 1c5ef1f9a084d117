"""The sections of a report on people, the baseline and example signals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.cli import main as command
from tests.edgehar.report.pages import Reader, report, write_run
from tests.edgehar.report.run_results import full_results, small_results


@pytest.fixture
def results() -> dict[str, Any]:
    return full_results()


def test_remarks_on_people_stand_beside_their_intervals(tmp_path: Path, results: dict[str, Any]) -> None:
    results = small_results(results)
    outlying = "s6 is recognised in 9 of 16 windows, all others in 15 or more."
    counts = {"s2": {"correct": 15, "total": 16}, "s6": {"correct": 9, "total": 16}}
    for name in ("student", "student-int8"):
        results["evaluation"][name] |= {"outlying_subject": outlying, "per_subject": counts}
    page = Reader(report(write_run(tmp_path / "run", results)))
    assert results["dataset"]["people"][0] in page.text
    assert f"{outlying} (student, fp32, student, INT8)" in page.text
    assert "9 / 16 = 56.25 %33.18 % to 76.90 %" in page.text  # Wilson's interval, by hand
    (plot,) = [image["alt"] for image in page.images if "s6 56.25 %" in image["alt"]]
    assert "s2 93.75 %" in plot


def test_only_the_least_recognised_of_many_people_are_drawn(tmp_path: Path, results: dict[str, Any]) -> None:
    results = small_results(results)
    counts = {f"p{number}": {"correct": number, "total": 60} for number in range(1, 60)}
    results["evaluation"] = {"student-int8": results["evaluation"]["student-int8"] | {"per_subject": counts}}
    page = Reader(report(write_run(tmp_path / "run", results)))
    (plot,) = [image["alt"] for image in page.images if "of 59 people" in image["alt"]]
    assert "p1 1.67 %" in plot
    assert "p40 " in plot
    assert "p41 " not in plot
    assert "59 / 60 = 98.33 %" in page.text


def test_a_better_baseline_is_stated_with_what_to_do(tmp_path: Path, results: dict[str, Any]) -> None:
    results = small_results(results)
    shown = Reader(report(write_run(tmp_path / "run", results))).text
    assert "The baseline MiniRocket is less accurate per window than the delivered model" in shown
    ours, baseline = results["evaluation"]["student-int8"], results["evaluation"]["minirocket"]
    baseline |= {"correct": 431, "total": 432, "accuracy": 431 / 432, "wilson95": [0.987, 0.9999]}
    baseline["recordings"] = {"correct": 27, "total": 28}
    ours |= {"correct": 400, "total": 432, "accuracy": 400 / 432, "wilson95": [0.897, 0.947]}
    ours["recordings"] = {"correct": 20, "total": 28}
    shown = Reader(report(write_run(tmp_path / "run", results))).text
    assert "431 of 432 windows and 27 of 28 recordings against 400 of 432 windows and 20 of 28 recordings." in shown
    assert "What to do: record more people" in shown
    assert "27 / 28 = 96.43 %" in shown
    assert "may be chance" not in shown


def signals_of(folder: Path, values: np.ndarray, sensors: int, group: int = 3) -> dict[str, Any]:
    """The entry `signals` of results, and its file, with the same values (T, channels) for every activity."""
    names = [f"sensor{number}" for number in range(sensors)]
    activities = [{"label": f"activity {row}", "recording": f"r{row}", "subject": "ann"} for row in range(12)]
    arrays: dict[str, Any] = {
        f"{row}.{name}.{kind}": array
        for row in range(12)
        for name in names
        for kind, array in (("values", values), ("times_s", np.linspace(0, 5, len(values))))
    }
    np.savez(folder / "signals.npz", **arrays)
    listed = [{"name": name, "unit": "g and deg/s", "group": group, "columns": []} for name in names]
    return {"file": "signals.npz", "sensors": listed, "activities": activities}


def test_signals_have_units_and_are_at_most_200_kb(tmp_path: Path, results: dict[str, Any]) -> None:
    folder = write_run(tmp_path / "run", results)
    values = np.cumsum(np.random.default_rng(0).normal(size=(250, 6)), axis=0).astype(np.float32)
    values[100:120] = np.nan
    bare = {"format": "edgehar-results", "format_version": 1, "signals": signals_of(folder, values, 3)}
    (folder / "results.json").write_text(json.dumps(bare))
    text = report(folder)
    page = Reader(text)
    assert [image["alt"].partition(":")[0] for image in page.images] == [
        "sensor0, g, over seconds",
        "sensor1, g, over seconds",
        "sensor2, g, over seconds",
        "sensor0, deg/s, over seconds",
    ]
    low, high = np.nanmin(values[:, :3]), np.nanmax(values[:, :3])
    assert f"activity 11 {low:.4g} to {high:.4g}" in page.images[0]["alt"]
    assert "4 of 6 signals." in page.text
    assert len(text) < 200_000
    assert all(str(value).startswith("data:image/png;base64,") for value in page.loads)


def test_channels_without_groups_share_a_figure(tmp_path: Path, results: dict[str, Any]) -> None:
    folder = write_run(tmp_path / "run", results)
    bare = {"format": "edgehar-results", "format_version": 1}
    bare["signals"] = signals_of(folder, np.zeros((5, 9), np.float32), 1, group=1)
    (folder / "results.json").write_text(json.dumps(bare))
    (image,) = Reader(report(folder)).images
    assert image["alt"].startswith("sensor0, g and deg/s, over seconds")
    (folder / "signals.npz").write_text("not an archive")
    assert command(["report", str(folder)]) == 2
