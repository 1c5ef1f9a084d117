"""Options as frozen dataclasses: help, bounds, groups and presets are declared with each field.

A field that is itself a dataclass is a group of options of the same command line.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral, Real
from typing import Any, TypeVar, cast

from edgehar.errors import ConfigError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The values an option accepts: an interval of finite numbers, or a list of choices.

    Attributes:
        at_least: smallest value.
        above: largest value that is too small.
        at_most: largest value.
        below: smallest value that is too large.
        choices: the only values, unless empty.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether any limit is set."""
        return any(limit is not None for limit in (self.at_least, self.above, self.at_most, self.below))

    def accepts(self, value: object, whole: bool) -> bool:
        """Whether one value (one item of a tuple) is within the bounds."""
        if self.choices and value not in self.choices:
            return False
        if not self.numeric:
            return True
        if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
            return False
        number = cast(float, value)  # not converted: a whole number may be too large for a float
        return (
            (isinstance(value, Integral) or math.isfinite(number))
            and (self.at_least is None or number >= self.at_least)
            and (self.above is None or number > self.above)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )

    def text(self, whole: bool, finite: bool = False) -> str:
        """The expected values, for messages; `finite`: state that a number must be finite."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        number = "a whole number" if whole else "a finite number" if finite else "a number"
        return f"{number} {self.interval}"

    @property
    def interval(self) -> str:
        """The limits, such as "from 0 to below 1"; empty without any."""
        low = f"above {self.above:.10g}" if self.above is not None else ""
        low = f"from {self.at_least:.10g}" if self.at_least is not None else low
        high = f"below {self.below:.10g}" if self.below is not None else ""
        high = f"up to {self.at_most:.10g}" if self.at_most is not None else high
        join = " and " if self.at_least is None else " to " if self.below is not None else " "
        return join.join(filter(None, (low, high)))


def option(
    default: Any,
    help_text: str,
    *,
    words: bool = False,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    choices: Iterable[str] = (),
) -> Any:
    """A dataclass field with its help text and bounds.

    Args:
        default: value where the option is not given; `dataclasses.MISSING` makes the option required.
        help_text: shown by --help; choices, the default and bounds are appended.
        words: the items of a tuple follow the option as separate words, not separated by commas.
        at_least: smallest value, of each item of a tuple; see `Bounds` for this and the others.
        above: exclusive lower limit.
        at_most: largest value.
        below: exclusive upper limit.
        choices: the only values.
    """
    bounds = Bounds(at_least, above, at_most, below, tuple(choices))
    return dataclasses.field(default=default, metadata={"help": help_text, "words": words, "bounds": bounds})


def positional(help_text: str, default: Any = dataclasses.MISSING, choices: Iterable[str] = ()) -> Any:
    """A positional argument; optional if it has a default."""
    metadata = {"help": help_text, "positional": True, "bounds": Bounds(choices=tuple(choices))}
    return dataclasses.field(default=default, metadata=metadata)


def seed_option(help_text: str = "random seed") -> Any:
    """A field for a seed that numpy and torch both accept, 0 by default."""
    return option(0, help_text, at_least=0, below=2**31)


def group(config_type: type[T]) -> T:
    """A field that holds a group of options, with the group's own defaults."""
    return dataclasses.field(default_factory=config_type)  # type: ignore[return-value]


class Options:
    """Base of an options dataclass: checks every field against its declared bounds.

    A dataclass that checks more overrides `__post_init__` and calls this one first.
    """

    def __post_init__(self) -> None:
        """Raise ConfigError for a value out of bounds."""
        for field in dataclasses.fields(cast(Any, self)):
            bounds = field.metadata.get("bounds")
            if bounds is not None:
                name = field.name.upper() if field.metadata.get("positional") else "--" + field.name.replace("_", "-")
                check_bounds(name, getattr(self, field.name), bounds, _item_type(type(self), field.name))


def check_bounds(name: str, value: Any, bounds: Bounds, kind: type) -> None:
    """Raise ConfigError unless a value, or every item of a tuple, is within the bounds; None is not checked.

    The message states only those items that are not.
    """
    items: tuple[Any, ...] = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)
    wrong = [] if value is None else [item for item in items if not bounds.accepts(item, kind is int)]
    if wrong:
        infinite = any(isinstance(item, float) and not math.isfinite(item) for item in wrong)
        raise ConfigError(f"{name} {','.join(map(str, wrong))}: expected {bounds.text(kind is int, infinite)}")


def _item_type(config_type: type, name: str) -> type:
    return item_type(typing.get_type_hints(config_type)[name])[0]


def item_type(kind: Any) -> tuple[Any, bool]:
    """The type inside an optional type, and whether it is a tuple of it."""
    if isinstance(kind, types.UnionType):
        kind = next(inner for inner in typing.get_args(kind) if inner is not types.NoneType)
    if typing.get_origin(kind) is tuple:
        return typing.get_args(kind)[0], True
    return kind, False


def build(config_type: type[T], values: Mapping[str, Any]) -> T:
    """Deal flat values out to a dataclass and its groups."""
    hints = typing.get_type_hints(config_type)
    chosen: dict[str, Any] = {}
    for field in dataclasses.fields(config_type):  # type: ignore[arg-type]
        if dataclasses.is_dataclass(hints[field.name]):
            chosen[field.name] = build(hints[field.name], values)  # type: ignore[arg-type]
        elif field.name in values:
            chosen[field.name] = _as_float(values[field.name], item_type(hints[field.name])[0])
    return config_type(**chosen)


def _as_float(value: Any, kind: type) -> Any:
    """Whole numbers, and floats of another class, as plain floats where the field (each item of a tuple) is a float."""
    if isinstance(value, tuple):
        return tuple(_as_float(item, kind) for item in cast("tuple[Any, ...]", value))
    return float(value) if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool) else value


def field_names(config_type: Any) -> set[str]:
    """Names of the fields of an options dataclass and of its groups."""
    hints = typing.get_type_hints(config_type)
    names: set[str] = set()
    for field in dataclasses.fields(config_type):
        kind = hints[field.name]
        names |= field_names(kind) if dataclasses.is_dataclass(kind) else {field.name}
    return names


def flat(options: Any) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    """The fields of an options dataclass and of its groups, each with its value."""
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value):
            yield from flat(value)
        else:
            yield field, value


def to_json(config: Any) -> dict[str, Any]:
    """The resolved configuration, to be saved beside a run."""
    return dataclasses.asdict(config)
