"""What docs/results/board holds, measured by tools and `edgehar`'s own commands, as tables for docs/benchmark.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgehar.errors import DataError
from edgehar.files.atomic import read_json
from tools.result_figures import Run
from tools.result_tables import files_line, table


def _ms(figure: Run) -> str:
    """Median, and in brackets 95th and 99th percentile."""
    return f"{figure['median_ms']:.3f} ({figure['p95_ms']:.3f}, {figure['p99_ms']:.3f})"


def _machine(run: Run) -> list[str]:
    """Where it was measured, and what speaks against it."""
    device = run["device"]
    where = f"{device['board'] or device['cpu']}, {device['system']}, Python {device['python']}, "
    where += f"numpy {device['numpy']}, onnxruntime {device['onnxruntime']}"
    litert = device.get("litert")
    remarks = [f"Careful: {remark}." for remark in run.get("remarks", [])]
    return ["", " ".join([f"{where}{f', LiteRT {litert}' if litert else ''}.", *remarks])]


def speed_lines(run: Run) -> list[str]:
    """Every way to an answer, and the ratios that have a floor."""
    lines = [f"#### {run['name']} beside torch and a plain export, one thread, batch 1", ""]
    rows = [[name, _ms(path), f"{path['cpu_median_ms']:.3f}"] for name, path in run["paths"].items()]
    lines += table(["path", "median ms (95th, 99th percentile)", "processor ms"], rows)
    rows = [
        [row["what"], f"{row['wall']:.2f}", f"{row['floor']:g}", "yes" if row["reached"] else "no"]
        for row in run["floors"]
    ]
    lines += ["", *table(["slow / fast", "ratio", "floor", "reached"], rows)]
    return [*lines, *_machine(run)]


def pruned_lines(run: Run) -> list[str]:
    """Time of pruned packages beside the unpruned one."""
    rows = [
        [
            row["package"],
            row["way"].removesuffix("ExecutionProvider"),
            f"{row['parameters']:,}",
            f"{row['macs'] / 1e6:.2f} M",
            _ms(row),
            f"{row['speed_up']:.2f}",
            f"{row['macs_ratio']:.2f}",
            f"{row['share']:.2f}",
        ]
        for row in run["rows"]
    ]
    heads = [
        "package", "way", "parameters", "multiply-adds", "window, ms", "times as fast", "times fewer multiply-adds",
        f"of these (floor {run['floor']:g})",
    ]  # fmt: skip
    return ["#### What pruning gains in time, features to logits, one thread", "", *table(heads, rows), *_machine(run)]


def bench_lines(run: Run) -> list[str]:
    """Latency, throughput, start and memory of each precision."""
    lines = [f"#### {run['name']}, from samples to prediction, {run['threads']} thread(s)", ""]
    rows = [
        [
            precision,
            entry["providers"][0].removesuffix("ExecutionProvider"),
            _ms(entry["window"]),
            _ms(entry["hop"]),
            f"{entry['hops_per_s']:.0f}",
            f"{entry['times_real_time']:.0f}",
            f"{1000 * entry['cold_start_s']:.0f}"
            + (f" ({1000 * bare:.0f})" if (bare := entry.get("bare_start_s")) else ""),
            f"{entry['resident_bytes'] / 2**20:.1f}",
            f"{entry['graph_bytes']:,}",
        ]
        for precision, entry in run["precisions"].items()
    ]
    heads = ["precision", "provider", "window ms", "hop ms", "hops/s", "x real time", "cold start ms", "MiB", "bytes"]
    return [*lines, *table(heads, rows), *_machine(run)]


def soak_lines(run: Run) -> list[str]:
    """How a stream that does not end fared."""
    medians = run["median_latency_ms"]
    rows = [
        ["hops", f"{run['hops']:,} ({run['stream_s'] / 3600:.0f} hours of signal)"],
        ["memory grew after the first 1,000 hops by", f"{run['growth_bytes'] / 1e6:.2f} MB (floor: under 1 MB)"],
        ["median latency, first and last tenth", f"{medians[0]:.3f} and {medians[-1]:.3f} ms (floor: within 10 %)"],
        ["times real time, faults and all", f"{run['times_real_time']:.0f}"],
        ["faults on the way", ", ".join(f"{name} {count:,}" for name, count in run["faults"].items())],
    ]
    return ["#### A stream that does not end", "", *table(["", run["precision"]], rows), *_machine(run)]


def chaos_lines(run: Run) -> list[str]:
    """How many random schedules broke a promise."""
    shown = ", ".join(f"{name} in {count:,}" for name, count in run["with_fault"].items())
    said = f"{run['schedules']:,} random schedules, {run['broken']} broke a promise. Faults: {shown}."
    return ["#### Everything sensors do wrong", "", said]


def fuzz_lines(run: Run) -> list[str]:
    """How damaged packages ended."""
    results = ", ".join(f"{count} {name}" for name, count in run["results"].items())
    said = f"{run['packages']:,} damaged packages: {results}; {len(run['not_as_they_should'])} not as they should, "
    said += f"the slowest after {run['slowest_s']:.2f} s. Accepted are those whose damage means nothing, and those "
    said += "whose checksums were made right again and that are still a package."
    return ["#### Damaged packages", "", said]


def stream_lines(run: Run) -> list[str]:
    """Segments and delays of continuous recordings, streamed."""
    segments, delay = run["segments"]["stream"], run["delay"]
    lines = [f"#### {run['data']}, split {run['split']}, {run['precision']}, streamed end to end", ""]
    rows = [
        [name, f"{value:.2f}", f"{run['percent']['stream'][name]:.2f}"]
        for name, value in run["percent"]["offline"].items()
    ]
    lines += table(["%", "whole recordings", "stream"], rows)
    said = f"{segments['recordings']} recordings, {segments['labelled_s']:.0f} s, {segments['true']} segments; at most "
    said += f"{run['most_points']:.2f} points apart (floor: 0.5). Delay until an activity is named: median "
    said += f"{delay['median_s']:.2f} s, 90 % within {delay['p90_s']:.2f} s; {segments['false_alarms_per_hour']:.1f} "
    said += "false alarms an hour."
    return [*lines, "", said]


KINDS: dict[str, Callable[[Run], list[str]]] = {
    "edgehar-speed": speed_lines,
    "edgehar-pruned-speed": pruned_lines,
    "edgehar-bench": bench_lines,
    "edgehar-soak": soak_lines,
    "edgehar-chaos": chaos_lines,
    "edgehar-fuzz": fuzz_lines,
    "edgehar-stream": stream_lines,
}


def load_board(folder: Path) -> list[tuple[str, Run]]:
    """Name and content of every file, in the order of `KINDS`; raises DataError for a file of another format."""
    found: list[tuple[str, Run]] = []
    for path in sorted(folder.glob("*.json")):
        run: Any = read_json(path)
        kind = run.get("format") if isinstance(run, dict) else None
        if kind not in KINDS:
            raise DataError(f"{path}: format {kind!r}; expected one of {', '.join(KINDS)}; move it elsewhere")
        found.append((path.name, run))
    return sorted(found, key=lambda item: list(KINDS).index(item[1]["format"]))


def board_section(found: list[tuple[str, Run]]) -> list[str]:
    """Everything docs/benchmark.md says of measurements; each with the command that gives it again."""
    lines: list[str] = []
    for name, run in found:
        lines += [
            "",
            *KINDS[run["format"]](run),
            "",
            f"`{run['command']}`, {run['date'][:10]}. {files_line([name], 'results/board')}",
        ]
    return lines[1:]
