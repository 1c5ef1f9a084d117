"""The command line of a verb: argparse arguments made from an options dataclass."""

import argparse
import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

from edgehar.config import build, field_names, flat, item_type
from edgehar.errors import ConfigError

T = TypeVar("T")


def _split_by_comma(kind: Any) -> Any:
    def split(text: str) -> tuple[Any, ...]:
        return tuple(kind(part) for part in text.split(",") if part)

    split.__name__ = f"comma-separated {kind.__name__}"
    return split


class _AsTuple(argparse.Action):
    """Store the words of an option as a tuple."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, tuple(values))


class _Ignored(argparse.Action):
    """Accept a flag and store nothing."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        pass


def _help_of(field: Any, shown: Any, many: bool) -> str:
    """Help text with the choices, the value that applies where the option is not given, and the bounds."""
    text = str(field.metadata.get("help", ""))
    bounds = field.metadata.get("bounds")
    if bounds is not None and bounds.choices:
        text += f": {', '.join(bounds.choices)}"
    notes: list[str] = []
    if shown not in (None, "", (), dataclasses.MISSING) and not isinstance(shown, bool):
        notes.append(",".join(map(str, shown)) if many else str(shown))
    if bounds is not None and bounds.interval:
        notes.append(("each " if many else "") + bounds.interval)
    if notes:
        text += f" ({'; '.join(notes)})"
    return text.replace("%", "%%")


def _value_of(field: Any, kind: Any, many: bool) -> dict[str, Any]:
    """How argparse reads the value of a field."""
    name = field.name.upper()
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if field.metadata.get("words"):
        return {"type": kind, "metavar": name, "nargs": "+", "action": _AsTuple}
    return {"type": _split_by_comma(kind), "metavar": f"{name},..."} if many else {"type": kind, "metavar": name}


@dataclasses.dataclass(frozen=True)
class Parser(Generic[T]):
    """The command line of one verb.

    Attributes:
        config_type: the options dataclass.
        prog: name of the command in messages.
        description: shown by --help.
        presets: name -> values of fields, also of fields within groups; empty for a verb without --preset.
        default_preset: the preset where none is given.
        mode: option that selects this command among those of its verb. If it is no field, it is a flag that stores
            nothing; if it is one, its value may be missing, so that --help works without one.
    """

    config_type: type[T]
    prog: str
    description: str
    presets: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict[str, Mapping[str, Any]])
    default_preset: str = "base"
    mode: str = ""

    def _argparse(self, required: bool) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            prog=self.prog,
            description=self.description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if self.presets:
            parser.add_argument(
                "--preset",
                choices=sorted(self.presets),
                default=argparse.SUPPRESS,
                help=f"sizes and lengths ({self.default_preset})",
            )
        self._add_options(parser, parser, self.config_type, required)
        if self.mode and self.mode not in field_names(self.config_type):
            parser.add_argument(
                f"--{self.mode}", action=_Ignored, nargs=0, default=argparse.SUPPRESS, help=argparse.SUPPRESS
            )
        return parser

    def _add_options(self, parser: argparse.ArgumentParser, target: Any, config_type: Any, required: bool) -> None:
        """Add an argument for each field to the parser or group; a field that is a dataclass opens a group."""
        hints = typing.get_type_hints(config_type)
        for field in dataclasses.fields(config_type):
            kind, many = item_type(hints[field.name])
            if dataclasses.is_dataclass(kind):
                title = (cast(Any, kind).__doc__ or field.name).splitlines()[0].rstrip(".")
                self._add_options(parser, parser.add_argument_group(title), kind, required)
                continue
            shown = self.presets.get(self.default_preset, {}).get(field.name, field.default)
            arguments = {"help": _help_of(field, shown, many), "default": argparse.SUPPRESS} | _value_of(
                field, kind, many
            )
            if field.name == self.mode:
                arguments |= {"nargs": "?", "const": () if many else ""}
            needed = required and shown is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if field.metadata.get("positional"):
                target.add_argument(field.name, **arguments, **({} if needed else {"nargs": "?"}))
            else:
                target.add_argument("--" + field.name.replace("_", "-"), required=needed, **arguments)

    def given(self, argv: list[str] | None, required: bool = False) -> dict[str, Any]:
        """The options that a command line gives, by field name; "preset" among them. argparse exits on unknown ones.

        Args:
            argv: arguments, or None for those of the process.
            required: whether options without a default must be among them.
        """
        return vars(self._argparse(required).parse_args(argv))

    def build(self, settings: Mapping[str, Any]) -> T:
        """The options for these settings; precedence: setting, preset, default.

        Raises:
            ConfigError: a setting is out of bounds, unknown or missing.
        """
        given, preset_values = dict(settings), dict[str, Any]()
        if self.presets:
            preset = given.pop("preset", self.default_preset)
            if preset not in self.presets:
                raise ConfigError(f"--preset {preset}: expected one of {', '.join(self.presets)}")
            preset_values |= self.presets[preset]
        unknown = set(given) - field_names(self.config_type)
        if unknown:
            raise ConfigError(f"{self.prog}: no option is named {', '.join(sorted(unknown))}")
        try:
            return build(self.config_type, preset_values | given)
        except (TypeError, ValueError, OverflowError) as problem:
            raise ConfigError(f"{self.prog}: {problem}; see {self.prog} --help") from None

    def parse(self, argv: list[str] | None) -> T:
        """The options of a command line.

        Raises:
            ConfigError: a value is out of bounds. (argparse itself exits with code 2 on unknown options.)
        """
        return self.build(self.given(argv, required=True))

    def words(self, options: T) -> list[str]:
        """A command line that gives these options: positionals first, then each option that is not at its default."""
        changed = {field: value for field, value in flat(options) if value != field.default}
        positionals = [str(value) for field, value in changed.items() if field.metadata.get("positional")]
        settings = {field.name: value for field, value in changed.items() if not field.metadata.get("positional")}
        return [*self.prog.split(), *positionals, *words_of(settings)]


@dataclasses.dataclass(frozen=True)
class Action(Generic[T]):
    """One action of a verb that has several, such as `edgehar data check`: its parser and its function."""

    parser: Parser[T]
    run: Callable[[T], int]

    def __call__(self, argv: list[str] | None) -> int:
        """Parse a command line and run the action."""
        return self.run(self.parser.parse(argv))


def words_of(settings: Mapping[str, Any]) -> list[str]:
    """Settings as the words of a command line, not quoted; see `edgehar.provenance.shell_text`.

    `--name value`, `--name` or `--no-name`, tuples separated by commas, `--name=--value` for a text that starts like an
    option.
    """
    words: list[str] = []
    for name, value in settings.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            items: tuple[Any, ...] = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)
            text = ",".join(map(str, items))
            like_an_option = text.startswith("-") and not isinstance(value, (int, float))
            words += [f"{flag}={text}"] if like_an_option else [flag, text]
    return words
