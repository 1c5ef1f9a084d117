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
        module, _, function = self.verb.partition(":")
        return " ".join((*(("python", "-m", module) if function else ("edgehar", self.verb)), *self.arguments))


def training_stage(
    run: Path, verb: str, folder: str, arguments: tuple[str, ...], model: str | None = None, name: str = ""
) -> Stage:
    """A stage that writes a checkpoint into a folder of the run."""
    checkpoint = run / folder
    products = (checkpoint / "weights.safetensors", checkpoint / "checkpoint.json")
    return Stage(name or verb, verb, (*arguments, "--out", str(checkpoint)), products, checkpoint, model)


def packaging_stages(run: Path, model: str, folder: str, out_of_fold: str | None = None) -> list[Stage]:
    """Export and quantise one network, and calibrate it if there are out-of-fold answers."""
    package, where = run / folder, str(run / folder)
    suffix = "" if model == "student" else f"-{model}"

    def graphs(precision: str) -> tuple[Path, ...]:
        return package / f"encoder.{precision}.onnx", package / f"head.{precision}.onnx"

    arrays = (package / "calibration.npz", package / "parity.npz")
    about = tuple(package / name for name in ("manifest.json", "manifest.sha256", "MODEL_CARD.md"))
    export = Stage(f"export{suffix}", "export", (str(run / model), "--out", where), graphs("fp32"))
    left = (*graphs("int8"), *arrays, *(about if out_of_fold is None else ()))
    quantize = Stage(f"quantize{suffix}", "quantize", (where, "--precisions", "int8"), left, amends=export.name)
    if out_of_fold is None:
        return [export, quantize]
    fit = (where, "--out-of-fold", out_of_fold)
    return [export, quantize, Stage(f"calibrate{suffix}", "calibrate", fit, about, amends=quantize.name)]


def proving_stages(run: Path, model: str, folder: str, bench_runs: int) -> list[Stage]:
    """Verify and measure one network's package."""
    where, bench = str(run / folder), run / "measured" / f"bench-{model}.json"
    suffix = "" if model == "student" else f"-{model}"
    return [
        Stage(f"verify{suffix}", "verify", (where,), ()),
        Stage(f"bench{suffix}", "bench", (where, "--runs", str(bench_runs), "--json", str(bench)), (bench,)),
    ]


def scoring_stage(
    run: Path, source: tuple[str, ...], folder: str, precision: str, name: str, more: tuple[str, ...] = ()
) -> Stage:
    """Score a package on its test subjects; the result is `measured/evaluate-NAME.json`."""
    result = run / "measured" / f"evaluate-{name}.json"
    arguments = (str(run / folder), *source, *more, "--precision", precision, "--json", str(result))
    return Stage(f"evaluate-{name}", "evaluate", arguments, (result,), model=name)


def logits_stage(run: Path, source: tuple[str, ...], folder: str) -> Stage:
    """Keep a checkpoint's answers on its test subjects, with all sensors and with each alone."""
    result = run / "measured" / f"logits-{folder}.npz"
    arguments = (str(run / folder), *source, "--out", str(result))
    return Stage(f"logits-{folder}", "edgehar.student.logits:main", arguments, (result,))


def source_of(data: tuple[str, ...]) -> tuple[str, ...]:
    """Of the options that name the recordings, those that say where they are.

    What reads a package or a checkpoint finds sensors, split and activities there.
    """
    choices = [data.index(option) for option in ("--split", "--modalities", "--without") if option in data]
    return data[: min(choices, default=len(data))]


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
    source = source_of(data)
    return [
        training_stage(run, "pretrain", "pretrained", (*common, *data)),
        training_stage(run, "finetune", "teacher", (*common, "--pretrained", str(run / "pretrained")), "teacher"),
        training_stage(run, "distill", "student", (*common, "--teacher", str(run / "teacher")), "student"),
        training_stage(run, "prune", "pruned", (str(run / "student"), *common, "--macs", str(macs))),
        *packaging_stages(run, "student", "package"),
        *proving_stages(run, "student", "package", bench_runs),
        *packaging_stages(run, "pruned", "package-pruned"),
        *proving_stages(run, "pruned", "package-pruned", bench_runs),
        scoring_stage(run, source, "package", "int8", "student-int8"),
        scoring_stage(run, source, "package-pruned", "fp32", "pruned"),
        scoring_stage(run, source, "package-pruned", "int8", "pruned-int8"),
    ]
