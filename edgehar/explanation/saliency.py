"""Occlusion and temporal saliency rescaling of one window, from a network's outputs alone.

Occlusion: the evidence (log odds) that is lost when a step, a sensor or a group is occluded (Zeiler and Fergus, ECCV
2014). Temporal saliency rescaling (Ismail et al., NeurIPS 2020, algorithm 1) examines time first: a step's importance
is how much the attribution of all steps changes when it is missing, and the saliency of a group in a step is multiplied
by it. Here the attribution of a step is the evidence lost without it, so the first part needs heads only. The second
part needs the encoder only, so that groups can be examined in every step: how far the step's token moves when the
group is occluded. What is lost with the group in the steps above the 55th percentile makes it specific to an activity.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgehar.explanation.probe import Probe
from edgehar.explanation.result import Axis, Saliency
from edgehar.signals.clip import Bools, Floats

PERCENTILE = 55.0
"""Evidence of groups is measured in the steps whose importance is above this percentile (Ismail et al. 2020)."""
AXES_OF_GROUPS = 3
"""The channels of so many groups, the most important ones, are examined."""
ROUNDING = 1e-3
"""Of a token's length: smaller changes are none."""


def _zeros(count: int) -> Floats:
    return np.zeros(count, np.float32)


def _spread(values: Floats, steps: NDArray[np.intp], count: int) -> Floats:
    """Values of some steps as an array of all S steps, 0 elsewhere."""
    all_steps = _zeros(count)
    all_steps[steps] = values
    return all_steps


def _marked(steps: NDArray[np.intp], count: int) -> Bools:
    """Some of all S steps as a mask, (S,) True for these."""
    mask: Bools = np.zeros(count, bool)
    mask[steps] = True
    return mask


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


def examine_groups(
    probe: Probe, chosen: NDArray[np.intp], importance: Callable[[NDArray[np.intp], Floats], Floats]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Occlude every group of every sensor, in every step in which the sensor is valid.

    Args:
        probe: the window.
        chosen: steps in which a group is occluded at once, for its evidence.
        importance: n steps and their tokens (G, n, D), each without one group -> (n, G).

    Returns:
        Sensor -> (S, G) importance, and sensor -> (G,) evidence lost with the group occluded in all chosen steps.
    """
    groups, together = dict[str, Floats](), dict[str, Floats]()
    is_chosen = _marked(chosen, len(probe.tokens))
    for column, spec in enumerate(probe.specs):
        steps = np.flatnonzero(probe.valid[:, column])
        by_step: Floats = np.zeros((len(probe.tokens), spec.groups), np.float32)
        groups[spec.name], together[spec.name] = by_step, _zeros(spec.groups)
        if not len(steps):
            continue
        tokens = probe.occluded(column, steps, [(group, None) for group in range(spec.groups)])
        by_step[steps] = importance(steps, tokens)
        examined = is_chosen[steps]
        if examined.any():
            together[spec.name] = joint_evidence(probe, steps[examined], tokens[:, examined])
    return groups, together


def single_evidence(probe: Probe, steps: NDArray[np.intp], tokens: Floats) -> Floats:
    """Evidence lost with a group occluded in one of n steps, (n, G); tokens without the group (G, n, D)."""
    groups = len(tokens)
    windows = probe.with_token(np.tile(steps, groups), tokens.reshape(-1, tokens.shape[-1]))
    return (probe.evidence - probe.evidence_of(windows)).reshape(groups, len(steps)).T


def joint_evidence(probe: Probe, steps: NDArray[np.intp], tokens: Floats) -> Floats:
    """Evidence lost with a group occluded in all of n steps, (G,); tokens without the group (G, n, D)."""
    windows = np.repeat(probe.tokens[None], len(tokens), axis=0)
    windows[:, steps] = tokens
    return probe.evidence - probe.evidence_of(windows)


def token_change(probe: Probe, steps: NDArray[np.intp], tokens: Floats) -> Floats:
    """Euclidean distance of the tokens of n steps without a group (G, n, D) to those with it, (n, G).

    0 where it is no more than a group that is still anyway moves a token by rounding.
    """
    whole = probe.tokens[steps]  # (n, D)
    change = np.sqrt(np.square(tokens - whole).sum(axis=2)).T
    return np.where(change > ROUNDING * np.sqrt(np.square(whole).sum(axis=1))[:, None], change, 0)


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
    probe: Probe,
    method: str,
    lost: Floats,
    time: Floats,
    chosen: NDArray[np.intp],
    groups: dict[str, Floats],
    together: dict[str, Floats],
) -> Saliency:
    """The importance of steps and groups with everything else of an explanation."""
    examined = _marked(chosen, len(probe.tokens))
    whole, by_sensor = sensor_evidence(probe)
    axes = axis_evidence(probe, groups, chosen)
    return Saliency(method, time, groups, examined, lost, whole, by_sensor, together, axes)


def occlusion(probe: Probe) -> Saliency:
    """Occlusion of every step, and of every group in every step."""
    lost = step_evidence(probe)

    def importance(steps: NDArray[np.intp], tokens: Floats) -> Floats:
        return np.abs(single_evidence(probe, steps, tokens))

    groups, together = examine_groups(probe, probe.steps, importance)
    return _explain(probe, "occlusion", lost, np.abs(lost), probe.steps, groups, together)


def rescaled(probe: Probe) -> Saliency:
    """Temporal saliency rescaling: importance of a step x change of its token x (1 + evidence of the group).

    The evidence is that of `examine_groups` in the important steps, without sign, as a share of the largest one.
    """
    lost = step_evidence(probe)
    time = time_importance(probe, lost)
    chosen = important_steps(time, probe.steps)

    def importance(steps: NDArray[np.intp], tokens: Floats) -> Floats:
        return token_change(probe, steps, tokens) * time[steps, None]

    groups, together = examine_groups(probe, chosen, importance)
    largest = max(float(np.abs(part).max()) for part in together.values())
    if largest > 0:
        for name, evidence in together.items():
            groups[name] *= 1 + np.abs(evidence) / largest
    return _explain(probe, "tsr", lost, time, chosen, groups, together)


METHODS: dict[str, Callable[[Probe], Saliency]] = {"tsr": rescaled, "occlusion": occlusion}
"""Methods that need a network's outputs only."""
