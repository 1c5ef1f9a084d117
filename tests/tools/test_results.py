"""Tables and figures of the documentation follow from the result files; a change of either is detected."""

import shutil
from pathlib import Path

import pytest

from edgehar.errors import DataError
from tests.tools.result_files import accuracy, compression, few_labels, left_out, network, pruned, put, run, score
from tools.results.render import END, START, differences, write


def cells_of(root: Path, section: str, *start: str) -> dict[str, str]:
    """Heading -> cell of the one row of a section's table that starts with these cells."""
    _, _, text = (root / "docs/results.md").read_text().partition(f"# {section}\n\n")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.partition("\n\n")[0].splitlines()]
    (found,) = [row for row in rows if tuple(row[: len(start)]) == start]
    return dict(zip(rows[0], found, strict=True))


def summary(root: Path, figure: str) -> dict[str, str]:
    return cells_of(root, "utd-mhad", figure)


def test_figure_has_mean_deviation_counts_interval_and_best_published(root: Path) -> None:
    write(root)
    teacher = summary(root, "teacher")
    assert teacher["ours, %"] == "98.14 ± 0.47 (3 of 5 seeds)"
    assert teacher["correct"] == "420, 422, 424 of 430"
    assert teacher["95 % interval"] == "96.4 to 99.1"
    assert teacher["parameters"] == "1,000,000"
    assert teacher["best published, %"] == "97.67 Big (2022), about 3,400,000 parameters"
    student = summary(root, "student, INT8")
    assert student["ours, %"] == "98.14 ± 0.47 (3 of 5 seeds)"
    assert student["best published, %"].endswith("; up to 100,000: 92.09 Small, 90,006 parameters")
    assert summary(root, "skeleton only, student, INT8")["correct"] == "400, 402, 404 of 430"
    faulty = summary(root, "robustness over 6 scenarios: student, INT8")
    assert faulty["ours, %"] == "91.16 ± 0.47 (3 of 5 seeds)"
    assert faulty["correct"] == ""
    assert faulty["best published, %"] == "85.13 Safe (2026)"
    error = summary(root, "expected calibration error (lower is better): student, INT8, calibrated")
    assert error["ours, %"].startswith("3.00 ± 0.00")


def test_readme_has_the_selected_figures_between_its_marks(root: Path) -> None:
    write(root)
    text = (root / "README.md").read_text()
    assert text.startswith(f"before\n{START}\n")
    assert text.endswith(f"{END}\nafter\n")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| UTD-MHAD, ")]
    assert [row[0] for row in rows][:2] == ["| UTD-MHAD, student, INT8", "| UTD-MHAD, teacher"]
    assert rows[0][1] == "98.14 ± 0.47 (3 of 5 seeds)"
    assert rows[0][4] == "`edgehar evaluate --suite accuracy --data utd-mhad --preset base --seeds 0,1,2` |"


def test_readme_without_marks_is_an_error(root: Path) -> None:
    (root / "README.md").write_text("no marks\n")
    with pytest.raises(DataError, match=START):
        differences(root)


def test_page_has_commands_files_caveats_and_cost(root: Path) -> None:
    write(root)
    text = (root / "docs/results.md").read_text()
    assert "`edgehar evaluate --suite accuracy --data utd-mhad --preset base --seeds 0,1,2`, 3 seeds. Files: " in text
    assert "[accuracy-1](results/accuracy-1.json)" in text
    assert "As published.\n\nWrist or thigh.\n" in text
    cost = cells_of(root, "utd-mhad: training cost", "accuracy")
    assert [cost[name] for name in ("runs", "pretrain", "finetune", "minutes per run")] == ["3", "1.0", "", "1.5"]


def test_robustness_is_beside_the_published_figures(root: Path) -> None:
    write(root)
    shift, missing = (cells_of(root, "utd-mhad: robustness", category) for category in ("shift", "missing"))
    assert (shift["student, INT8"], shift["Safe"]) == ("91.16 ± 0.47", "95.96")
    assert (missing["student, INT8"], missing["Safe"]) == ("91.16 ± 0.47", "")
    row = cells_of(root, "utd-mhad: robustness by scenario", "a noise", "91.16 ± 0.47")
    assert row["student, INT8, correct"] == "390, 392, 394 of 430"
    assert (root / "docs/images/robustness-utd-mhad.svg").read_text().count("a noise") == 1


def test_left_out_subjects_are_pooled_when_all_are_there(root: Path) -> None:
    for subject in ("s1", "s2", "s3"):
        put(root, f"loso-{subject}", left_out(subject, 100))
    write(root)
    assert summary(root, "student, INT8, leave one subject out (3 of 4 so far)")["ours, %"] == "92.59"
    put(root, "loso-s4", left_out("s4", 108))
    write(root)
    pooled = summary(root, "student, INT8, leave one subject out")
    assert (pooled["ours, %"], pooled["correct"]) == ("94.44", "408 of 432")
    row = cells_of(root, "utd-mhad: leave one subject out", "student, INT8")
    assert [row[name] for name in ("s1", "s2", "s3", "s4", "all, %")] == [*["100/108"] * 3, "108/108", "94.44"]


def test_gain_of_pretraining_is_a_column_and_a_curve(root: Path) -> None:
    put(root, "labels", few_labels())
    write(root)
    row = cells_of(root, "utd-mhad: few labels", "10 %", "43")
    assert [row[name] for name in ("pretrained, %", "from scratch, %", "gain, points")] == ["90.00", "80.00", "+10.00"]
    assert cells_of(root, "utd-mhad: few labels", "100 %", "431")["gain, points"] == "+0.00"
    assert (root / "docs/images/labels-utd-mhad.svg").is_file()


def test_pruned_networks_are_compared_with_recovery_on_recordings(root: Path) -> None:
    for seed in range(3):
        put(root, f"compression-{seed}", compression(seed, 420 + seed))
    lost = (("noise", "l2", 20), ("noise", "random", 40), ("means", "l2", 1))
    entries = [pruned(source, criterion, 420 - number) for source, criterion, number in lost]
    whole = {"student-fp32": network(99_000, {"skeleton+inertial": score(420)})}
    put(root, "ablation", run("ablation", 0, networks=whole, pruned=entries))
    write(root)
    row = cells_of(root, "utd-mhad: pruning", "student", "50 %", "means")
    assert row["unpruned, correct"] == "420, 421, 422 of 430"
    assert row["before recovery, %"] == "46.51 ± 0.00"
    assert row["recovered, correct"] == "418, 419, 420 of 430"
    assert row["points lost"] == "0.47 ± 0.00"
    assert row["share of what recordings regain, %"] == "99"
    row = cells_of(root, "utd-mhad: pruning", "student", "50 %", "recordings")
    assert (row["points lost"], row["share of what recordings regain, %"]) == ("0.00 ± 0.00", "")
    section = "utd-mhad: packages of the pruned student"
    assert cells_of(root, section, "student, INT8")["correct"] == "420, 422, 424 of 430"
    assert cells_of(root, section, "student, INT8, 50 % removed")["correct"] == "417, 418, 419 of 430"
    l2, random = (cells_of(root, "utd-mhad: pruning criteria", criterion) for criterion in ("l2", "random"))
    assert (l2["noise"], l2["means"]) == ("4.65 (40 s)", "0.23 (40 s)")
    assert (random["noise"], random["means"]) == ("9.30 (40 s)", "")
    assert (root / "docs/images/compression-utd-mhad.svg").is_file()
    figure = summary(root, "student, fp32, 50 % of the multiply-adds removed without data")
    assert figure["correct"] == "418, 419, 420 of 430"


def test_gain_of_distillation_is_shown_by_share_of_the_labels(root: Path) -> None:
    for seed in range(2):
        networks = {name: network(99_000, {"skeleton+inertial": score(correct)}) for name, correct in (
            ("student-fp32", 422 + seed), ("student-alone", 418 + seed),
        )}  # fmt: skip
        put(root, f"distillation-{seed}", run("distillation", seed, networks=networks))
    labels = few_labels()
    for draw in range(2):
        for distilled, correct in ((True, 400), (False, 370)):
            counts = {"correct": correct + draw, "total": 430, "accuracy": (correct + draw) / 430, "train_windows": 54}
            about = {"network": "student", "share": 0.1, "draw": draw, "distilled": distilled, "pretrained": True}
            about |= {"pseudo_labels": "equal"} if distilled else {}
            labels["labels"].append({**about, **counts})
    put(root, "labels", labels)
    write(root)
    row = cells_of(root, "utd-mhad: distillation", "10 %, pseudo-labels (equal)")
    names = ("gain, points", "correct, distilled", "correct, labels alone")
    assert [row[name] for name in names] == ["+6.98", "400, 401 of 430", "370, 371 of 430"]
    assert cells_of(root, "utd-mhad: distillation", "100 %")["gain, points"] == "+0.93"
    assert summary(root, "student, fp32, distilled with 10 % of the labels")["correct"] == "400, 401 of 430"
    # Students are not part of the gain of pretraining.
    row = cells_of(root, "utd-mhad: few labels", "10 %", "43")
    assert [row[name] for name in ("pretrained, %", "from scratch, %", "gain, points")] == ["90.00", "80.00", "+10.00"]


def test_baselines_are_below_the_networks(root: Path) -> None:
    kinds = {"tcn": {"parameters": 90_006, "seconds": 12.0, "scores": {"skeleton+inertial": score(400)}}}
    put(root, "baselines", run("baselines", 0, baselines=kinds))
    write(root)
    row = cells_of(root, "utd-mhad: baselines", "TCN", "skeleton + inertial")
    assert [row[name] for name in ("correct", "accuracy, %", "training, s")] == ["400 of 430", "93.02", "12"]
    assert cells_of(root, "utd-mhad: baselines", "teacher", "skeleton + inertial")["training, s"] == ""


def test_moved_scripts_are_named_where_they_are_now(root: Path) -> None:
    (root / "docs/results/board").mkdir()
    measured = {"format": "edgehar-chaos", "command": "python tools/chaos_stream.py p", "date": "2026-11-22T08:37"}
    put(root, "board/chaos", measured | {"schedules": 10_000, "broken": 0, "with_fault": {"late": 6_373}})
    write(root)
    text = (root / "docs/results.md").read_text()
    assert "| 10,000 | 0 | late 6,373 |" in text
    assert "`python tools/stress/chaos.py p`, 2026-11-22. Files: [chaos](results/board/chaos.json)." in text


def test_difference_of_a_file_a_page_or_a_figure_is_detected(root: Path) -> None:
    written = write(root)
    pages = ["docs/results.md", "docs/strangers.md", "docs/transfer.md", "README.md"]
    assert written == [*pages, "docs/images/robustness-utd-mhad.svg"]
    assert differences(root) == []
    assert write(root) == []
    readme = root / "README.md"
    good = readme.read_text()
    readme.write_text(good.replace("98.14", "98.41"))
    assert differences(root) == ["README.md"]
    readme.write_text(good)
    figure = root / "docs/images/robustness-utd-mhad.svg"
    drawn = figure.read_bytes()
    figure.unlink()
    assert differences(root) == ["docs/images/robustness-utd-mhad.svg"]
    write(root)
    assert figure.read_bytes() == drawn
    put(root, "accuracy-0", accuracy(0, 419))
    assert set(differences(root)) == set(written) - {"docs/strangers.md", "docs/transfer.md"}


def test_page_without_result_files_has_no_tables(root: Path) -> None:
    shutil.rmtree(root / "docs/results")
    (root / "docs/results").mkdir()
    write(root)
    assert differences(root) == []
    assert "|" not in (root / "docs/results.md").read_text()
