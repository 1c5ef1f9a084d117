"""What tools/speed.py timed, as ratios with floors and as lines for people."""

from collections.abc import Callable
from typing import Any

EAGER, COMPILED = "torch eager", "torch.compile"
PLAIN, PLAIN_OFF = "plain onnxruntime", "plain onnxruntime, unoptimised"
"""The same unoptimised export; in a session as it comes, and with onnxruntime's own graph optimisations off as well."""
PREPARE = "preparing a window"
NETWORK, WHOLE_WAY = "features to logits", "samples to answer"

Row = dict[str, Any]
Figure = Callable[[str], float]
"""What is divided: milliseconds, of wall time or of the processors."""


def floors(paths: dict[str, dict[str, float]], precisions: list[str], known_ms: dict[str, float]) -> list[Row]:
    """Every ratio that has a floor, by wall time and by the processors' time; both must reach it.

    Args:
        paths: name -> times in milliseconds, as `edge_paths`, `network_paths` and `main` name them.
        precisions: those of the package, and what LiteRT computes of them; the fastest of them counts.
        known_ms: "window limit" and "hop limit", and "hop", how much of the signal a hop is.
    """

    def of(*names: str) -> Figure:
        return lambda key: sum(paths[name][key] for name in names)

    def best(what: str) -> Figure:
        return lambda key: min(paths[f"edgehar {precision}, {what}"][key] for precision in precisions)

    def constant(name: str) -> Figure:
        return lambda _: known_ms[name]

    ratios: list[tuple[str, Figure, Figure, float, float | None]] = []
    for other, floor in ((EAGER, 8.0), (PLAIN, 1.5), (PLAIN_OFF, 1.5)):
        ratios += [
            (f"{other} / window ({NETWORK})", of(other), best("window"), floor, None),
            (f"{other} / hop ({NETWORK})", of(other), best("hop"), floor, None),
            (f"{other} / hop ({WHOLE_WAY})", of(PREPARE, other), best("hop from samples"), floor, None),
        ]
    ratios += [
        (f"arithmetic limit / window ({NETWORK})", constant("window limit"), best("window"), 0.3, 0.5),
        (f"arithmetic limit / hop ({NETWORK})", constant("hop limit"), best("hop"), 0.3, 0.5),
        (f"window / hop ({NETWORK})", best("window"), best("hop"), 4.0, 8.0),
        (f"window / hop ({WHOLE_WAY})", best("window from samples"), best("hop from samples"), 4.0, 8.0),
        (f"real time / hop ({WHOLE_WAY})", constant("hop"), best("hop from samples"), 200.0, None),
    ]
    rows: list[Row] = []
    for what, slow, fast, floor, aim in ratios:
        wall, cpu = (slow(key) / fast(key) for key in ("median_ms", "cpu_median_ms"))
        rows.append(
            {"what": what, "wall": wall, "cpu": cpu, "floor": floor, "aim": aim, "reached": min(wall, cpu) >= floor}
        )
    return rows


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    eager_ms = result["paths"][EAGER]["median_ms"]
    width = max(map(len, [*result["paths"], *(row["what"] for row in result["floors"])]))
    lines = [f"{'':<{width}}{'median':>9}{'p95':>9}{'p99':>9}{'cpu':>9}   ms; eager is so many times slower"]
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
    return "\n".join([*lines, *(f"careful: {remark}" for remark in result["remarks"])])
