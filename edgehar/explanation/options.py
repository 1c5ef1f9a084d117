"""Options that both forms of `edgehar explain` have."""

from dataclasses import dataclass

from edgehar.config import Options, option
from edgehar.errors import ConfigError
from edgehar.explanation.choice import Choice


@dataclass(frozen=True)
class AnswerOptions(Options):
    """The answer to explain, and files to write."""

    label: str | None = option(None, "activity to explain; default: the most probable one")
    window: int | None = option(
        None, "number of the window, from 0; default: the one with the highest score", at_least=0
    )
    at: float | None = option(None, "seconds on the recording's clock; the window whose middle is nearest is explained")
    json: str | None = option(None, "also write the explanation to this file")
    picture: str | None = option(None, "write the explanation as an HTML page with pictures to this file")

    def __post_init__(self) -> None:
        """Raise ConfigError for two windows, too."""
        super().__post_init__()
        if self.window is not None and self.at is not None:
            raise ConfigError("--window with --at: two ways to choose a window; expected one; omit the other")

    @property
    def choice(self) -> Choice:
        """The label and window to explain."""
        return Choice(self.label, self.window, self.at)
