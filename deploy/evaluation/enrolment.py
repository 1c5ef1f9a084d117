"""The protocol of enrolment: activities left out of training are added from recordings of one test person.

A draw chooses one test person, and so many of this person's recordings of each activity that the package was not
trained on. The other test people are scored. Everything follows from the package, the recordings and the seed.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgehar.data.splits import make_split
from edgehar.deploy.evaluation.recordings import ALL_SUBJECTS, scored_clips, trained_dataset, untrained_activities
from edgehar.deploy.personal.features import split_head
from edgehar.deploy.recognizer import Recognizer
from edgehar.errors import ConfigError, DataError
from edgehar.metrics.calibration import auroc
from edgehar.package.personal import Example, Personal, identity_of
from edgehar.signals.clip import Bools, Clip, Dataset, Floats, natural_key
from edgehar.signals.windows import Windows, cut

COUNTS = (1, 5)
"""Recordings of each new activity; fewer where the person has fewer."""
DRAWS = 5
BATCH = 256


class Scored(NamedTuple):
    """Windows of the test people with their features.

    Attributes:
        features: (N, F).
        label: (N,) names of the activities.
        subject: (N,).
        clip: (N,) names of the recordings.
        raw: (N, D) prepared samples, for the nearest neighbour.
    """

    features: Floats
    label: NDArray[np.str_]
    subject: NDArray[np.str_]
    clip: NDArray[np.str_]
    raw: Floats


def raw_of(windows: Windows) -> Floats:
    """The prepared samples of each window as one vector (N, D)."""
    return np.concatenate([array.reshape(len(windows), -1) for array in windows.features.values()], 1)


def scored(recognizer: Recognizer, windows: Windows, names: Sequence[str]) -> Scored:
    """Compute the features of labelled windows; `names` are those of their labels."""
    starts = range(0, len(windows), BATCH)
    parts = [recognizer.features(windows.take(np.arange(i, min(i + BATCH, len(windows))))) for i in starts]
    label = np.asarray(names)[windows.label]
    return Scored(np.concatenate(parts), label, windows.subject, windows.clip, raw_of(windows))


def examples_of(test: Scored, person: str, activity: str, count: int, random: np.random.Generator) -> list[Example]:
    """So many recordings of a person's activity, or all there are, as `edgehar enrol` stores them."""
    rows = (test.subject == person) & (test.label == activity)
    clips = random.permutation(np.unique(test.clip[rows]))[:count]
    chosen = [test.features[rows & (test.clip == clip)] for clip in clips]
    return [Example(activity, len(each), f"{0:064x}", each.mean(0)) for each in chosen]


def _nearest(test: Scored, reference: Scored, queries: Bools, enrolled: Bools) -> NDArray[np.str_]:
    """Label of the raw window nearest to each query, among training windows and enrolled ones."""
    pool = np.concatenate([reference.raw, test.raw[enrolled]])
    label = np.concatenate([reference.label, test.label[enrolled]])
    raw = test.raw[queries]
    distance = (pool**2).sum(1) - 2 * raw @ pool.T  # (Q, R), without the part that all neighbours share
    return label[distance.argmin(1)]


def _share(correct: Bools) -> float:
    return float(correct.mean())


class Protocol:
    """The draws of one package.

    Args:
        recognizer: opened with an empty `personal`.
        test: labelled windows of the test people, those of the new activities among them.
        reference: windows of the training people, for the nearest neighbour.
        new: activities that the package was not trained on.
    """

    def __init__(self, recognizer: Recognizer, test: Scored, reference: Scored, new: tuple[str, ...]) -> None:
        """Draws of these windows."""
        package = recognizer.package
        self._recognizer, self._labels = recognizer, package.manifest.labels
        self._test, self._reference, self.new = test, reference, new
        self._empty = Personal(identity_of(package.manifest), recognizer.personal_head.weight.shape[1])

    def _logits(self, examples: Sequence[Example]) -> tuple[Floats, tuple[str, ...]]:
        """Logits of all test windows with these examples, and their labels."""
        personal = Personal(self._empty.package, self._empty.width, tuple(examples))
        weight, bias = self._recognizer.personal_head.classifier_of(personal)
        added = personal.new_labels(self._recognizer.package.manifest)
        return self._test.features @ weight.T + bias, (*self._labels, *added)

    def draw(self, person: str, count: int, random: np.random.Generator) -> dict[str, Any]:
        """Enrol every new activity from recordings of this person and score the others."""
        test = self._test
        examples = {name: examples_of(test, person, name, count, random) for name in self.new}
        fewest = min(map(len, examples.values()))
        if not fewest:
            raise DataError(f"{person}: no recording of one of {', '.join(self.new)}; choose other test people")
        others = test.subject != person
        known, new = others & np.isin(test.label, self._labels), others & np.isin(test.label, self.new)
        before, labels = self._logits([])
        after, all_labels = self._logits([one for each in examples.values() for one in each])
        correct_before = np.asarray(labels)[before.argmax(1)] == test.label
        correct = np.asarray(all_labels)[after.argmax(1)] == test.label
        enrolled = self._enrolled(person, examples)
        queries = known | new
        nearest = _nearest(test, self._reference, queries, enrolled) == test.label[queries]
        return {
            "person": person,
            "recordings": fewest,
            "new_windows": int(new.sum()),
            "known_windows": int(known.sum()),
            "new": _share(correct[new]),
            "known_before": _share(correct_before[known]),
            "known": _share(correct[known]),
            "per_activity": {name: _share(correct[new & (test.label == name)]) for name in self.new},
            "nearest_new": _share(nearest[new[queries]]),
            "nearest_known": _share(nearest[known[queries]]),
            **self._unknown(examples, known, new, before),
        }

    def _enrolled(self, person: str, examples: dict[str, list[Example]]) -> Bools:
        """Windows whose mean is an example."""
        test, chosen = self._test, np.zeros(len(self._test.label), bool)
        for name, each in examples.items():
            rows = (test.subject == person) & (test.label == name)
            for clip in np.unique(test.clip[rows]):
                inside = rows & (test.clip == clip)
                mean = test.features[inside].mean(0)
                chosen |= inside & any(np.array_equal(mean, one.features) for one in each)
        return chosen

    def _unknown(
        self, examples: dict[str, list[Example]], known: Bools, new: Bools, before: Floats
    ) -> dict[str, float]:
        """AUROC of a low score for each new activity while the others are enrolled, and before any is; means."""
        test, probabilities = self._test, self._recognizer.probabilities
        scores = {"unknown_auroc_before": list[float](), "unknown_auroc": list[float]()}
        for name in self.new:
            unknown, rest = new & (test.label == name), known | (new & (test.label != name))
            after, _ = self._logits([one for other in self.new if other != name for one in examples[other]])
            for key, logits, among in (("unknown_auroc_before", before, known), ("unknown_auroc", after, rest)):
                top = probabilities(logits).max(1)
                scores[key].append(auroc(1 - top[among], 1 - top[unknown]))
        return {key: float(np.mean(values)) for key, values in scores.items()}


def _people_draws(protocol: Protocol, people: Sequence[str], seed: int) -> dict[str, Any]:
    """All draws, each with the next of the people in a random order; returns plain values for JSON."""
    order = [str(name) for name in np.random.default_rng(seed).permutation(list(people))]
    counts: dict[str, Any] = {}
    for count in COUNTS:
        draws = [
            protocol.draw(order[index % len(order)], count, np.random.default_rng([seed, count, index]))
            for index in range(DRAWS)
        ]
        means = {
            key: float(np.mean([draw[key] for draw in draws])) for key in draws[0] if isinstance(draws[0][key], float)
        }
        counts[str(count)] = means | {"points_lost": 100 * (means["known_before"] - means["known"]), "draws": draws}
    return {"activities": list(protocol.new), "seed": seed, "counts": counts}


def measure(recognizer: Recognizer, dataset: Dataset, split: str, seed: int = 0) -> dict[str, Any]:
    """Enrol the activities that the package was not trained on; returns plain values for JSON.

    Args:
        recognizer: the package.
        dataset: the recordings.
        split: name of a split.
        seed: of the draws.

    Raises:
        ConfigError: the package was trained on all activities, or there are fewer than two test people.
        DataError: the recordings do not fit the package.
    """
    new = untrained_activities(recognizer, dataset)
    if not new:
        raise ConfigError(
            "--enrol: the package was trained on all activities of this data; expected some it was not trained on; "
            "train with --without, or omit --enrol"
        )
    manifest = recognizer.package.manifest
    head = manifest.graphs["fp32"]["head"]
    width = split_head(recognizer.package.read(head), head).weight.shape[1]
    opened = Recognizer(recognizer.package, recognizer.precision, personal=Personal(identity_of(manifest), width))
    used, labels = tuple(spec.name for spec in manifest.modalities), dataset.info.labels

    def labelled(clips: Sequence[Clip]) -> Windows:
        return cut(clips, replace(manifest.info, labels=labels), manifest.normalisation).labelled()

    tested = labelled(scored_clips(recognizer, dataset, split, used, trained_only=False))
    people: list[str] = sorted(np.unique(tested.subject).tolist(), key=natural_key)
    if split == ALL_SUBJECTS or len(people) < 2:
        raise ConfigError(f"--enrol: {len(people)} test people of split {split}; expected two or more; choose another")
    train = labelled(make_split(split, dataset.clips).train_clips(trained_dataset(recognizer, dataset).clips))
    # The labels of the training windows are those of the package, in its order.
    reference = Scored(
        np.zeros((len(train), 0), np.float32), np.asarray(manifest.labels)[train.label], train.subject, train.clip,
        raw_of(train),
    )  # fmt: skip
    return _people_draws(Protocol(opened, scored(opened, tested, labels), reference, new), people, seed)


def summary(result: dict[str, Any]) -> str:
    """Format the result as text."""
    lines = [f"enrolled from recordings of one test person, scored on the others: {', '.join(result['activities'])}"]
    for count, found in result["counts"].items():
        recordings = found["draws"][0]["recordings"]
        there = "" if recordings == int(count) else f" (there are {recordings})"
        lines.append(
            f"  {count} each{there}: {found['new']:.2%} of the new right (nearest neighbour of raw windows "
            f"{found['nearest_new']:.2%}); the known {found['known']:.2%}, before {found['known_before']:.2%}; AUROC "
            f"of another unknown {found['unknown_auroc']:.4f}, before {found['unknown_auroc_before']:.4f}"
        )
    return "\n".join(lines)
