"""The tables and figures of the documentation are what the result files say, and a change of either is noticed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgehar.errors import DataError
from tools.results import BASELINES, COMPRESSION, END, README, ROBUSTNESS, differences, write

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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs/results").mkdir(parents=True)
    (tmp_path / "README.md").write_text(f"before\n{README}\n{END}\nafter\n")
    (tmp_path / "docs/robustness.md").write_text(f"{ROBUSTNESS}\n{END}\n")
    (tmp_path / "docs/baselines.md").write_text(f"{BASELINES}\n{END}\n")
    (tmp_path / "docs/compression.md").write_text(f"{COMPRESSION}\n{END}\n")
    (tmp_path / "docs/published.json").write_text(json.dumps(PUBLISHED))
    for seed, correct in enumerate((420, 422, 424)):
        put(tmp_path, f"accuracy-{seed}", accuracy(seed, correct))
    return tmp_path


def line_of(root: Path, start: str, page: str = "README.md") -> str:
    (found,) = [line for line in (root / page).read_text().splitlines() if line.startswith(f"| {start} |")]
    return found


def test_a_figure_has_mean_deviation_counts_interval_and_the_published_one(root: Path) -> None:
    write(root)
    line = line_of(root, "teacher | 98.14 ± 0.47 (3 of 5 seeds)")
    assert "| 420, 422, 424 of 430 | 96.4 to 99.1 | 1,000,000 |" in line
    assert "97.67 Big (2022), about 3,400,000 parameters" in line
    assert "Small" not in line
    student = line_of(root, "student, INT8 | 98.14 ± 0.47 (3 of 5 seeds)")
    assert "up to 100,000: 92.09 Small, 90,006 parameters" in student
    assert "402, 404" not in line_of(root, "robustness over 6 scenarios, student, INT8 | 91.16 ± 0.47 (3 of 5 seeds)")
    assert "400, 402, 404 of 430" in line_of(root, "skeleton only, the same student | 93.49 ± 0.47 (3 of 5 seeds)")
    assert "student, INT8, calibrated (lower is better) | 3.00 ± 0.00" in (root / "README.md").read_text()


def test_the_text_around_the_results_stays(root: Path) -> None:
    write(root)
    text = (root / "README.md").read_text()
    assert text.startswith(f"before\n{README}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "--suite accuracy --data utd-mhad --preset base --seeds 0,1,2`" in text
    assert "Wrist or thigh." in text
    assert "| accuracy | 3 | 1.0 |" in text


def test_robustness_is_shown_beside_what_is_published(root: Path) -> None:
    write(root)
    assert line_of(root, "shift", "docs/robustness.md").endswith("| 91.16 ± 0.47 | 95.96 |")
    assert line_of(root, "missing", "docs/robustness.md").endswith("| 91.16 ± 0.47 |  |")
    assert "390, 392, 394 of 430" in line_of(root, "a noise | 91.16 ± 0.47", "docs/robustness.md")
    assert (root / "docs/images/robustness-utd-mhad.svg").read_text().count("a noise") == 1


def test_each_subject_left_out_is_one_figure_when_all_are_there(root: Path) -> None:
    for subject in ("s1", "s2", "s3"):
        put(root, f"loso-{subject}", left_out(subject, 100))
    write(root)
    line_of(root, "student, INT8, each subject left out once (3 of 4 so far) | 92.59")
    put(root, "loso-s4", left_out("s4", 108))
    write(root)
    line = line_of(root, "student, INT8, each subject left out once | 94.44")
    assert "| 408 of 432 |" in line
    row = line_of(root, "student, INT8, seed 0")
    assert "| 100/108 | 100/108 | 100/108 | 108/108 | 94.44 |" in row


def test_the_gain_of_pretraining_is_a_column_and_a_curve(root: Path) -> None:
    put(root, "labels", few_labels())
    write(root)
    assert "| 90.00 | 80.00 | +10.00 |" in line_of(root, "10 % | 43")
    assert "| +0.00 |" in line_of(root, "100 % | 431")
    assert (root / "docs/images/labels-utd-mhad.svg").is_file()


def test_what_pruning_costs_stands_beside_what_recordings_would_give(root: Path) -> None:
    for seed in range(3):
        put(root, f"compression-{seed}", compression(seed, 420 + seed))
    lost = (("noise", "l2", 20), ("noise", "random", 40), ("means", "l2", 1))
    entries = [pruned(source, criterion, 420 - number) for source, criterion, number in lost]
    whole = {"student-fp32": network(99_000, {"skeleton+inertial": score(420)})}
    put(root, "ablation", run("ablation", 0, networks=whole, pruned=entries))
    write(root)
    page = "docs/compression.md"
    cells = line_of(root, "student | 50 % | means", page).split(" | ")
    assert cells[3:8] == ["420, 421, 422 of 430", "46.51 ± 0.00", "418, 419, 420 of 430", "0.47 ± 0.00", "99"]
    assert line_of(root, "student | 50 % | recordings", page).split(" | ")[6:8] == ["0.00 ± 0.00", ""]
    assert line_of(root, "unpruned", page).split(" | ")[1] == "420, 422, 424 of 430"
    assert line_of(root, "50 % removed", page).split(" | ")[1] == "417, 418, 419 of 430"
    assert line_of(root, "l2", page) == "| l2 | 4.65 (40 s) | 0.23 (40 s) |"
    assert line_of(root, "random", page) == "| random | 9.30 (40 s) |  |"
    assert (root / "docs/images/compression-utd-mhad.svg").is_file()
    title = "student, fp32, 50 % of the multiply-adds removed without data"
    assert line_of(root, title).split(" | ")[2] == "418, 419, 420 of 430"


def test_what_the_teacher_gives_the_student_is_a_gain_by_share(root: Path) -> None:
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
    lines = (root / "README.md").read_text().splitlines()
    rows = [line.split(" | ") for line in lines[lines.index("#### The student with and without its teacher") :]]
    found = {cells[0].removeprefix("| "): cells[1:] for cells in rows if len(cells) == 7}
    assert found["10 %, pseudo-labels (equal)"][3:] == ["+6.98", "400, 401 of 430", "370, 371 of 430 |"]
    assert found["100 %"][3] == "+0.93"
    assert any(line.startswith("Pseudo-labels (equal): ") for line in lines)
    assert line_of(root, "student, fp32, 10 % of the labels and its teachers").split(" | ")[2] == "400, 401 of 430"
    # Students have no part in what pretraining gains.
    assert line_of(root, "10 % | 43").split(" | ")[2:5] == ["90.00", "80.00", "+10.00"]


def test_other_methods_stand_under_the_networks(root: Path) -> None:
    kinds = {"tcn": {"parameters": 90_006, "seconds": 12.0, "scores": {"skeleton+inertial": score(400)}}}
    put(root, "baselines", run("baselines", 0, baselines=kinds))
    write(root)
    assert "| 400 of 430 | 93.02 |" in line_of(root, "TCN | skeleton + inertial", "docs/baselines.md")
    assert line_of(root, "teacher | skeleton + inertial", "docs/baselines.md")


def test_what_was_written_does_not_differ_until_a_file_a_page_or_a_figure_changes(root: Path) -> None:
    written = write(root)
    assert written == ["README.md", "docs/robustness.md", "docs/images/robustness-utd-mhad.svg"]
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
    assert set(differences(root)) == set(written)


def test_without_suites_there_are_only_the_runs_of_the_pipeline(root: Path) -> None:
    shutil.rmtree(root / "docs/results")
    (root / "docs/results").mkdir()
    assert differences(root) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one["networks"]["teacher"]["scores"]["skeleton"].update(correct=1), "is not 1/430"),
        (
            lambda one: one["networks"]["teacher"]["scores"]["skeleton"]["per_subject"]["s2"].update(correct=1),
            "per_subject does not add up to 400",
        ),
        (lambda one: one["config"]["recipe"].update(finetune="--updates 9"), "options of the trainings differ"),
        (lambda one: one.update(format="other"), "format 'other'"),
        (lambda one: one.pop("config"), r"accuracy-0\.json: no config, or not of its kind"),
        (lambda one: one.update(suite="luck"), "suite 'luck'"),
        (lambda one: one["dataset"].update(test_subjects=["s1"], train_subjects=["s1"]), "s1 trained and was tested"),
        (lambda one: one["dataset"].update(test_subjects=["s9"]), "counts s2.*, who were not tested"),
        (lambda one: one["networks"]["teacher"]["scores"]["skeleton"].update(macro_f1=7.0), "macro_f1 7.0 is no share"),
        (lambda one: one["networks"]["student"]["faults"].update(overall=0.99), "is not the mean of its categories"),
        (lambda one: one["networks"]["teacher"].pop("parameters"), "results of .*KeyError: 'parameters'"),
        (lambda one: one.update(seed=1), "both are seed 1"),
    ],
)
def test_files_that_contradict_themselves_or_each_other_are_refused(change: Any, said: str, root: Path) -> None:
    one = accuracy(0, 420)
    change(one)
    put(root, "accuracy-0", one)
    with pytest.raises(DataError, match=said):
        differences(root)
