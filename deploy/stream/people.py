"""Names of the people whose streams are recognised together."""

from typing import Any

from edgehar.errors import DataError

MAX_NAME_CHARACTERS = 64


def check_person(person: Any) -> str:
    """The name of a person; raises DataError unless it is text of 1 to 64 printable characters without outer blanks."""
    is_name = isinstance(person, str) and 1 <= len(person) <= MAX_NAME_CHARACTERS and person.isprintable()
    if not is_name or person != person.strip():
        shown = "null" if person is None else repr(person)
        shown = shown if len(shown) <= MAX_NAME_CHARACTERS else shown[:MAX_NAME_CHARACTERS] + "..."
        raise DataError(
            f"person is {shown}; expected a name of 1 to {MAX_NAME_CHARACTERS} printable characters without blanks "
            "around it; correct it, or omit it for no person"
        )
    return person


def with_name(person: str | None, warning: str) -> str:
    """A warning of a person's stream, with the person's name."""
    return warning if person is None else f"person {person}: {warning}"
