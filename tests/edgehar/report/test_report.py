"""The HTML report of a run."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgehar.cli import main as command
from edgehar.report.plots import skeleton_strip
from edgehar.signals.clip import natural_key
from edgehar.signals.modality import KINECT_PARENTS
from tests.edgehar.report.pages import Reader, report, write_run
from tests.edgehar.report.run_results import full_results, small_results


@pytest.fixture
def results() -> dict[str, Any]:
    return full_results()


def test_the_page_is_self_contained(tmp_path: Path, results: dict[str, Any]) -> None:
    text = report(write_run(tmp_path / "run", results))
    page = Reader(text)
    assert page.open == []
    assert page.loads
    assert all(str(value).startswith("data:image/svg+xml;base64,") for value in page.loads)
    assert "<script" not in text
    assert "@import" not in text
    assert "url(" not in text
    # 3 training stages with 2 or 3 quantities, the confusion matrix, the people, the example
    assert len(page.images) == 2 + 3 + 3 + 1 + 1 + 1
    assert all(given["alt"] for given in page.images)


def test_every_number_of_the_results_is_on_the_page(tmp_path: Path, results: dict[str, Any]) -> None:
    shown = Reader(report(write_run(tmp_path / "run", results))).text
    for score in results["evaluation"].values():
        assert f"{score['correct']} / {score['total']}" in shown
        for share in (score["accuracy"], score["macro_f1"], *score["wilson95"]):
            assert f"{100 * share:.2f} %" in shown
        for count in score["per_subject"].values():
            assert f"{count['correct']} / {count['total']} = {100 * count['correct'] / count['total']:.2f} %" in shown
    delivered = results["evaluation"]["student-int8"]
    for label, count in delivered["per_class"].items():
        assert label in shown
        assert f"{count['correct']} / {count['total']}" in shown
    for choice in results["choices"]:
        assert choice["reason"] in shown
    for stage in results["stages"]:
        for key in ("parameters", "macs", "bytes"):
            if key in stage:
                assert f"{stage[key]:,}" in shown
        assert stage["command"] in shown
    for time in ("15 min 12 s, from an earlier run", "10 min 04 s", "30 min 04 s", "1 min 11 s", "4.2 s", "8.5 s"):
        assert time in shown
    for row in results["benchmark"]["results"]:
        for key in ("median_ms", "p95_ms", "p99_ms"):
            assert f"{row[key]:.3g}" in shown
    data = results["dataset"]
    fixed = [
        "119.2",
        "60.5",
        "CPUExecutionProvider",
        "x86_64",
        "0.973",
        "431 train, 430 test",
        "s1, s3, s5, s7",
        "odd-even",
    ]
    for text in [*fixed, data["citation"], *data["caveats"], results["command"], results["git_commit"], "torch 2.13.0"]:
        assert text in shown


def test_the_most_frequent_error_is_first(tmp_path: Path, results: dict[str, Any]) -> None:
    confusion = np.diag(np.full(27, 16))
    confusion[14, 14], confusion[14, 11] = 9, 7
    confusion[21, 21], confusion[21, 22] = 15, 1
    results["evaluation"]["student-int8"]["confusion"] = confusion.tolist()
    shown = Reader(report(write_run(tmp_path / "run", results))).text
    assert re.search(r"tennis swing \D+ bowling: 7 of 16; jog \D+ walk: 1 of 16\.", shown)


def test_a_matrix_too_large_to_draw_is_a_list_of_its_largest_errors(tmp_path: Path, results: dict[str, Any]) -> None:
    names = [f"sign {number}" for number in range(400)]
    results["dataset"]["labels"] = names
    pairs = [{"true": name, "predicted": "sign 0", "count": 1} for name in names[1:]]
    pairs.append({"true": "sign <7>", "predicted": "sign 8", "count": 3})
    for score in results["evaluation"].values():
        del score["confusion"]
        score |= {"confused": pairs, "per_class": {name: {"correct": 0, "total": 1} for name in names}}
    shown = Reader(report(write_run(tmp_path / "run", results)))
    assert "The matrix of 400 activities is too large to draw." in shown.text
    assert "Most frequent errors: sign <7> predicted as sign 8: 3; sign 1 predicted as sign 0: 1;" in shown.text
    assert not any("Confusion" in image["alt"] for image in shown.images)


def test_labels_are_escaped(tmp_path: Path, results: dict[str, Any]) -> None:
    results = small_results(results)
    markup = '<b>bold</b> & "quoted" $\\frac$ <script>alert(1)</script>'
    results["dataset"]["labels"][0] = markup
    results["dataset"]["name"] = markup
    results["dataset"]["caveats"] = [markup]
    results["example"]["predicted"] = markup
    results["command"] = markup
    results["benchmark"]["device"] = {markup: markup}
    results["evaluation"]["student-int8"]["per_class"][markup] = {"correct": 1, "total": 0}
    results["stages"][1]["history"] = [{"update": 0, markup: 1.0}, {"update": 1, markup: 0.5}]
    text = report(write_run(tmp_path / "run", results))
    assert "<b>" not in text
    assert "<script" not in text
    assert markup in Reader(text).text


def test_labels_in_other_scripts_are_shown(tmp_path: Path, results: dict[str, Any]) -> None:
    results = small_results(results)
    results["dataset"]["labels"][0] = "挥手"
    results["evaluation"]["student-int8"]["per_class"] = {"挥手": {"correct": 1, "total": 2}}
    assert "挥手" in Reader(report(write_run(tmp_path / "run", results))).text


OPTIONAL = [
    (),
    *[
        (key,)
        for key in ("command", "preset", "seed", "date", "versions", "git_commit", "dataset", "stages", "evaluation")
    ],
    *[(key,) for key in ("delivered", "benchmark", "example")],
    ("dataset", "labels"),
    ("dataset", "citation"),
    ("evaluation", "teacher"),
    ("evaluation", "student-int8"),
    ("evaluation", "student-int8", "confusion"),
    ("evaluation", "student-int8", "per_subject"),
    ("dataset", "training"),
    ("dataset", "people"),
    ("evaluation", "minirocket"),
    ("benchmark", "results"),
    ("example", "file"),
]


@pytest.mark.parametrize("path", OPTIONAL, ids=".".join)
def test_missing_results_are_omitted(tmp_path: Path, results: dict[str, Any], path: tuple[str, ...]) -> None:
    results = small_results(results)
    parent = results
    for name in path[:-1]:
        parent = parent[name]
    if path:
        del parent[path[-1]]
    else:
        results = {"format": "edgehar-results", "format_version": 1}
    page = Reader(report(write_run(tmp_path / "run", results)))
    assert page.open == []
    assert "None" not in page.text


def test_equal_results_give_equal_bytes(tmp_path: Path, results: dict[str, Any]) -> None:
    results = small_results(results)
    folder = write_run(tmp_path / "run", results)
    assert report(folder) == report(folder)


def test_subjects_are_in_natural_order(tmp_path: Path, results: dict[str, Any]) -> None:
    results = small_results(results)
    counts = {f"s{number}": {"correct": 1, "total": 2} for number in range(1, 24)}
    results["evaluation"] = {"student": results["evaluation"]["student"] | {"per_subject": counts}}
    shown = Reader(report(write_run(tmp_path / "run", results))).text
    found = [line for line in shown.replace("1 / 2", "\n").splitlines() if line.startswith("s") and line[1:].isdigit()]
    assert found == sorted(found, key=natural_key)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("{", "not valid JSON"),
        ("[]", "format None"),
        ('{"format": "something"}', "format 'something'"),
        ('{"format": "edgehar-results", "format_version": 99}', "format_version 99"),
        ('{"format": "edgehar-results", "format_version": 1, "stages": 3}', "the stages ("),
        ('{"format": "edgehar-results", "format_version": 1, "stages": [{}]}', "the stages ("),
        ('{"format": "edgehar-results", "format_version": 1, "evaluation": {"a": {}}}', "the headline ("),
        ('{"format": "edgehar-results", "format_version": 1, "dataset": "x"}', "the headline ("),
    ],
)
def test_damaged_results_are_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, found: str
) -> None:
    (tmp_path / "results.json").write_text(content)
    assert command(["report", str(tmp_path)]) == 2
    shown = capsys.readouterr().err
    assert found in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def test_a_missing_run_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["report", str(tmp_path / "nowhere")]) == 2
    assert "results.json: " in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("damage", ["gone", "text", "shapes", "parents", "keys"])
def test_a_damaged_example_is_an_error_of_one_line(
    tmp_path: Path, results: dict[str, Any], capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    results = small_results(results)
    folder = write_run(tmp_path / "run", results)
    example = folder / "example.npz"
    parents, frames = np.asarray(KINECT_PARENTS), np.zeros((5, 20, 3), np.float32)
    match damage:
        case "gone":
            example.unlink()
        case "text":
            example.write_text("not an archive")
        case "shapes":
            np.savez(example, frames=frames[:, :7], parents=parents, vertical=1)
        case "parents":
            np.savez(example, frames=frames, parents=parents + 5, vertical=1)
        case _:
            np.savez(example, poses=frames)
    assert command(["report", str(folder)]) == 2
    shown = capsys.readouterr().err
    assert "example" in shown
    assert shown.count("\n") == 1


def test_poses_with_missing_joints_are_drawn(tmp_path: Path, results: dict[str, Any]) -> None:
    results = small_results(results)
    folder = write_run(tmp_path / "run", results)
    frames = np.random.default_rng(2).normal(size=(3, 20, 3)).astype(np.float32)
    frames[0, 7] = np.nan
    frames[1] = np.nan
    np.savez(folder / "example.npz", frames=frames, parents=np.asarray(KINECT_PARENTS), vertical=2)
    assert "of one recording, 3 frames" in report(folder)


def test_poses_of_a_picture_are_drawn_around_a_lost_root(tmp_path: Path, results: dict[str, Any]) -> None:
    folder = write_run(tmp_path / "run", small_results(results))
    frames = np.random.default_rng(2).normal(size=(5, 20, 2)).astype(np.float32)
    frames[:3, KINECT_PARENTS.index(3)] = np.nan  # a joint beside the root
    frames[1:, 3] = np.nan  # the root
    np.savez(folder / "example.npz", frames=frames, parents=np.asarray(KINECT_PARENTS), vertical=1)
    assert "of one recording, 5 frames" in report(folder)


def test_poses_of_a_picture_stand_upright() -> None:
    body = np.array([[0.0, 1.0, 0.0], [0.2, 1.5, 0.0], [0.1, 1.8, 0.0]], np.float32)[None]
    picture = body[..., :2] * np.array([1, -1], np.float32)  # y downwards
    parents = np.array([0, 0, 1])
    assert skeleton_strip(picture, parents, 1) == skeleton_strip(body, parents, 1)
    assert skeleton_strip(picture, parents, 1) != skeleton_strip(body[..., :2], parents, 1)
