"""Reads the entries of results.json: objects, lists, scores."""

from typing import Any, TypeAlias, cast

from edgehar.choices import QUICK_BASELINE
from edgehar.report.page import integer, percent

Entry: TypeAlias = dict[str, Any]
MODELS = {
    "teacher": "teacher, fp32",
    "student": "student, fp32",
    "student-int8": "student, INT8",
    "pruned": "pruned student, fp32",
    "pruned-int8": "pruned student, INT8",
    QUICK_BASELINE: "MiniRocket (baseline)",
}


def entry_of(parent: Entry, name: str) -> Entry:
    """A JSON object inside an object, empty if absent; raises TypeError for another type."""
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"{name!r} holds {value!r:.40}, expected an object")
    return cast(Entry, value)


def list_of(parent: Entry, name: str) -> list[Any]:
    """A list inside a JSON object, empty if absent; raises TypeError for another type."""
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(f"{name!r} holds {value!r:.40}, expected a list")
    return cast(list[Any], value)


def title_of(model: str) -> str:
    """A model's display name."""
    return MODELS.get(model, model)


def counted(score: Entry) -> str:
    """Correct and total windows: 421 / 430."""
    return f"{integer(score['correct'])} / {integer(score['total'])}" if score else ""


def share_of(score: Entry) -> str:
    """Accuracy in percent, empty without windows."""
    return percent(score["correct"] / score["total"]) if score and score["total"] else ""
