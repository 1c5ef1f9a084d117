"""What a group of channels measures is read from its names and units."""

import pytest

from edgehar.signals.kinds import declared_kind
from edgehar.signals.modality import ModalitySpec

SIX = ("ax", "ay", "az", "gx", "gy", "gz")


@pytest.mark.parametrize(
    ("name", "unit", "columns", "kinds"),
    [
        ("watch", "m/s2 and rad/s", (), ["acceleration", "angular rate"]),
        ("watch", "g, dps, uT", (), ["acceleration", "angular rate", "magnetic field"]),
        ("watch", "g and deg/s", SIX[3:] + SIX[:3], ["angular rate", "acceleration"]),
        ("watch", "mixed", SIX, ["acceleration", "angular rate"]),
        ("watch", "g", (), ["acceleration"]),
        ("watch", "g", ("x", "y", "z", "u", "v", "w"), ["", ""]),
        ("gyroscope", "rad/s", ("x", "y", "z"), ["angular rate"]),
        ("gyroscope", "", (), ["angular rate"]),
        ("gravity", "m/s2", ("gx", "gy", "gz"), ["acceleration"]),
        ("watch", "V", (), [""]),
    ],
)
def test_the_kind_of_each_group(name: str, unit: str, columns: tuple[str, ...], kinds: list[str]) -> None:
    spec = ModalitySpec(name, max(len(columns), 3 * len(kinds)), unit, 50, 5, columns=columns)
    assert [declared_kind(spec, group) for group in range(spec.groups)] == kinds
