"""Frozen dataclasses are the options: help text from the fields, presets, JSON, one parser for every verb.

A field that is itself a dataclass is a group of options of the same command line.
"""

import argparse
import dataclasses
import types
import typing
from typing import Any, TypeVar

from edgehar.errors import ConfigError

T = TypeVar("T")


def option(default: Any, help_text: str, words: bool = False) -> Any:
    """A dataclass field with its help text; `dataclasses.MISSING` as default makes it required.

    The values of a tuple are separated by commas; with `words` they follow the option as separate words.
    """
    return dataclasses.field(default=default, metadata={"help": help_text, "words": words})


def positional(help_text: str, default: Any = dataclasses.MISSING) -> Any:
    """A positional argument; optional if it has a default."""
    return dataclasses.field(default=default, metadata={"help": help_text, "positional": True})


def check_seed(*seeds: int, name: str = "seed") -> None:
    """Raise ConfigError unless every seed is one that numpy and torch both take."""
    if any(not 0 <= seed < 2**31 for seed in seeds):
        raise ConfigError(f"--{name} {','.join(map(str, seeds))}: expected 0 or more, below 2^31")


def group(config_type: type[T]) -> T:
    """A field that holds a group of options, with the group's own defaults."""
    return dataclasses.field(default_factory=config_type)  # type: ignore[return-value]


def _plain(kind: Any) -> tuple[Any, bool]:
    """The type inside an optional type, and whether it is a tuple of it."""
    if isinstance(kind, types.UnionType):
        kind = next(inner for inner in typing.get_args(kind) if inner is not types.NoneType)
    if typing.get_origin(kind) is tuple:
        return typing.get_args(kind)[0], True
    return kind, False


def _split_by_comma(kind: Any) -> Any:
    def split(text: str) -> tuple[Any, ...]:
        return tuple(kind(part) for part in text.split(",") if part)

    split.__name__ = f"comma-separated {kind.__name__}"
    return split


class _AsTuple(argparse.Action):
    """Keep the words of an option as a tuple."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, tuple(values))


def _add_options(parser: argparse.ArgumentParser, config_type: Any, preset: dict[str, Any]) -> None:
    """An argument for each field; help shows what holds where it is not given: the preset's value, else the field's."""
    hints = typing.get_type_hints(config_type)
    for field in dataclasses.fields(config_type):
        kind, many = _plain(hints[field.name])
        if dataclasses.is_dataclass(kind):
            _add_options(parser, kind, preset)
            continue
        shown: Any = preset.get(field.name, field.default)
        help_text = str(field.metadata.get("help", ""))
        if shown not in (None, "", (), dataclasses.MISSING) and not isinstance(shown, bool):
            help_text += f" ({','.join(map(str, shown)) if many else shown})"
        arguments: dict[str, Any] = {"help": help_text.replace("%", "%%"), "default": argparse.SUPPRESS}
        if kind is bool:
            arguments["action"] = argparse.BooleanOptionalAction
        elif field.metadata.get("words"):
            arguments |= {"type": kind, "metavar": field.name.upper(), "nargs": "+", "action": _AsTuple}
        else:
            shown_name = f"{field.name.upper()},..." if many else field.name.upper()
            arguments |= {"type": _split_by_comma(kind) if many else kind, "metavar": shown_name}
        if field.metadata.get("positional"):
            if shown is not dataclasses.MISSING:
                arguments["nargs"] = "?"
            parser.add_argument(field.name, **arguments)
        else:
            required = shown is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            parser.add_argument("--" + field.name.replace("_", "-"), required=required, **arguments)


def _build(config_type: type[T], values: dict[str, Any]) -> T:
    """Deal flat values out to a dataclass and its groups."""
    hints = typing.get_type_hints(config_type)
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(config_type):  # type: ignore[arg-type]
        if dataclasses.is_dataclass(hints[field.name]):
            chosen[field.name] = _build(hints[field.name], values)  # type: ignore[arg-type]
        elif field.name in values:
            chosen[field.name] = values[field.name]
    return config_type(**chosen)


def parse(
    config_type: type[T],
    argv: list[str] | None,
    prog: str,
    description: str,
    presets: dict[str, dict[str, Any]] | None = None,
    default_preset: str = "base",
) -> T:
    """Parse a command line into a frozen dataclass; precedence: option given, preset, default.

    Args:
        config_type: the dataclass.
        argv: arguments, or None for those of the process.
        prog: name of the command in messages.
        description: shown by --help.
        presets: name -> values of fields, also of fields within groups.
        default_preset: the preset where none is given.

    Raises:
        ConfigError: a dataclass refuses a value. (argparse itself exits with code 2 on unknown options.)
    """
    parser = argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    if presets:
        parser.add_argument(
            "--preset", choices=sorted(presets), default=default_preset, help=f"sizes and lengths ({default_preset})"
        )
    _add_options(parser, config_type, presets[default_preset] if presets else {})
    given = vars(parser.parse_args(argv))
    chosen = presets[given.pop("preset", default_preset)] if presets else {}
    try:
        return _build(config_type, chosen | given)
    except (TypeError, ValueError) as problem:
        raise ConfigError(f"{prog}: {problem}; see {prog} --help") from None


def to_json(config: Any) -> dict[str, Any]:
    """The resolved configuration, to be saved beside a run."""
    return dataclasses.asdict(config)
