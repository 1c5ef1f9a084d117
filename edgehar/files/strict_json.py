"""JSON from outside: one meaning only, no number that is none, no nesting and no text that trips what comes after."""

import json
import math
from typing import Any, cast

MOST_DEPTH = 32
LARGEST_INTEGER = 2**63 - 1


def _integer(text: str) -> int:
    # Looked at as text first: turning a million digits into a number takes seconds.
    if len(text) > 20 or abs(int(text)) > LARGEST_INTEGER:
        raise ValueError(f"the whole number {text[:20]}... has more than 64 bits")
    return int(text)


def _fraction(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large for a number")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON (`object_pairs_hook`); raises ValueError for a key that is there twice: readers differ then."""
    entry = dict(pairs)
    if len(entry) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {twice[:40]!r} twice in one object")
    return entry


def _check_depth(document: Any) -> None:
    level: list[Any] = [document]
    for _ in range(MOST_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += cast("dict[str, Any]", item).values()
            elif isinstance(item, list):
                inner += cast("list[Any]", item)
        if not inner:
            return
        level = inner
    raise ValueError(f"nested more than {MOST_DEPTH} deep")


def strict_json(data: bytes) -> Any:
    """Read one JSON document.

    Raises ValueError if it is no UTF-8 or no JSON, names a key twice, holds NaN, infinity, a whole number of more than
    64 bits or half a character, or is nested more than 32 deep.
    """
    try:
        text = data.decode("utf-8")
        document = json.loads(
            text, parse_constant=_refuse, parse_int=_integer, parse_float=_fraction, object_pairs_hook=single
        )
    except RecursionError:
        raise ValueError(f"nested more than {MOST_DEPTH} deep") from None
    _check_depth(document)
    if "\\u" in text:  # half a character, as only an escape can give it, cannot be written or printed
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    return document
