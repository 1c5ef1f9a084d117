"""Render every table and figure of the documentation from docs/results/*.json; no figure is typed by hand.

    python tools/results.py            rewrite README.md, pages of docs and docs/images
    python tools/results.py --check    exit 1 if one of them differs from the files

What others published comes from docs/published.json.
"""

import re
import sys
from pathlib import Path
from typing import Any

from edgehar.cli import guarded
from edgehar.errors import DataError
from edgehar.files import atomic_file, digest_of, read_json
from tools.board_tables import board_section, load_board
from tools.compression_tables import (
    COMPRESSION_HEADS,
    PACKAGED_HEADS,
    ablation_table,
    compression_data,
    compression_table,
    packaged_table,
)  # fmt: skip
from tools.figures import draw, labels_data, robustness_data, shows
from tools.result_figures import Run, check_scores
from tools.result_summary import summary_table
from tools.result_tables import (
    baselines_table,
    cost_table,
    files_line,
    labels_table,
    networks_table,
    notes,
    pipeline_section,
    robustness_table,
    scenarios_table,
    subjects_table,
    table,
    unknown_table,
)  # fmt: skip

REPOSITORY = Path(__file__).resolve().parent.parent
END = "<!-- end of results -->"
README = "<!-- results: python tools/results.py -->"
ROBUSTNESS = "<!-- results: robustness -->"
BASELINES = "<!-- results: baselines -->"
BOARD = "<!-- results: board -->"
COMPRESSION = "<!-- results: compression -->"
COMPRESSED = ("compression", "compression-teacher")
SUITES = ("accuracy", "sensors", "loso", "folds", "labels", "baselines", "unknown", *COMPRESSED, "ablation")

Groups = dict[str, dict[str, list[tuple[str, Run]]]]
"""Data set (and preset, unless base) -> suite -> name and content of its files."""


def load(folder: Path) -> tuple[list[tuple[str, Run]], Groups]:
    """The runs of the pipeline, and those of the suites; raises DataError for a file that contradicts itself."""
    pipelines: list[tuple[str, Run]] = []
    groups: Groups = {}
    for path in sorted(folder.glob("*.json")):
        run: Run = read_json(path)
        kind = run.get("format") if isinstance(run, dict) else None
        try:
            check_scores(path.name, run)
        except (ValueError, ZeroDivisionError) as problem:
            raise DataError(f"{problem}; expected counts that add up; measure again") from None
        if kind == "edgehar-results":
            pipelines.append((path.stem, run))
        elif kind == "edgehar-run":
            suite = groups.setdefault(_group(run), {name: [] for name in SUITES})[run["suite"]]
            suite.append((path.name, run))
        else:
            raise DataError(f"{path}: format {kind!r}; expected edgehar-results or edgehar-run; move it elsewhere")
    for suites in groups.values():
        for found in suites.values():
            _check_alike(found)
            found.sort(key=lambda item: item[1]["seed"])
    return pipelines, groups


def _group(run: Run) -> str:
    """Data set, and what was asked for that is not the default."""
    recipe, words = run["config"]["recipe"], run["command"].split()
    parts = [run["dataset"]["name"]]
    for option in ("--split", "--modalities", "--without"):
        parts += [f"{option[2:]} {words[words.index(option) + 1]}"] if option in words else []
    parts += [f"preset {recipe['preset']}"] if recipe["preset"] != "base" else []
    share = recipe["update_share"]
    return ", ".join([*parts, *([f"{100 * share:g} % of the updates"] if share != 1 else [])])


def _check_alike(found: list[tuple[str, Run]]) -> None:
    """Raise DataError if the seeds of one suite were not trained in the same way."""
    kinds = {digest_of(run["config"]): name for name, run in found}
    if len(kinds) > 1:
        raise DataError(
            f"{', '.join(kinds.values())}: options of the trainings differ; expected the same in all files of a suite; "
            "delete the old ones and measure again"
        )


def _runs(found: list[tuple[str, Run]]) -> list[Run]:
    return [run for _, run in found]


def _split(run: Run) -> str:
    return run["dataset"]["split"]


def image_of(group: str, kind: str) -> str:
    """File name of a group's figure."""
    return f"{kind}-{re.sub(r'[^a-z0-9]+', '-', group.lower()).strip('-')}.svg"


def figures_of(groups: Groups) -> dict[str, dict[str, Any]]:
    """File name -> data of every figure."""
    figures: dict[str, dict[str, Any]] = {}
    for group, suites in groups.items():
        for kind, data in (
            ("robustness", robustness_data(_runs(suites["accuracy"]))),
            ("labels", labels_data(_runs(suites["labels"]))),
            ("compression", compression_data([run for suite in COMPRESSED for run in _runs(suites[suite])])),
        ):
            if data is not None:
                figures[image_of(group, kind)] = data
    return figures


def group_section(group: str, suites: dict[str, list[tuple[str, Run]]], published: dict[str, Any]) -> list[str]:
    """Everything README says of the suites of one data set."""
    found = {suite: _runs(items) for suite, items in suites.items() if items}
    first = next(iter(found.values()))[0]
    known: dict[str, Any] = published.get(first["dataset"]["name"], {})
    lines = [f"### {group}", "", *summary_table(found, known)]
    lines += ["", "± is the sample standard deviation over seeds; the interval is Wilson's, of the mean count."]
    lines += [known["note"]] if known else []
    lines += [line for caveat in first["dataset"]["caveats"] for line in ("", caveat)]
    titles = {
        "accuracy": f"Accuracy, {_split(found['accuracy'][0])}" if "accuracy" in found else "",
        "loso": "Each subject left out once",
        "folds": "Subjects in folds",
        "labels": "Few labels",
        "baselines": "Other methods",
        "unknown": "Activities left out of training",
        "compression": "Pruned without data",
    }
    for suite, runs in found.items():
        if suite in ("compression-teacher", "ablation"):  # on their own page only
            continue
        match suite:
            case "accuracy":
                body = networks_table(runs)
                if robustness_data(runs):
                    image = image_of(group, "robustness")
                    body += ["", *robustness_table(runs, known)]
                    body += ["", f"![Every scenario](docs/images/{image}) [Scenarios](docs/robustness.md)"]
            case "sensors":
                sensors = dict.fromkeys("+".join(run["dataset"]["modalities"]) for run in runs)
                for sensor in sensors:
                    some = [run for run in runs if run["dataset"]["modalities"] == sensor.split("+")]
                    lines += ["", f"#### Trained for {sensor} alone", "", *networks_table(some), *notes(some)]
                lines += ["", files_line([name for name, _ in suites[suite]])]
                continue
            case "loso" | "folds":
                body = subjects_table(runs)
            case "labels":
                image = image_of(group, "labels")
                body = [*labels_table(runs), "", f"![Accuracy by share of the labels](docs/images/{image})"]
            case "baselines":
                body = baselines_table(runs, found.get("accuracy", []))
            case "compression":
                body = [*table(COMPRESSION_HEADS, compression_table(runs)), "", "[How](docs/compression.md)"]
            case _:
                body = unknown_table(runs)
        lines += ["", f"#### {titles[suite]}", "", *body, *notes(runs)]
        lines += ["", files_line([name for name, _ in suites[suite]])]
    return [*lines, "", "#### What it costs", "", *cost_table(found)]


def section(text: str, begin: str, lines: list[str]) -> str:
    """The text with the part between its markers replaced; raises DataError if it lacks them."""
    before, start, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise DataError(f"no {begin} followed by {END}; expected both around the results; put them where they belong")
    body = "\n".join(lines)
    return f"{before}{begin}\n\n{body}\n\n{END}{after}" if body else f"{before}{begin}\n{END}{after}"


def robustness_section(groups: Groups, published: dict[str, Any]) -> list[str]:
    """Categories, scenarios and the figure of every data set."""
    lines: list[str] = []
    for group, suites in groups.items():
        runs = _runs(suites["accuracy"])
        if robustness_data(runs) is None:
            continue
        known = published.get(runs[0]["dataset"]["name"], {})
        lines += ["", f"### {group}, {_split(runs[0])}", "", *robustness_table(runs, known)]
        lines += ["", f"![Every scenario](images/{image_of(group, 'robustness')})"]
        lines += ["", *scenarios_table(runs), *notes(runs)]
    return lines[1:]


def compression_section(groups: Groups) -> list[str]:
    """What pruning costs, with which windows and by which criterion, of every data set."""
    lines: list[str] = []
    for group, suites in groups.items():
        for suite in COMPRESSED:
            if runs := _runs(suites[suite]):
                lines += ["", f"### {group}, {_split(runs[0])}: {runs[0]['pruned'][0]['network']}"]
                lines += ["", *table(COMPRESSION_HEADS, compression_table(runs)), *notes(runs)]
        if runs := _runs(suites["compression"]):
            lines += ["", f"![Accuracy by multiply-adds](images/{image_of(group, 'compression')})"]
            lines += ["", *table(PACKAGED_HEADS, packaged_table(runs, _runs(suites["accuracy"])))]
        if runs := _runs(suites["ablation"]):
            heading = f"### {group}: points lost (and time) with half of the student's multiply-adds removed"
            lines += ["", heading, "", *table(*ablation_table(runs)), *notes(runs)]
    return lines[1:]


def baselines_section(groups: Groups) -> list[str]:
    """The table of other methods of every data set."""
    lines: list[str] = []
    for group, suites in groups.items():
        if runs := _runs(suites["baselines"]):
            body = baselines_table(runs, _runs(suites["accuracy"]))
            lines += ["", f"### {group}, {_split(runs[0])}", "", *body, *notes(runs)]
    return lines[1:]


def documents(root: Path) -> tuple[dict[Path, str], dict[Path, dict[str, Any]]]:
    """What every page should say, and the data every figure should show."""
    pipelines, groups = load(root / "docs" / "results")
    known = root / "docs" / "published.json"
    published: dict[str, Any] = read_json(known) if known.is_file() else {}
    readme: list[str] = []
    for group, suites in groups.items():
        readme += ["", *group_section(group, suites, published)]
    for name, run in pipelines:
        readme += ["", *pipeline_section(name, run)]
    pages: dict[Path, str] = {}
    for path, begin, lines in (
        (root / "README.md", README, readme[1:]),
        (root / "docs" / "robustness.md", ROBUSTNESS, robustness_section(groups, published)),
        (root / "docs" / "baselines.md", BASELINES, baselines_section(groups)),
        (root / "docs" / "compression.md", COMPRESSION, compression_section(groups)),
        (root / "docs" / "benchmark.md", BOARD, board_section(load_board(root / "docs" / "results" / "board"))),
    ):
        if path.is_file():
            pages[path] = section(path.read_text(encoding="utf-8"), begin, lines)
    return pages, {root / "docs" / "images" / name: data for name, data in figures_of(groups).items()}


def differences(root: Path) -> list[str]:
    """The pages and figures that are not what the files say."""
    pages, figures = documents(root)
    wrong = [path for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
    wrong += [path for path, data in figures.items() if not shows(path, data)]
    return [str(path.relative_to(root)) for path in wrong]


def write(root: Path) -> list[str]:
    """Rewrite what differs; the names of it."""
    wrong, (pages, figures) = differences(root), documents(root)
    for path, text in pages.items():
        if str(path.relative_to(root)) in wrong:
            with atomic_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    for path, data in figures.items():
        if str(path.relative_to(root)) in wrong:
            draw(data, path)
    return wrong


def main(argv: list[str] | None = None) -> int:
    """Write the tables and figures, or say which differ."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python tools/results.py [--check]\n")
        return 2
    if arguments:
        wrong = differences(REPOSITORY)
        if wrong:
            sys.stderr.write(f"{', '.join(wrong)} differ from docs/results; run python tools/results.py\n")
        return int(bool(wrong))
    for name in write(REPOSITORY):
        sys.stdout.write(f"{name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
