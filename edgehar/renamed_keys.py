"""Options that the results in docs/results and their keys know by an earlier name."""

OPTIONS = {"average": "ema_decay"}
"""Stored name -> current name of an option, in `config.trainings` of a result and in the command lines of its key."""

_STORED_OPTIONS = {current: stored for stored, current in OPTIONS.items()}


def stored_option(name: str) -> str:
    """The name under which docs/results store an option, given its current name."""
    return _STORED_OPTIONS.get(name, name)
