"""All warnings about the recordings of a folder."""

from collections.abc import Sequence

from edgehar.data.recordings.problem import Problem, errors
from edgehar.data.recordings.suspicions import clocks, gravity, gyroscopes, skeletons, units, values
from edgehar.data.recordings.suspicions.people import outlying_people
from edgehar.data.recordings.suspicions.recorded import Recorded
from edgehar.signals.clip import DatasetInfo
from edgehar.signals.modality import ModalitySpec


def suspicions(
    root: str, info: DatasetInfo, recordings: Sequence[dict[str, Recorded]], errors_only: bool
) -> list[Problem]:
    """Warnings, and errors for timestamps of which nothing could be used.

    Args:
        root: path of the folder, as shown in messages.
        info: its declaration.
        recordings: for each recording its sensors' samples.
        errors_only: look for errors only.
    """
    problems: list[Problem] = []
    for spec in info.modalities:
        recorded = [sensors[spec.name] for sensors in recordings if spec.name in sensors]
        problems += clocks.rates(f"{root}/{spec.name}", spec, info.window, recorded)
    if errors_only:
        return errors(problems)
    rate_of = {spec.name: spec.rate_hz for spec in info.modalities}
    working: list[dict[str, Recorded]] = [{} for _ in recordings]
    for spec in info.modalities:
        problems += clocks.untimed_durations(spec, rate_of, recordings, info.window.kind == "clip")
        for sensors, kept in zip(recordings, working, strict=True):
            if spec.name in sensors:
                kept[spec.name], found = _without_dead_samples(spec, sensors[spec.name])
                problems += found
    problems += _values(root, info, working)
    for sensors in recordings:
        problems += clocks.zeros(info.window, sensors)
    return problems + values.copies([each for sensors in recordings for each in sensors.values()])


def _without_dead_samples(spec: ModalitySpec, recorded: Recorded) -> tuple[Recorded, list[Problem]]:
    """The recording without the samples that are named as zeros or frozen, so that no other check names them."""
    recorded, zeros = values.zero_samples(spec, recorded)
    recorded, frozen = values.frozen_samples(spec, recorded)
    return recorded, zeros + frozen


def _values(root: str, info: DatasetInfo, recordings: Sequence[dict[str, Recorded]]) -> list[Problem]:
    """Warnings about values: channels, ranges, joints, units and axes."""
    problems: list[Problem] = []
    groups: dict[str, list[units.Group]] = {}
    usable: dict[str, list[Recorded]] = {}
    for spec in info.modalities:
        folder = f"{root}/{spec.name}"
        recorded = [sensors[spec.name] for sensors in recordings if spec.name in sensors]
        problems += values.constant_channels(folder, spec, recorded)
        recorded = [each for each in recorded if not each.is_constant]
        groups[spec.name] = units.triaxial_groups(spec, recorded)
        exchanged = units.exchanged(folder, spec, recorded, groups[spec.name])
        problems += exchanged
        named = {problem.file for problem in exchanged}
        recorded = [each for each in recorded if each.file not in named]
        usable[spec.name] = recorded
        problems += values.other_scale(spec, recorded)
        for each in recorded:
            for check in (values.rails, values.outlying_codes, clocks.held_values):
                problems += check(spec, each)
            if spec.is_skeleton:
                problems += skeletons.joints_at_zero(spec, each)
        if spec.is_skeleton:
            for check in (skeletons.lost_joints, skeletons.vertical_axis, skeletons.body_sizes):
                problems += check(folder, spec, recorded)
    for spec in info.modalities:
        moved = gyroscopes.moving(spec, info.modalities, usable, groups)
        problems += _units_and_axes(f"{root}/{spec.name}", spec, usable[spec.name], groups[spec.name], moved)
    return problems


def _units_and_axes(
    folder: str, spec: ModalitySpec, recorded: Sequence[Recorded], groups: Sequence[units.Group], moved: set[str]
) -> list[Problem]:
    problems = units.declared_units(folder, spec, groups)
    mixed = units.mixed_units(spec, recorded, groups)
    found = gyroscopes.gyroscopes(spec, recorded, moved)
    problems += mixed
    other_units = {problem.file for problem in mixed}
    problems += gyroscopes.other_units(folder, spec, found, groups, other_units)
    for each in groups:
        if each.kind == "acceleration":
            people = outlying_people(spec, each.group, [one for one in recorded if one.file not in other_units])
            problems += [Problem(folder, 0, one.message, is_warning=True) for one in people]
            named = {one.person for one in people}
            problems += gravity.elsewhere(spec, each.group, [one for one in recorded if one.subject not in named])
    return problems
