"""Options of tables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TableOptions:
    """What the user says about tables, None and empty where nothing is said; `in_names` are fields of the pattern."""

    time: str | None = None
    unit_of_time: str | None = None
    columns: tuple[str, ...] = ()
    label: str | None = None
    subject: str | None = None
    trial: str | None = None
    rate_hz: float | None = None
    in_names: frozenset[str] = frozenset()
