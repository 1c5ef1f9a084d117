"""Options dataclasses, the parsers made from them, and the command lines that give them."""

import shlex
from dataclasses import MISSING, dataclass
from pathlib import Path

import pytest

from edgehar.command_line import Parser, words_of
from edgehar.config import Bounds, Options, group, option, positional, seed_option
from edgehar.errors import ConfigError
from edgehar.provenance import shell_text


@dataclass(frozen=True)
class Inner(Options):
    """Inner."""

    depth: int = option(2, "blocks", at_least=1)


@dataclass(frozen=True)
class Training(Options):
    """Training."""

    rate: float = option(0.1, "learning rate", above=0, below=1)
    inner: Inner = group(Inner)


@dataclass(frozen=True)
class Example(Options):
    """Options of an example."""

    kind: str = positional("which", choices=("lstm", "tcn"))
    out: Path = option(MISSING, "file to write")
    shares: tuple[float, ...] = option((0.5, 1.0), "shares", above=0, at_most=1)
    fast: bool = option(False, "whether to hurry")
    text: str = option("", "any text")
    seed: int = seed_option()
    train: Training = group(Training)


PARSER = Parser(Example, "edgehar example", "An example.", {"base": {}, "large": {"rate": 0.5, "depth": 9}})
GIVEN = ["tcn", "--out", "file.json"]


@pytest.mark.filterwarnings("error")
def test_setting_takes_precedence_over_preset_over_default() -> None:
    options = PARSER.parse([*GIVEN, "--preset", "large", "--rate", "0.25"])
    assert (options.train.rate, options.train.inner.depth, options.shares) == (0.25, 9, (0.5, 1.0))
    assert PARSER.parse(GIVEN).train.rate == 0.1


def test_given_options_give_their_command_line() -> None:
    settings = PARSER.given(["tcn", "--rate=1e-3", "--shares", "1,0.50", "--no-fast"])
    assert settings == {"kind": "tcn", "rate": 0.001, "shares": (1.0, 0.5), "fast": False}
    words = words_of({name: settings[name] for name in ("rate", "shares", "fast")})
    assert words == ["--rate", "0.001", "--shares", "1.0,0.5", "--no-fast"]


def test_whole_number_becomes_a_float_where_the_field_is_one() -> None:
    options = PARSER.build({"kind": "lstm", "out": Path("x"), "shares": (1,), "seed": 3})
    assert [type(value) for value in (*options.shares, options.seed)] == [float, int]


def test_command_line_of_options_gives_the_options_back() -> None:
    options = PARSER.parse([*GIVEN, "--shares", "0.25", "--fast", "--text=--x 1", "--depth", "3"])
    words = PARSER.words(options)
    assert words[:3] == ["edgehar", "example", "tcn"]
    assert PARSER.parse(words[2:]) == options


@pytest.mark.parametrize("text", ["--x 1", " --x 1", "a b", "$(x) 'y'", "*", "", "-", "plain"])
def test_shown_command_gives_the_options_back_in_a_shell(text: str) -> None:
    options = PARSER.build({"kind": "tcn", "out": Path("my folder/out.json"), "text": text})
    words = shlex.split(shell_text(PARSER.words(options)))
    assert PARSER.parse(words[2:]) == options


def test_shown_command_quotes_only_what_needs_it() -> None:
    words = [
        "edgehar",
        *words_of({"prune": "--updates 400", "finetune": " --x 1", "shares": (0.5, 1.0), "data": "a b"}),
    ]
    assert shell_text(words) == "edgehar --prune='--updates 400' --finetune ' --x 1' --shares 0.5,1.0 --data 'a b'"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"kind": "gru"}, "KIND gru"),
        ({"rate": 1.0}, "--rate 1.0"),
        ({"rate": float("nan")}, "--rate nan"),
        ({"rate": True}, "--rate True"),
        ({"rate": float("inf")}, "--rate inf: expected a finite number above 0 and below 1"),
        ({"shares": (0.5, 0.0, 1.0)}, "--shares 0.0: expected a number above 0 and up to 1"),
        ({"seed": 2**31}, "--seed 2147483648: expected a whole number from 0 to below 2147483648"),
        ({"depth": 0}, "--depth 0"),
        ({"depth": 1.5}, "--depth 1.5"),
        ({"preset": "huge"}, "--preset huge"),
        ({"colour": 1}, "colour"),
    ],
)
def test_impossible_setting_is_refused_by_name(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        PARSER.build({"kind": "tcn", "out": Path("x"), **settings})


def test_missing_option_is_refused() -> None:
    with pytest.raises(ConfigError, match="out"):
        PARSER.build({"kind": "tcn"})
    with pytest.raises(SystemExit):
        PARSER.parse(["tcn"])


def test_preset_may_be_an_option_of_a_verb_without_presets(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True)
    class Run(Options):
        """Options of a run."""

        preset: str = option("base", "sizes", choices=("base", "large"))

    parser = Parser(Run, "edgehar run", "")
    assert parser.parse(["--preset", "large"]).preset == "large"
    with pytest.raises(ConfigError, match="--preset huge"):
        parser.parse(["--preset", "huge"])


def test_help_states_defaults_and_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        PARSER.parse(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "learning rate (0.1; above 0 and below 1)" in shown
    assert "shares (0.5,1.0; each above 0 and up to 1)" in shown
    assert "random seed (0; from 0 to below 2147483648)" in shown


def test_whole_number_too_large_for_a_float_is_compared_like_any_other() -> None:
    assert not Bounds(at_least=0, below=2**31).accepts(10**400, whole=True)
    assert Bounds(above=0).accepts(10**400, whole=True)
    with pytest.raises(ConfigError):
        PARSER.build({"kind": "lstm", "out": Path("x"), "rate": 10**400})
