"""Counts the people who are named as wearing a sensor otherwise: as recorded, and with axes of one person negated.

    python tools/worn_otherwise.py --root ../shared/data

For each accelerometer, up to `--people` people who are not named as recorded are changed one by one: each axis negated,
and a half turn about each axis.
"""

import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgehar.command_line import Parser
from edgehar.config import Options, option
from edgehar.data import registry
from edgehar.data.people import accelerations
from edgehar.data.recordings.suspicions.people import outlying_people
from edgehar.data.recordings.suspicions.recorded import Recorded, of_group
from edgehar.data.recordings.suspicions.wearing import SIGN_CHANGES, wearing
from edgehar.entry import guarded
from edgehar.signals.clip import natural_key
from edgehar.signals.modality import ModalitySpec

NAMES = ("utd-mhad", "sp-sw-har", "selfback", "sisfall", "umafall", "shoulder-exercises")


@dataclass(frozen=True)
class WornOptions(Options):
    """Options of the command."""

    root: str = option("../shared/data", "folder with the data sets, one folder for each")
    data: tuple[str, ...] = option(NAMES, "data sets")
    people: int = option(8, "people of each sensor whose axes are changed", at_least=1)


def changed_people(spec: ModalitySpec, recorded: list[Recorded], people: int) -> tuple[set[str], Counter[str]]:
    """People named as recorded, and counts of changed people: changed, named, explained, and others named."""
    named = {each.person for each in outlying_people(spec, 0, recorded)}
    usual = sorted({each.subject for each in recorded} - named, key=natural_key)
    counts: Counter[str] = Counter()
    for person in usual[:: -(-len(usual) // people)]:
        for turn in SIGN_CHANGES:
            turned = [
                replace(each, values=(each.values @ turn.matrix.T).astype(np.float32))
                if each.subject == person
                else each
                for each in recorded
            ]
            found = {each.person: each.message for each in outlying_people(spec, 0, turned)}
            kind = "half turns" if "half turn" in turn.text else "negated"
            counts[f"{kind}"] += 1
            counts[f"{kind} named"] += person in found
            counts[f"{kind} explained"] += f"as if {turn.text};" in found.get(person, "")
            counts["others named"] += len(set(found) - named - {person})
    return named, counts


def run(options: WornOptions) -> int:
    """Print a line for each accelerometer."""
    for name in options.data:
        folder = str(Path(options.root) / name)
        dataset = registry.load(name, folder) if name in registry.NAMES else registry.load(folder)
        for spec, group, recorded in accelerations(dataset.clips, dataset.info):
            alone = replace(spec, channels=3, columns=())
            own = [replace(each, values=of_group(each.values, spec, group).astype(np.float32)) for each in recorded]
            angles = [each.gravity_deg for each in wearing(alone, 0, own)]
            named, counts = changed_people(alone, own, options.people)
            shown = ", ".join(f"{key} {count}" for key, count in counts.items())
            sys.stdout.write(
                f"{name} {spec.name}: {len(angles)} people, spread {np.median(angles):.0f} degrees, "
                f"named {', '.join(sorted(named)) or 'nobody'}; {shown}\n"
            )
            sys.stdout.flush()
    return 0


PARSER = Parser(WornOptions, "tools/worn_otherwise.py", __doc__ or "")


def main(argv: list[str] | None = None) -> int:
    """`run` with the options of a command line."""
    return run(PARSER.parse(argv))


if __name__ == "__main__":
    sys.exit(guarded(main))
