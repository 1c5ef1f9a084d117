"""Render the result tables of README.md from docs/results/*.json; no figure is typed by hand.

python tools/results_table.py            rewrite them
python tools/results_table.py --check    exit 1 if README.md differs from the files
"""

import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "docs" / "results"
BEGIN, END = "<!-- results: python tools/results_table.py -->", "<!-- end of results -->"
MODELS = {
    "teacher": ("teacher", "finetune"),
    "student": ("student, fp32", "export"),
    "student-int8": ("student, INT8", "export"),
    "pruned": ("pruned without data, fp32", "export-pruned"),
    "pruned-int8": ("pruned without data, INT8", "export-pruned"),
}


def load_runs() -> list[tuple[str, dict[str, Any]]]:
    """Every committed run, by file name."""
    return [(path.stem, json.loads(path.read_text())) for path in sorted(RESULTS.glob("*.json"))]


def rows_of(run: dict[str, Any]) -> list[str]:
    """A table row for each network of a run."""
    stages = {stage["name"]: stage for stage in run["stages"]}
    rows: list[str] = []
    for key, score in run["evaluation"].items():
        name, stage = MODELS[key]
        facts = stages[stage]
        quantised = stages["quantize" + stage.removeprefix("export")] if key.endswith("int8") else facts
        low, high = score["wilson95"]
        rows.append(
            f"| {name} | {score['correct']}/{score['total']} | {100 * score['accuracy']:.2f} | "
            f"{100 * low:.1f} to {100 * high:.1f} | {100 * score['macro_f1']:.2f} | {facts['parameters']:,} | "
            f"{facts['macs'] / 1e6:.2f} M | {quantised['bytes'] / 1000:,.0f} kB |"
        )
    return rows


def section(name: str, run: dict[str, Any]) -> str:
    """Heading, table and command of one run."""
    data = run["dataset"]
    minutes = sum(stage["seconds"] for stage in run["stages"]) / 60
    lines = [
        f"### {data['name']}, {' + '.join(data['modalities'])}, {data['split']}",
        "",
        f"Trained on subjects {', '.join(data['train_subjects'])}; tested on {', '.join(data['test_subjects'])}.",
        "",
        "| network | right | % | 95 % interval | macro F1 | parameters | multiply-adds | bytes |",
        "|---|---|---|---|---|---|---|---|",
        *rows_of(run),
        "",
        f"`{run['command']}` · seed {run['seed']} · {minutes:.1f} minutes, {run['peak_resident_mb']:,} MB resident · "
        f"{run['date'][:10]} · [{name}.json](docs/results/{name}.json)",
    ]
    lines += [f"\n{caveat}" for caveat in data["caveats"]]
    return "\n".join(lines)


def rendered(readme: str) -> str:
    """What README.md should say, given what it says."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n\n".join(section(name, run) for name, run in load_runs())
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main(argv: list[str] | None = None) -> int:
    """Write the tables, or say whether they differ."""
    readme = REPOSITORY / "README.md"
    now = readme.read_text()
    wanted = rendered(now)
    if "--check" in (sys.argv[1:] if argv is None else argv):
        if now != wanted:
            sys.stderr.write("README.md differs from docs/results; run python tools/results_table.py\n")
        return int(now != wanted)
    if now != wanted:
        readme.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
