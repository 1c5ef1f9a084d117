"""Renders a result of `edgehar bench` as text."""

from typing import Any

from edgehar.deploy.bench.stability import fastest_mhz, hottest_c

NAMES = {"window": "whole window", "hop": "stream hop"}
FACTS = ("cpu", "board", "power_mode", "governor", "system", "python", "numpy", "onnxruntime")


def format_mib(count: float | None) -> str:
    """Bytes as MiB."""
    return "unknown" if count is None else f"{count / 2**20:.1f} MiB"


def energy_line(energy: dict[str, Any]) -> str:
    """Energy per prediction, or the reason why there is none."""
    if "reason" in energy:
        return f"energy not measured: {energy['reason']}"
    return (
        f"energy {1000 * energy['joules']:.3f} mJ per hop, {1000 * energy['joules_above_idle']:.3f} mJ above idle "
        f"({energy['busy_w']:.2f} W, idle {energy['idle_w']:.2f} W; {energy['source']})"
    )


def state_line(name: str, state: dict[str, Any]) -> str:
    """Load, temperature and clock at one time."""
    load, hottest, fastest = state["load_average"], hottest_c(state), fastest_mhz(state)
    most = max((core["most"] or 0.0 for core in state["clocks_mhz"].values()), default=0.0)
    parts = ["load average unknown" if load is None else f"load average {load:.2f}"]
    parts += ["temperature unknown" if hottest is None else f"hottest zone {hottest:.1f} degrees"]
    clock = "clock unknown" if fastest is None else f"fastest core {fastest:.0f} MHz"
    return f"  {name:<12}{', '.join(parts)}, {clock}{f' of {most:.0f}' if most else ''}"


def benchmark_table(document: dict[str, Any]) -> str:
    """The document as text."""
    lines = [f"{document['name']}: {document['parameters']} parameters, {document['threads']} thread(s)"]
    lines += [f"  {key:<12}{document['device'][key]}" for key in FACTS]
    lines += [state_line(name, document[name]) for name in ("before", "after")]
    header = f"{'':<16}{'median':>9}{'p95':>9}{'p99':>9}{'prepare':>9}{'encoder':>9}{'head':>9}   (ms)"
    for precision, entry in document["precisions"].items():
        lines += ["", f"{precision} on {', '.join(entry['providers'])}", header]
        for kind, name in NAMES.items():
            keys = ("median_ms", "p95_ms", "p99_ms", "preprocess_ms", "encoder_ms", "head_ms")
            lines.append(f"{name:<16}" + "".join(f"{entry[kind][key]:>9.3f}" for key in keys))
        lines += [
            f"{entry['hops_per_s']:.0f} hops/s over {entry['sustained']['seconds']:.1f} s without pause, "
            f"{entry['times_real_time']:.0f} times real time",
            f"cold start {entry['cold_start_s']:.3f} s (numpy and onnxruntime alone {entry['bare_start_s']:.3f} s)",
            f"resident memory {format_mib(entry['resident_bytes'])}, "
            f"peak {format_mib(entry['peak_resident_bytes'])}, graphs {entry['graph_bytes']} bytes",
            energy_line(entry["energy"]),
            "networks at "
            + ", ".join(f"{entry[kind]['limit_share']:.1%} of the limit ({name})" for kind, name in NAMES.items()),
        ]
    limits = ", ".join(f"{NAMES[kind]} {value:.4f} ms" for kind, value in document["limit_ms"].items())
    peak = document["fp32_peak_macs_per_s"] / 1e9
    lines += ["", f"limit at this machine's fp32 matrix peak ({peak:.1f} G multiply-adds/s): {limits}"]
    return "\n".join([*lines, *(f"warning: {remark}" for remark in document["remarks"])])
