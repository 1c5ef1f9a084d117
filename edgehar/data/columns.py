"""Recordings whose channels are in another order than a model's, told by their names."""

from collections.abc import Iterable
from dataclasses import replace

from edgehar.data.recordings.header_row import column_order
from edgehar.errors import DataError
from edgehar.signals.clip import Dataset
from edgehar.signals.modality import ModalitySpec


def in_order_of(dataset: Dataset, specs: Iterable[ModalitySpec]) -> Dataset:
    """The data set with the channels of each sensor in the order of these declarations, where both have names.

    Raises:
        DataError: the names tell another order, but not which.
    """
    for expected in specs:
        recorded = next((spec for spec in dataset.info.modalities if spec.name == expected.name), None)
        if recorded is None or recorded.channels != expected.channels or not expected.columns or not recorded.columns:
            continue
        order, problem = column_order(recorded.columns, expected.columns)
        if order is None:
            raise DataError(f"{dataset.info.name}: {expected.name}: {problem}")
        if order != list(range(expected.channels)):
            dataset = _reordered(dataset, replace(recorded, columns=expected.columns), order)
    return dataset


def _reordered(dataset: Dataset, spec: ModalitySpec, order: list[int]) -> Dataset:
    specs = tuple(spec if each.name == spec.name else each for each in dataset.info.modalities)
    clips = tuple(
        replace(clip, signals=clip.signals | {spec.name: clip.signals[spec.name].take(order, axis=1)})
        if spec.name in clip.signals
        else clip
        for clip in dataset.clips
    )
    return Dataset(replace(dataset.info, modalities=specs), clips)
