"""Occlusion and temporal saliency rescaling of one window, from a network's outputs alone.

Occlusion: the evidence (log odds) that is lost when a step, a sensor or a group is occluded (Zeiler and Fergus, ECCV
2014). Temporal saliency rescaling (Ismail et al., NeurIPS 2020, algorithm 1) examines time first: a step's importance
is how much the attribution of all steps changes when it is missing; groups are examined in the steps above the 55th
percentile only, and the saliency of a group in a step is the product of both. Here the attribution of a step is the
evidence lost without it, so the first part needs heads only; the second part uses the change of the evidence itself.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgehar.explanation.probe import Probe
from edgehar.explanation.result import Axis, Saliency
from edgehar.signals.clip import Bools, Floats

PERCENTILE = 55.0
"""Groups are examined in the steps whose importance is above this percentile (Ismail et al. 2020)."""
AXES_OF_GROUPS = 3
"""The channels of so many groups, the most important ones, are examined."""


def _zeros(count: int) -> Floats:
    return np.zeros(count, np.float32)


def _spread(values: Floats, steps: NDArray[np.intp], count: int) -> Floats:
    """Values of some steps as an array of all S steps, 0 elsewhere."""
    all_steps = _zeros(count)
    all_steps[steps] = values
    return all_steps


def step_evidence(probe: Probe) -> Floats:
    """Evidence lost without each step, (S,); 0 where it is missing already."""
    steps = probe.steps
    lost = probe.evidence - probe.evidence_of(probe.with_token(steps, probe.missing))
    return _spread(lost, steps, len(probe.tokens))


def time_importance(probe: Probe, lost: Floats) -> Floats:
    """Change of all steps' attribution when one step is missing, (S,): sum over s of |R_s(x) - R_s(x without t)|.

    Args:
        probe: the window.
        lost: (S,) the attribution R(x), from `step_evidence`.
    """
    steps = probe.steps
    count = len(steps)
    first, second = np.triu_indices(count, 1)  # without both steps, the order does not matter
    windows = probe.with_token(steps[first], probe.missing)
    windows[np.arange(len(first)), steps[second]] = probe.missing
    both: Floats = np.zeros((count, count), np.float32)  # evidence lost without both
    if len(first):
        both[first, second] = both[second, first] = probe.evidence - probe.evidence_of(windows)
    one = lost[steps]
    np.fill_diagonal(both, one)
    # R_s(x without t) = f(x without t) - f(x without s and t); without t itself there is nothing left to lose.
    rest = both - one[:, None]  # (t, s)
    return _spread(np.abs(one[None] - rest).sum(axis=1), steps, len(probe.tokens))


def important_steps(importance: Floats, steps: NDArray[np.intp], percentile: float = PERCENTILE) -> NDArray[np.intp]:
    """The steps above the percentile of all valid steps; those at it, too, if no step is above."""
    limit = np.percentile(importance[steps], percentile)
    chosen = steps[importance[steps] > limit]
    return chosen if len(chosen) else steps[importance[steps] >= limit]


def sensor_evidence(probe: Probe) -> tuple[dict[str, float], dict[str, Floats]]:
    """Evidence lost without each sensor: in the whole window, and (S,) in each step alone.

    A sensor that is missing already has 0.
    """
    whole, by_step = dict[str, float](), dict[str, Floats]()
    for column, spec in enumerate(probe.specs):
        steps = np.flatnonzero(probe.valid[:, column])
        whole[spec.name], by_step[spec.name] = 0.0, _zeros(len(probe.tokens))
        if not len(steps):
            continue
        tokens = probe.without_sensor(column)
        windows = np.concatenate([tokens[None], probe.with_token(steps, tokens[steps])])
        lost = probe.evidence - probe.evidence_of(windows)
        whole[spec.name], by_step[spec.name] = float(lost[0]), _spread(lost[1:], steps, len(tokens))
    return whole, by_step


def group_evidence(probe: Probe, column: int, chosen: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Evidence lost with a group of a sensor occluded: (S, G) in one of the chosen steps, (G,) in all of them."""
    spec, count = probe.specs[column], len(probe.tokens)
    by_step: Floats = np.zeros((count, spec.groups), np.float32)
    steps = chosen[probe.valid[chosen, column]]
    if not len(steps):
        return by_step, _zeros(spec.groups)
    tokens = probe.occluded(column, steps, [(group, None) for group in range(spec.groups)])  # (G, n, D)
    single = probe.with_token(np.tile(steps, spec.groups), tokens.reshape(-1, tokens.shape[-1]))
    together = np.repeat(probe.tokens[None], spec.groups, axis=0)
    together[:, steps] = tokens
    lost = probe.evidence - probe.evidence_of(np.concatenate([single, together]))
    by_step[steps] = lost[: len(single)].reshape(spec.groups, len(steps)).T
    return by_step, lost[len(single) :]


def axis_evidence(probe: Probe, groups: dict[str, Floats], chosen: NDArray[np.intp]) -> tuple[Axis, ...]:
    """Evidence lost with one channel of the most important groups held still in all chosen steps.

    Args:
        probe: the window.
        groups: sensor -> (S, G) importance.
        chosen: the steps.
    """
    totals = [
        (float(total), column, group)
        for column, spec in enumerate(probe.specs)
        for group, total in enumerate(groups[spec.name].sum(axis=0))
    ]
    ranked = sorted(totals, key=lambda entry: -entry[0])[:AXES_OF_GROUPS]
    axes: list[Axis] = []
    for total, column, group in ranked:
        spec, steps = probe.specs[column], chosen[probe.valid[chosen, column]]
        if total <= 0 or not len(steps):
            continue
        tokens = probe.occluded(column, steps, [(group, channel) for channel in range(spec.group)])
        windows = np.repeat(probe.tokens[None], spec.group, axis=0)
        windows[:, steps] = tokens
        lost = probe.evidence - probe.evidence_of(windows)
        axes += [Axis(spec.name, group, channel, float(value)) for channel, value in enumerate(lost)]
    return tuple(axes)


def _explain(
    probe: Probe, method: str, lost: Floats, time: Floats, chosen: NDArray[np.intp], weight: Floats
) -> Saliency:
    """The saliency of groups in the chosen steps, weighted by step, with everything else of an explanation."""
    groups, together = dict[str, Floats](), dict[str, Floats]()
    for column, spec in enumerate(probe.specs):
        by_step, together[spec.name] = group_evidence(probe, column, chosen)
        groups[spec.name] = np.abs(by_step) * weight[:, None]
    examined: Bools = np.zeros(len(probe.tokens), bool)
    examined[chosen] = True
    whole, by_sensor = sensor_evidence(probe)
    axes = axis_evidence(probe, groups, chosen)
    return Saliency(method, time, groups, examined, lost, whole, by_sensor, together, axes)


def occlusion(probe: Probe) -> Saliency:
    """Occlusion of every step, and of every group in every step."""
    lost = step_evidence(probe)
    return _explain(probe, "occlusion", lost, np.abs(lost), probe.steps, np.ones(len(lost), np.float32))


def rescaled(probe: Probe) -> Saliency:
    """Temporal saliency rescaling of occlusion."""
    lost = step_evidence(probe)
    time = time_importance(probe, lost)
    return _explain(probe, "tsr", lost, time, important_steps(time, probe.steps), time)


METHODS: dict[str, Callable[[Probe], Saliency]] = {"tsr": rescaled, "occlusion": occlusion}
"""Methods that need a network's outputs only."""
