"""The command line of a verb: argparse arguments made from an options dataclass."""

import argparse
import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

from edgehar.config import build, field_names, item_type
from edgehar.errors import ConfigError

T = TypeVar("T")


def _split_by_comma(kind: Any) -> Any:
    def split(text: str) -> tuple[Any, ...]:
        return tuple(kind(part) for part in text.split(",") if part)

    split.__name__ = f"comma-separated {kind.__name__}"
    return split


class _AsTuple(argparse.Action):
    """Keep the words of an option as a tuple."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, tuple(values))


def _help_of(field: Any, shown: Any, many: bool) -> str:
    """Help text with the choices and the value that applies where the option is not given."""
    text = str(field.metadata.get("help", ""))
    bounds = field.metadata.get("bounds")
    if bounds is not None and bounds.choices:
        text += f": {', '.join(bounds.choices)}"
    if shown not in (None, "", (), dataclasses.MISSING) and not isinstance(shown, bool):
        text += f" ({','.join(map(str, shown)) if many else shown})"
    return text.replace("%", "%%")


def _add_options(parser: Any, config_type: Any, preset: Mapping[str, Any], required: bool) -> None:
    """An argument for each field, with an argument group for each field that is a dataclass."""
    hints = typing.get_type_hints(config_type)
    for field in dataclasses.fields(config_type):
        kind, many = item_type(hints[field.name])
        if dataclasses.is_dataclass(kind):
            title = (cast(Any, kind).__doc__ or field.name).splitlines()[0].rstrip(".")
            _add_options(parser.add_argument_group(title), kind, preset, required)
            continue
        shown: Any = preset.get(field.name, field.default)
        arguments: dict[str, Any] = {"help": _help_of(field, shown, many), "default": argparse.SUPPRESS}
        if kind is bool:
            arguments["action"] = argparse.BooleanOptionalAction
        elif field.metadata.get("words"):
            arguments |= {"type": kind, "metavar": field.name.upper(), "nargs": "+", "action": _AsTuple}
        else:
            shown_name = f"{field.name.upper()},..." if many else field.name.upper()
            arguments |= {"type": _split_by_comma(kind) if many else kind, "metavar": shown_name}
        lacks_default = shown is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if field.metadata.get("positional"):
            if not (lacks_default and required):
                arguments["nargs"] = "?"
            parser.add_argument(field.name, **arguments)
        else:
            flag = "--" + field.name.replace("_", "-")
            parser.add_argument(flag, required=lacks_default and required, **arguments)


@dataclasses.dataclass(frozen=True)
class Parser(Generic[T]):
    """The command line of one verb.

    Attributes:
        config_type: the options dataclass.
        prog: name of the command in messages.
        description: shown by --help.
        presets: name -> values of fields, also of fields within groups; empty for a verb without --preset.
        default_preset: the preset where none is given.
    """

    config_type: type[T]
    prog: str
    description: str
    presets: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict[str, Mapping[str, Any]])
    default_preset: str = "base"

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
        _add_options(parser, self.config_type, self.presets.get(self.default_preset, {}), required)
        return parser

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
        own = {name: value for name, value in settings.items() if name != "preset"}
        unknown = set(own) - field_names(self.config_type)
        preset = settings.get("preset", self.default_preset)
        if self.presets and preset not in self.presets:
            raise ConfigError(f"--preset {preset}: expected one of {', '.join(self.presets)}")
        if unknown or ("preset" in settings and not self.presets):
            raise ConfigError(f"{self.prog}: no option is named {', '.join(sorted(unknown)) or 'preset'}")
        try:
            return build(self.config_type, {**self.presets.get(preset, {}), **own})
        except (TypeError, ValueError) as problem:
            raise ConfigError(f"{self.prog}: {problem}; see {self.prog} --help") from None

    def parse(self, argv: list[str] | None) -> T:
        """The options of a command line.

        Raises:
            ConfigError: a value is out of bounds. (argparse itself exits with code 2 on unknown options.)
        """
        return self.build(self.given(argv, required=True))


def parse(config_type: type[T], argv: list[str] | None, prog: str, description: str) -> T:
    """The options of a command line without presets; see `Parser`."""
    return Parser(config_type, prog, description).parse(argv)


def words_of(settings: Mapping[str, Any]) -> list[str]:
    """Settings as a command line shows them: `--name value`, `--name` or `--no-name`, tuples separated by commas."""
    words: list[str] = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{flag}")
        elif isinstance(value, tuple):
            words += [f"--{flag}", ",".join(map(str, cast("tuple[Any, ...]", value)))]
        else:
            words += [f"--{flag}", str(value)]
    return words
