"""`recordings.json`: the declaration of a folder of recordings, and its problems."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from edgehar.data.recordings.problem import Problem
from edgehar.data.recordings.window import KINDS
from edgehar.errors import DataError
from edgehar.signals.modality import OPTIONAL_FIELDS, ModalitySpec

FORMAT = "edgehar-recordings"
FORMAT_VERSION = 2
"""Version 1 has none of the optional fields of a sensor, and skeletons of three dimensions only."""
FORMAT_VERSIONS = (1, 2)
HEADER_NAME = "recordings.json"

_REQUIRED = ("format", "format_version", "name", "kind", "modalities", "labels")
_KEYS = (*_REQUIRED, "window", "licence", "citation")
_TYPES: dict[str, tuple[type, ...]] = {
    "name": (str,), "channels": (int,), "unit": (str,), "rate_hz": (int, float), "patch": (int,), "group": (int,),
    "joints": (list,), "parents": (list,), "vertical": (int,), "columns": (list,), "lost_joints": (bool,),
    "mirror": (str,), "kind": (str, list), "site": (str, list), "steps": (int,), "step_s": (int, float), "hop": (int,),
}  # fmt: skip
_TYPE_NAMES: dict[tuple[type, ...], str] = {
    (str,): "text",
    (int,): "a whole number",
    (int, float): "a number",
    (list,): "a list",
    (str, list): "text or a list of texts",
    (bool,): "true or false",
}
_MODALITY_REQUIRED = ("name", "channels", "unit", "rate_hz")
_MODALITY_KEYS = (*_MODALITY_REQUIRED, "patch", "group", "joints", "parents", "vertical", *OPTIONAL_FIELDS)
_WINDOW_KEYS = ("steps", "step_s", "hop")
RESERVED_FOLDERS = ("segments",)
"""Folders of the format, which no modality may have as its name."""


@dataclass(frozen=True)
class Header:
    """The content of `recordings.json`; a patch of None is derived from the window."""

    name: str
    kind: str
    specs: tuple[ModalitySpec, ...]
    patches: dict[str, int | None]
    labels: tuple[str, ...]
    window: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())
    licence: str = ""
    citation: str = ""


class _ProblemList:
    """Collects the problems of a JSON file, each with the line of its key."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.lines = file, text.split("\n")
        self.found: list[Problem] = []

    def add(self, message: str, key: str = "") -> None:
        """Add a problem at the first line that contains the quoted key."""
        quoted = json.dumps(key, ensure_ascii=False)
        line = next((number for number, text in enumerate(self.lines, 1) if key and quoted in text), 1)
        self.found.append(Problem(self.file, line, message))

    def check_keys(
        self, entry: dict[str, Any], allowed: tuple[str, ...], required: tuple[str, ...], where: str
    ) -> bool:
        """Add unknown, missing and mistyped keys; True if there are none."""
        before = len(self.found)
        for key in entry:
            if key not in allowed:
                self.add(f"{where}: unknown key {key!r}; expected {', '.join(allowed)}; remove or correct it", key)
        for key in required:
            if key not in entry:
                self.add(f"{where}: no key {key!r}; expected {', '.join(required)}; add it")
        for key in allowed:
            kinds = _TYPES.get(key)
            value = entry.get(key)
            if key not in entry or kinds is None:
                continue
            has_type = isinstance(value, kinds) and isinstance(value, bool) == (kinds == (bool,))
            if not has_type or (isinstance(value, float) and not math.isfinite(value)):
                self.add(f"{where}: {key} is {value!r}; expected {_TYPE_NAMES[kinds]}; correct it", key)
        return len(self.found) == before


def _is_name_list(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, str) and entry.strip() == entry != "" for entry in cast("list[object]", value)
    )


def _tree_problem(spec: ModalitySpec) -> str:
    """The problem of a skeleton's parents, or an empty text."""
    roots = [joint for joint, parent in enumerate(spec.parents) if joint == parent]
    if len(roots) != 1:
        return f"{len(roots)} joints are their own parent; expected one, the root"
    for joint in range(len(spec.parents)):
        reached = joint
        for _ in spec.parents:
            reached = spec.parents[reached]
        if reached != roots[0]:
            return f"joint {spec.joints[joint]!r} is not connected to the root; expected a tree"
    return ""


def _modality(entry: object, problems: _ProblemList) -> ModalitySpec | None:
    if not isinstance(entry, dict):
        expected = ", ".join(_MODALITY_REQUIRED)
        problems.add(f"modalities: found {entry!r}; expected an object with {expected}", "modalities")
        return None
    fields = cast("dict[str, Any]", entry)
    name = fields.get("name")
    where = f"modality {name!r}"
    if not problems.check_keys(fields, _MODALITY_KEYS, _MODALITY_REQUIRED, where):
        return None
    parents = cast("list[object]", fields.get("parents", []))
    named = all(_is_name_list(fields.get(key, [])) for key in ("joints", "columns"))
    named = named and all(
        isinstance(fields.get(key, ""), str) or _is_name_list(fields[key]) for key in ("kind", "site")
    )
    if not named or any(type(parent) is not int for parent in parents):
        message = f"{where}: expected joints, columns, kind and site as lists of names, parents as a list of indices"
        problems.add(message, str(name))
        return None
    try:
        spec = ModalitySpec.from_json({"patch": 1} | fields)
    except DataError as problem:
        problems.add(str(problem), str(name))
        return None
    problem = _tree_problem(spec) if spec.is_skeleton else ""
    problem = problem or ("a reserved folder name; rename it" if spec.name in RESERVED_FOLDERS else "")
    if problem:
        problems.add(f"{where}: {problem}", str(name))
    return None if problem else spec


def read_header(path: Path) -> tuple[Header | None, list[Problem]]:
    """Read `recordings.json`.

    Returns:
        The declaration, or None if it has problems; and the problems.
    """
    shown = str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        content: object = json.loads(text)
    except OSError as problem:
        return None, [
            Problem(shown, 0, f"cannot be read ({problem.strerror}); expected the declaration of the recordings")
        ]
    except (UnicodeDecodeError, ValueError, RecursionError) as problem:
        return None, [Problem(shown, getattr(problem, "lineno", 1), f"not valid JSON ({problem}); correct it")]
    problems = _ProblemList(shown, text)
    if not isinstance(content, dict):
        problems.add(f"found {type(content).__name__}; expected a JSON object; see docs/own-data.md")
        return None, problems.found
    entry = cast("dict[str, Any]", content)
    version = entry.get("format_version")
    if entry.get("format") != FORMAT or isinstance(version, bool) or version not in FORMAT_VERSIONS:
        found = f"format {entry.get('format')!r} version {version!r}"
        problems.add(f"{found}; expected {FORMAT!r} version 1 or {FORMAT_VERSION}; see docs/own-data.md", "format")
        return None, problems.found
    problems.check_keys(entry, _KEYS, _REQUIRED, "top level")
    for key in ("licence", "citation"):
        if not isinstance(entry.get(key, ""), str):
            problems.add(f"{key} is {entry[key]!r}; expected text", key)
    if entry.get("kind") not in tuple(KINDS):
        problems.add(f"kind {entry.get('kind')!r}; expected {' or '.join(KINDS)}", "kind")
    labels, given = entry.get("labels"), entry.get("modalities")
    if not _is_name_list(labels) or len(set(cast("list[str]", labels))) != len(cast("list[str]", labels)):
        problems.add(f"labels {labels!r}; expected a list of unique names without surrounding spaces", "labels")
    window = entry.get("window", {})
    if isinstance(window, dict):
        numbers = cast("dict[str, Any]", window)
        if problems.check_keys(numbers, _WINDOW_KEYS, (), "window"):
            for key, value in numbers.items():
                if value <= 0:
                    problems.add(f"window: {key} is {value}; expected a number above 0", key)
    else:
        problems.add(f"window {window!r}; expected an object with {', '.join(_WINDOW_KEYS)}", "window")
    entries = cast("list[object]", given) if isinstance(given, list) else []
    found_specs = [_modality(each, problems) for each in entries]
    specs = [spec for spec in found_specs if spec is not None]
    if not entries:
        problems.add(f"modalities {given!r}; expected a list with at least one sensor", "modalities")
    names = [spec.name for spec in specs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.add(f"modality {name!r} is declared {names.count(name)} times; expected it once", name)
    if problems.found:
        return None, problems.found
    patches = {spec.name: cast("dict[str, int]", each).get("patch") for spec, each in zip(specs, entries, strict=True)}
    header = Header(
        entry["name"], entry["kind"], tuple(specs), patches, tuple(entry["labels"]),
        cast("dict[str, Any]", window), entry.get("licence", ""), entry.get("citation", ""),
    )  # fmt: skip
    return header, []
