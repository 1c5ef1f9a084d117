"""Ratios of the latencies that tools/speed/runtimes.py measured, with their floors, and a text table of both."""

from collections.abc import Callable
from typing import Any

EAGER, COMPILED = "torch eager", "torch.compile"
PLAIN, PLAIN_OFF = "plain onnxruntime", "plain onnxruntime, unoptimised"
"""The unoptimised export with and without onnxruntime's graph optimisations."""
PREPARE = "preparing a window"
NETWORK, END_TO_END = "features to logits", "samples to answer"

Row = dict[str, Any]
Figure = Callable[[str], float]
"""Name of a time, such as "median_ms" -> milliseconds."""


def floors(paths: dict[str, dict[str, float]], precisions: list[str], known_ms: dict[str, float]) -> list[Row]:
    """Every ratio with a floor, of wall time and of CPU time; both must reach the floor.

    Args:
        paths: implementation -> times in milliseconds, with the names of tools/speed/runtimes.py.
        precisions: of the package, also with LiteRT; the fastest one counts.
        known_ms: "window limit" and "hop limit", the arithmetic limits, and "hop", the duration of a hop's signal.
    """

    def of(*names: str) -> Figure:
        return lambda key: sum(paths[name][key] for name in names)

    def fastest(part: str) -> Figure:
        return lambda key: min(paths[f"edgehar {precision}, {part}"][key] for precision in precisions)

    def constant(name: str) -> Figure:
        return lambda _: known_ms[name]

    ratios: list[tuple[str, Figure, Figure, float, float | None]] = []
    for other, floor in ((EAGER, 8.0), (PLAIN, 1.5), (PLAIN_OFF, 1.5)):
        ratios += [
            (f"{other} / window ({NETWORK})", of(other), fastest("window"), floor, None),
            (f"{other} / hop ({NETWORK})", of(other), fastest("hop"), floor, None),
            (f"{other} / hop ({END_TO_END})", of(PREPARE, other), fastest("hop from samples"), floor, None),
        ]
    ratios += [
        (f"arithmetic limit / window ({NETWORK})", constant("window limit"), fastest("window"), 0.3, 0.5),
        (f"arithmetic limit / hop ({NETWORK})", constant("hop limit"), fastest("hop"), 0.3, 0.5),
        (f"window / hop ({NETWORK})", fastest("window"), fastest("hop"), 4.0, 8.0),
        (f"window / hop ({END_TO_END})", fastest("window from samples"), fastest("hop from samples"), 4.0, 8.0),
        (f"real time / hop ({END_TO_END})", constant("hop"), fastest("hop from samples"), 200.0, None),
    ]
    rows: list[Row] = []
    for what, slow, fast, floor, aim in ratios:
        wall, cpu = (slow(key) / fast(key) for key in ("median_ms", "cpu_median_ms"))
        rows.append(
            {"what": what, "wall": wall, "cpu": cpu, "floor": floor, "aim": aim, "reached": min(wall, cpu) >= floor}
        )
    return rows


def table(result: dict[str, Any]) -> str:
    """The result as a text table."""
    eager_ms = result["paths"][EAGER]["median_ms"]
    width = max(map(len, [*result["paths"], *(row["what"] for row in result["floors"])]))
    lines = [f"{'':<{width}}{'median':>9}{'p95':>9}{'p99':>9}{'cpu':>9}   ms; speed-up over eager"]
    for name, entry in result["paths"].items():
        keys = ("median_ms", "p95_ms", "p99_ms", "cpu_median_ms")
        shown = "".join(f"{entry[key]:>9.3f}" for key in keys)
        lines.append(f"{name:<{width}}{shown}{eager_ms / entry['median_ms']:>9.2f}")
    lines += ["", f"{'':<{width}}{'wall':>9}{'cpu':>9}{'floor':>9}{'aim':>9}"]
    for row in result["floors"]:
        aim = "-" if row["aim"] is None else f"{row['aim']:g}"
        verdict = "reached" if row["reached"] else "missed"
        lines.append(
            f"{row['what']:<{width}}{row['wall']:>9.2f}{row['cpu']:>9.2f}{row['floor']:>9g}{aim:>9}  {verdict}"
        )
    lines += ["", f"nodes: {', '.join(f'{name} {count}' for name, count in result['nodes'].items())}"]
    lines += [f"torch.compile: {result['torch_compile']}"] if result["torch_compile"] else []
    return "\n".join([*lines, *(f"warning: {remark}" for remark in result["remarks"])])
