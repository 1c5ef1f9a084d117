"""Options of `edgehar bench`."""

from dataclasses import dataclass

from edgehar.checks import MAX_THREADS
from edgehar.config import Options, option, positional
from edgehar.deploy.runtime.providers import PROVIDERS_HELP
from edgehar.deploy.runtime.signature import key_option
from edgehar.errors import ConfigError

MIN_RUNS = 500
MIN_TUNING_RUNS = 100
MAX_FLEET = 100_000


@dataclass(frozen=True)
class BenchConfig(Options):
    """Benchmark."""

    package: str | None = positional("folder of the edge package", None)
    precision: tuple[str, ...] = option((), "precisions to measure; default: all of the package's")
    runs: int = option(MIN_RUNS, f"timed runs per precision, {MIN_RUNS} or more; with --tune {MIN_TUNING_RUNS} or more")
    sustain_s: float = option(
        2.0, "seconds of hops without pause per precision; a minute shows throttling", above=0, at_most=86_400
    )
    cold_starts: int = option(3, "new processes per precision; the median is reported", at_least=1)
    threads: int = option(1, "threads of onnxruntime", at_least=1, at_most=MAX_THREADS)
    providers: tuple[str, ...] = option((), PROVIDERS_HELP)
    tune: bool = option(False, "only find the fastest precision, provider and threads up to --threads, and store them")
    fleet: int | None = option(
        None,
        "only measure a Fleet of this many people over --sustain-s of their streams; precision: the package's default",
        at_least=1,
        at_most=MAX_FLEET,
    )
    key: str | None = key_option()
    compare: tuple[str, ...] = option((), "only compare these files of --json", words=True)
    json: str | None = option(None, "also write the result to this file")

    def __post_init__(self) -> None:
        """Check the number of runs, and options that exclude each other."""
        super().__post_init__()
        if bool(self.compare) == (self.package is not None):
            found = f"a package and --compare {' '.join(self.compare)}" if self.compare else "no package"
            raise ConfigError(f"{found}; expected edgehar bench PACKAGE, or edgehar bench --compare A.json B.json")
        only = {
            "--compare": bool(self.compare),
            "--tune": self.tune,
            "--fleet": self.fleet is not None,
        }
        given = [name for name, is_given in only.items() if is_given]
        given += ["--key"] if self.compare and self.key is not None else []
        if len(given) > 1:
            raise ConfigError(f"{' with '.join(given)}: expected one of them; omit the other")
        if self.tune and self.precision:
            raise ConfigError("--tune with --precision: --tune measures all precisions; omit one of them")
        min_runs = MIN_TUNING_RUNS if self.tune else MIN_RUNS
        if self.runs < min_runs:
            raise ConfigError(f"--runs {self.runs}: expected {min_runs} or more")
