"""Subject, label, trial and sensor from the names of files and folders, by a pattern or by a data set's own scheme."""

import re
from pathlib import PurePath

from edgehar.errors import ConfigError, DataError

FIELDS = ("subject", "subject2", "label", "trial", "sensor", "")
NTU_NAME = re.compile(r"S(?P<setup>\d{3})C(?P<camera>\d{3})P(?P<subject>\d{3})R(?P<trial>\d{3})A(?P<action>\d{3})")


def name_pattern(text: str) -> re.Pattern[str]:
    """The regular expression of a pattern such as '{subject}_{label}_{trial}' or '{subject}/{label}-{trial}'.

    `{}` stands for anything. Only a label and `{}` may contain the characters that separate the fields.

    Raises:
        ConfigError: an unknown field, the same one twice, or two fields without a character between them.
    """
    parts = re.split(r"\{(\w*)\}", text)
    fields, literals = parts[1::2], parts[::2]
    named = [field for field in fields if field]
    if not named or not set(fields) <= set(FIELDS) or len(set(named)) < len(named) or "" in literals[1:-1]:
        raise ConfigError(
            f"--names {text}: expected {{subject}}, {{label}}, {{trial}}, {{sensor}} or {{}}, each once, with a "
            "character between them, such as '{subject}_{label}_{trial}'"
        )
    separators = "".join(sorted(set("".join(literals)) | {"/"}))
    closed = f"[^{re.escape(separators)}]+"
    expression = re.escape(literals[0])
    for field, literal in zip(fields, literals[1:], strict=True):
        inner = {"label": "[^/]+", "": "[^/]*"}.get(field, closed)
        expression += (f"(?P<{field}>{inner})" if field else inner) + re.escape(literal)
    return re.compile(expression)


def match_name(pattern: re.Pattern[str] | None, path: PurePath) -> dict[str, str] | None:
    """Fields of a path without its ending, compared from the name of any folder on; None if it does not match."""
    match = _match(pattern, path)
    return {field: text.strip() for field, text in match.groupdict().items() if text} if match else None


def without_sensor(pattern: re.Pattern[str] | None, path: PurePath) -> str | None:
    """A path without the name of the sensor in it, the same for all files of a recording; None if it names none."""
    match = _match(pattern, path)
    if match is None or "sensor" not in match.groupdict():
        return None
    before, after = match.string[: match.start("sensor")], match.string[match.end("sensor") :]
    folder = path.as_posix()[: -len(match.string)]
    return folder + (before.rstrip("_-. ") + after if before else after.lstrip("_-. /"))


def _match(pattern: re.Pattern[str] | None, path: PurePath) -> re.Match[str] | None:
    if pattern is None:
        return None
    texts = ("/".join(path.parts[first:]) for first in range(len(path.parts)))
    return next((match for text in texts if (match := pattern.fullmatch(text))), None)


def required_match(pattern: re.Pattern[str] | None, *paths: PurePath) -> dict[str, str]:
    """Fields of the first path that matches, none without a pattern; raises DataError if none matches."""
    if pattern is None:
        return {}
    for path in paths:
        fields = match_name(pattern, path)
        if fields is not None:
            return fields
    raise DataError("the name does not match --names; left out")


def people(fields: dict[str, str]) -> str:
    """The subject of a recording; of two people both, joined by "+"."""
    both = [fields.get("subject", ""), fields.get("subject2", "")]
    return "+".join(name for name in both if name)


def file_name(text: str, taken: set[str]) -> str:
    """A recording's name made of a text, not among those taken: letters, digits, "_", "-" and single dots."""
    name = re.sub(r"\.{2,}", ".", re.sub(r"[^\w.-]+", "_", text)).strip("._-")[:180] or "recording"
    name = f"{name}_" if name.endswith((".times", ".valid")) else name
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}-{number}"
    return unique
