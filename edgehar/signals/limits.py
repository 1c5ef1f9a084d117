"""Limits of a declaration: what a package can hold, checked before training and again when a board loads it."""

import json
import unicodedata

from edgehar.signals.clip import DatasetInfo

MAX_MODALITIES, MAX_LABELS = 32, 4096
MAX_VALUES = 1 << 24
"""Largest number of values in a window's features or tokens: 64 MiB, about a hundred times a typical model."""
MAX_CHARACTERS = 200
"""Longest name, label or unit."""
SUFFIX_CHARACTERS = 20
"""Characters that a model's name may add to the data set's."""
MAX_DECLARATION_BYTES = 640 << 10
"""Largest JSON of labels and sensors: with the checksums and the measured results it fits into a manifest of 1 MiB."""
MAX_LISTED_BYTES = 192 << 10
"""Largest JSON of the names of training recordings, which the manifest of a split by trial lists."""
MIN_RATE_HZ, MAX_RATE_HZ, MIN_STEP_S, MAX_STEP_S = 1e-3, 1e6, 1e-4, 86_400


UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that a reader does not see but a terminal obeys: control and format characters (among them the
marks of writing direction), surrogates, separators of lines and paragraphs."""


def text_problem(text: str, most: int = MAX_CHARACTERS) -> str:
    """Why a package cannot hold a text, or an empty text."""
    if len(text) > most or any(unicodedata.category(char) in UNSEEN for char in text):
        return (
            f"the name {text[:40]!r} of {len(text)} characters; expected up to {most}, no control characters, no "
            "format characters (such as marks of direction)"
        )
    return ""


def name_problem(name: str) -> str:
    """Why a package cannot have a name, which is not blank, or an empty text."""
    return text_problem(name) if name.strip() else f"the name {name[:40]!r}; expected one that is not blank"


def json_bytes(value: object) -> int:
    """Size of a value in a manifest."""
    return len(json.dumps(value, indent=1))


def declaration_problem(info: DatasetInfo) -> str:
    """The first property of a declaration that no package can hold, "found; expected", or an empty text."""
    counts = len(info.modalities), len(info.labels)
    if counts[0] > MAX_MODALITIES or counts[1] > MAX_LABELS:
        return f"{counts[0]} modalities, {counts[1]} labels; expected at most {MAX_MODALITIES} and {MAX_LABELS}"
    names = [*info.labels, *(spec.name for spec in info.modalities)]
    texts = [text for spec in info.modalities for text in (spec.unit, *spec.joints, *spec.columns)]
    for problem in filter(None, (*map(name_problem, names), *map(text_problem, texts))):
        return problem
    for spec in info.modalities:
        if not MIN_RATE_HZ <= spec.rate_hz <= MAX_RATE_HZ:
            return f"{spec.name} at {spec.rate_hz} Hz; expected {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz"
    window = info.window
    if not MIN_STEP_S <= window.step_s <= MAX_STEP_S:
        return f"a step of {window.step_s} s; expected {MIN_STEP_S:g} to {MAX_STEP_S:g} s"
    width = max((2 * spec.patch * spec.channels for spec in info.modalities), default=1)
    if window.steps * width > MAX_VALUES or window.hop > MAX_VALUES:
        return f"{window.steps} steps of {width} values, hop {window.hop}; expected at most {MAX_VALUES} values"
    return ""


def size_problem(info: DatasetInfo) -> str:
    """Why labels and sensors, each within its limits, are too large for a manifest together, or an empty text."""
    size = json_bytes([info.labels, [spec.to_json() for spec in info.modalities]])
    if size > MAX_DECLARATION_BYTES:
        return (
            f"{len(info.labels)} labels and {len(info.modalities)} sensors of {size} bytes as JSON; expected "
            f"{MAX_DECLARATION_BYTES} at most; use shorter names"
        )
    return text_problem(info.name, MAX_CHARACTERS - SUFFIX_CHARACTERS)
