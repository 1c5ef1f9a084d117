"""Parser of untrusted JSON: no duplicate keys, NaN, deep nesting, large integers or invalid characters."""

import json
import math
from typing import Any, cast

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1


def _integer(text: str) -> int:
    # Check the length first: converting a million digits takes seconds.
    if len(text) > 20 or abs(int(text)) > MAX_INTEGER:
        raise ValueError(f"the whole number {text[:20]}... has more than 64 bits")
    return int(text)


def _fraction(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large for a number")
    return value


def _reject_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object (`object_pairs_hook`); raises ValueError for a duplicate key, on which parsers differ."""
    entry = dict(pairs)
    if len(entry) != len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {duplicate[:40]!r} twice in one object")
    return entry


def _check_depth(document: Any) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += cast("dict[str, Any]", item).values()
            elif isinstance(item, list):
                inner += cast("list[Any]", item)
        if not inner:
            return
        level = inner
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def strict_json(data: bytes) -> Any:
    """Parse a JSON document.

    Raises ValueError if it is not UTF-8 or not JSON, or contains a duplicate key, NaN, infinity, an integer of more
    than 64 bits, a lone surrogate, or more than 32 levels of nesting.
    """
    try:
        text = data.decode("utf-8")
        document = json.loads(
            text, parse_constant=_reject_constant, parse_int=_integer, parse_float=_fraction, object_pairs_hook=single
        )
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from None
    _check_depth(document)
    if "\\u" in text:  # an escape may be a lone surrogate, which cannot be written or printed
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    return document
