"""The training options of cross-validation and of the suites: preset, length, and any option of each stage."""

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edgehar import verbs
from edgehar.choices import PRESET_NAMES
from edgehar.config import Options, option
from edgehar.data.registry import DataOptions
from edgehar.errors import ConfigError
from edgehar.experiments.stage import TRAININGS, Settings, Stage, network_stages

LAST = TRAININGS[1:]
"""Trainings that a run can end with."""

POSITIONAL = "checkpoint"
"""The only positional argument of a training, set by the run."""

SET_BY_THE_RUN = (
    "out", "seed", "teacher", "pretrained", "data", "root", "split", "modalities", "without", "frame_rate",
    "few_labels",
)  # fmt: skip
"""Options of a training that a recipe cannot have."""


@dataclass(frozen=True)
class Recipe(Options):
    """Training."""

    preset: str = option("base", "network sizes and training lengths", choices=PRESET_NAMES)
    update_share: float = option(1.0, "share of every training's updates, below 1 for a trial run", above=0)
    pretraining: bool = option(True, "pretrain the teacher by masking; without it the teacher starts from scratch")
    pretrain: str = option("", "further options of edgehar pretrain, quoted: --pretrain='--updates 1200'")
    finetune: str = option("", "further options of edgehar finetune, quoted")
    distill: str = option("", "further options of edgehar distill, quoted")
    prune: str = option("", "further options of edgehar prune, quoted (compression suites, crossvalidate)")

    def __post_init__(self) -> None:
        """Raise ConfigError for options that no stage takes or that the run sets."""
        super().__post_init__()
        for verb in TRAININGS:
            self.reject(verb, SET_BY_THE_RUN)

    def more(self, verb: str) -> Settings:
        """The further options of a training; raises ConfigError for an unclosed quote, or a word that is no option."""
        text = str(getattr(self, verb))
        try:
            words = shlex.split(text)
        except ValueError as problem:
            raise ConfigError(f"--{verb} {text!r}: {problem}; close the quotes") from None
        settings = verbs.given(verb, words) if words else {}
        if POSITIONAL in settings:
            raise ConfigError(f"--{verb}={text!r}: found the word {settings[POSITIONAL]!r}; expected options; omit it")
        return settings

    def reject(self, verb: str, names: Collection[str]) -> None:
        """Raise ConfigError if the further options of a training are among these, which the run sets."""
        for name in self.more(verb):
            if name in names:
                option_name = name.replace("_", "-")
                raise ConfigError(f"--{verb}={getattr(self, verb)!r}: this run sets --{option_name} itself; omit it")

    def base_settings(self) -> Settings:
        """Preset and update share of every training, the latter unless it is 1."""
        return {"preset": self.preset} | ({} if self.update_share == 1 else {"update_share": self.update_share})

    def settings(self, verb: str) -> Settings:
        """Settings of a training: preset, update share, and the further options, which take precedence."""
        return self.base_settings() | self.more(verb)

    def stages(self, run: Path, data: DataOptions, seed: int, until: str = "distill") -> list[Stage]:
        """Pretrain the teacher (if at all), fine-tune it, distil the student and prune it, up to a training."""
        settings = {verb: self.settings(verb) | {"seed": seed} for verb in TRAININGS}
        stages = network_stages(run, data, settings, self.pretraining)
        return stages[: [stage.verb for stage in stages].index(until) + 1]

    def given(self) -> Settings:
        """The settings that a command line needs to give this recipe."""
        texts = {verb: str(getattr(self, verb)) for verb in TRAININGS}
        pretraining: Settings = {} if self.pretraining else {"pretraining": False}
        return self.base_settings() | pretraining | {verb: text for verb, text in texts.items() if text}
