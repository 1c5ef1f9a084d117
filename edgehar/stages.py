"""The plan of a run: which verbs with which arguments, in which order, and what each leaves behind."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """One verb with its arguments.

    Attributes:
        name: of the stage, unique in a run.
        verb: of the `edgehar` command.
        arguments: as typed.
        products: files that must be there, as this stage left them, for it to be skipped.
        checkpoint: folder of the checkpoint it writes, if it writes one.
        model: key of the score it gives, if it gives one.
        amends: stage whose product this one changes in place, and which must run again if this one must.
    """

    name: str
    verb: str
    arguments: tuple[str, ...]
    products: tuple[Path, ...]
    checkpoint: Path | None = None
    model: str | None = None
    amends: str | None = None

    @property
    def command(self) -> str:
        """What a person would type."""
        return " ".join(("edgehar", self.verb, *self.arguments))


def _training(run: Path, verb: str, folder: str, arguments: tuple[str, ...], model: str | None = None) -> Stage:
    checkpoint = run / folder
    products = (checkpoint / "weights.safetensors", checkpoint / "checkpoint.json")
    return Stage(verb, verb, (*arguments, "--out", str(checkpoint)), products, checkpoint, model)


def _packaging(run: Path, model: str, folder: str, bench_runs: int) -> list[Stage]:
    """Export, quantise, verify and measure one network."""
    package, measured = run / folder, run / "measured"
    suffix = "" if model == "student" else f"-{model}"

    def graphs(precision: str) -> tuple[Path, ...]:
        return package / f"encoder.{precision}.onnx", package / f"head.{precision}.onnx"

    rest = tuple(package / name for name in ("manifest.json", "calibration.npz", "parity.npz", "MODEL_CARD.md"))
    bench, where = measured / f"bench-{model}.json", str(package)
    return [
        Stage(f"export{suffix}", "export", (str(run / model), "--out", where), graphs("fp32")),
        Stage(f"quantize{suffix}", "quantize", (where,), (*graphs("int8"), *rest), amends=f"export{suffix}"),
        Stage(f"verify{suffix}", "verify", (where,), ()),
        Stage(f"bench{suffix}", "bench", (where, "--runs", str(bench_runs), "--json", str(bench)), (bench,)),
    ]


def _scoring(run: Path, data: tuple[str, ...], model: str, folder: str, precision: str) -> Stage:
    name = model if precision == "fp32" else f"{model}-{precision}"
    result = run / "measured" / f"evaluate-{name}.json"
    arguments = (str(run / folder), *data, "--precision", precision, "--json", str(result))
    return Stage(f"evaluate-{name}", "evaluate", arguments, (result,), model=name)


def plan(
    run: Path, training: tuple[str, ...], seed: int, macs: float, bench_runs: int, data: tuple[str, ...]
) -> list[Stage]:
    """Every stage of a run, in order.

    Args:
        run: folder of the run.
        training: the options that say how large and how long the trainings are, as typed.
        seed: of every training.
        macs: share of the multiply-adds the pruned student keeps.
        bench_runs: timed runs per figure.
        data: the options that name the recordings, as typed.
    """
    common = (*training, "--seed", str(seed))
    # Evaluation reads sensors and split from the package; it is told only where the recordings are.
    source = data[: data.index("--modalities")] if "--modalities" in data else data
    source = source[: source.index("--split")] if "--split" in source else source
    return [
        _training(run, "pretrain", "pretrained", (*common, *data)),
        _training(run, "finetune", "teacher", (*common, "--pretrained", str(run / "pretrained")), "teacher"),
        _training(run, "distill", "student", (*common, "--teacher", str(run / "teacher")), "student"),
        _training(run, "prune", "pruned", (str(run / "student"), *common, "--macs", str(macs))),
        *_packaging(run, "student", "package", bench_runs),
        *_packaging(run, "pruned", "package-pruned", bench_runs),
        _scoring(run, source, "student", "package", "int8"),
        _scoring(run, source, "pruned", "package-pruned", "fp32"),
        _scoring(run, source, "pruned", "package-pruned", "int8"),
    ]
