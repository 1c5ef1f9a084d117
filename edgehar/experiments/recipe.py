"""How the networks of cross-validation and of the suites are trained: sizes, lengths, and any option of each stage."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from edgehar.config import option
from edgehar.errors import ConfigError
from edgehar.experiments.pipeline import PRESETS, TRAININGS
from edgehar.experiments.stage import Stage, training_stage

LAST = TRAININGS[1:]
OWN = ("--out", "--seed", "--data", "--root", "--split", "--modalities", "--without", "--teacher", "--pretrained")
"""Options of a stage that follow from the run."""


@dataclass(frozen=True)
class Recipe:
    """The options of pretraining, fine-tuning, distillation and pruning."""

    preset: str = option("base", f"sizes and lengths: {', '.join(PRESETS)}")
    update_share: float = option(1.0, "share of every training's updates to do, for a quick look")
    pretraining: bool = option(
        True, "pretrain the teacher by masking before it is fine-tuned, or train it from scratch"
    )
    pretrain: str = option("", "more options of edgehar pretrain, as one word: --pretrain='--updates 1200'")
    finetune: str = option("", "more options of edgehar finetune, as one word")
    distill: str = option("", "more options of edgehar distill, as one word")
    prune: str = option("", "more options of edgehar prune, as one word (suites of compression, crossvalidation)")

    def __post_init__(self) -> None:
        """Refuse what no stage would take."""
        if self.preset not in PRESETS:
            raise ConfigError(f"--preset {self.preset}: expected one of {', '.join(PRESETS)}")
        if not self.update_share > 0:
            raise ConfigError(f"--update-share {self.update_share}: expected a number above 0")
        for verb in TRAININGS:
            self.refuse(verb, OWN)

    def more(self, verb: str) -> tuple[str, ...]:
        """What the user adds to a stage; raises ConfigError for quotes that do not end."""
        try:
            return tuple(shlex.split(str(getattr(self, verb))))
        except ValueError as problem:
            raise ConfigError(f"--{verb} {getattr(self, verb)!r}: {problem}; close the quotes") from None

    def refuse(self, verb: str, own: tuple[str, ...]) -> None:
        """Raise ConfigError for an added option of a stage that the run itself sets."""
        for word in self.more(verb):
            if word.partition("=")[0] in own:
                raise ConfigError(f"--{verb}={word}: this run sets {word.partition('=')[0]} itself; leave it out")

    def share(self) -> tuple[str, ...]:
        """How much shorter every training is, as typed."""
        return () if self.update_share == 1 else ("--update-share", str(self.update_share))

    def options(self, verb: str) -> tuple[str, ...]:
        """The options of a stage: preset, length, and what the user adds, which wins."""
        return ("--preset", self.preset, *self.share(), *self.more(verb))

    def stages(self, run: Path, data: tuple[str, ...], seed: int, until: str = "distill") -> list[Stage]:
        """Pretrain the teacher (if at all), fine-tune it, distil the student and prune it, or as far as asked."""
        seeded = ("--seed", str(seed))
        before, teacher = str(run / "pretrained"), str(run / "teacher")
        origin = ("--pretrained", before) if self.pretraining else data
        tuned = (*self.options("finetune"), *seeded, *origin)
        distilled = (*self.options("distill"), *seeded, "--teacher", teacher)
        pretrained = training_stage(run, "pretrain", "pretrained", (*self.options("pretrain"), *seeded, *data))
        pruned = (str(run / "student"), *self.options("prune"), *seeded)
        stages = [
            training_stage(run, "finetune", "teacher", tuned, "teacher"),
            training_stage(run, "distill", "student", distilled, "student"),
            training_stage(run, "prune", "pruned", pruned),
        ][: LAST.index(until) + 1]
        return [pretrained, *stages] if self.pretraining else stages

    def words(self) -> list[str]:
        """What to type for this recipe."""
        words = ["--preset", self.preset, *self.share(), *([] if self.pretraining else ["--no-pretraining"])]
        typed = {verb: str(getattr(self, verb)) for verb in TRAININGS}
        return words + [f"--{verb}={shlex.quote(more)}" for verb, more in typed.items() if more]
