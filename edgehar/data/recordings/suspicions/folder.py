"""All warnings about the recordings of a folder."""

from collections.abc import Sequence

from edgehar.data.recordings.problem import Problem, errors
from edgehar.data.recordings.suspicions import clocks, gravity, skeletons, units, values
from edgehar.data.recordings.suspicions.recorded import Recorded
from edgehar.signals.clip import DatasetInfo


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
    rate_of = {spec.name: spec.rate_hz for spec in info.modalities}
    everything = [each for sensors in recordings for each in sensors.values()]
    for spec in info.modalities:
        recorded = [sensors[spec.name] for sensors in recordings if spec.name in sensors]
        folder = f"{root}/{spec.name}"
        problems += clocks.rates(folder, spec, info.window, recorded)
        if errors_only:
            continue
        problems += clocks.untimed_durations(spec, rate_of, recordings, info.window.kind == "clip")
        problems += values.constant_channels(folder, spec, recorded)
        problems += values.other_scale(spec, recorded)
        for each in recorded:
            for check in (values.zero_samples, values.rails, values.outlying_codes, clocks.held_values):
                problems += check(spec, each)
            if spec.is_skeleton:
                problems += skeletons.joints_at_zero(spec, each)
        if spec.is_skeleton:
            problems += skeletons.vertical_axis(folder, spec, recorded)
            problems += skeletons.body_sizes(folder, spec, recorded)
        groups = units.triaxial_groups(spec, recorded)
        problems += units.declared_units(folder, spec, groups)
        problems += units.mixed_units(spec, recorded, groups)
        for each in groups:
            if each.kind == "acceleration":
                problems += gravity.elsewhere(folder, spec, each.group, recorded)
    if errors_only:
        return errors(problems)
    for sensors in recordings:
        problems += clocks.zeros(info.window, sensors)
    return problems + values.copies(everything)
