"""Tables of the faithfulness of explanations, and the deletion curve behind one of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bodies import SPECS, activity_windows

from edgehar.errors import DataError
from edgehar.explanation.probe import still_features
from tools.faithfulness.deletion import POINTS, curve_windows
from tools.faithfulness.measure import training_suffix
from tools.faithfulness.methods import METHODS, RANDOM, motion_saliency, summarised
from tools.faithfulness.synthetic import BOX_CHANNELS, BOX_STEPS, SPEC, draw_series
from tools.faithfulness.table import FIRST, LAST, tables, write_tables

REPOSITORY = Path(__file__).resolve().parents[2]


def write_run(folder: Path, seed: int, gain: float) -> None:
    """A result file in which every method is better than random by `gain`."""
    scores: dict[str, Any] = {
        method: {"parts": [0.2, 0.3, 0.25] if method == RANDOM else [0.2 + gain, 0.3 + gain, 0.25 + gain]}
        for method in METHODS
    }
    run = {
        "check": "synthetic",
        "seed": seed,
        "windows": 3,
        "accuracy": 0.9,
        "share_true": {"parts": 0.1},
        "methods": summarised(scores, {method: [0.1] for method in METHODS}),
    }
    (folder / f"synthetic-box-seed{seed}.json").write_text(json.dumps(run))


def test_method_that_is_no_better_than_random_is_named(tmp_path: Path) -> None:
    write_run(tmp_path, 0, 0.0)
    assert "| tsr | 0.250, no better than random |" in tables(tmp_path)
    write_run(tmp_path, 1, 0.1)
    assert "| tsr | 0.300 ± 0.071, better than random in 1 of 2 |" in tables(tmp_path)
    assert "| random | 0.250 ± 0.000 |" in tables(tmp_path)


def test_lower_may_be_better() -> None:
    scores = {RANDOM: {"deletion": [0.5, 0.6]}, "tsr": {"deletion": [0.2, 0.3]}}
    entry = summarised(scores, {RANDOM: [1.0], "tsr": [1.0]}, ("deletion",))["tsr"]["deletion"]
    assert entry["better_than_random"]
    assert entry["over_random"] == pytest.approx(0.3)


def test_page_needs_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(DataError, match="expected the lines"):
        write_tables(tmp_path, page)
    page.write_text(f"before\n{FIRST}\nold\n{LAST}\nafter\n")
    write_run(tmp_path, 0, 0.1)
    write_tables(tmp_path, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text


def test_page_of_the_documentation_has_the_stored_results() -> None:
    text = (REPOSITORY / "docs" / "explanations.md").read_text(encoding="utf-8")
    shown = text.partition(FIRST)[2].partition(LAST)[0]
    assert shown.strip() == tables(REPOSITORY / "docs" / "results" / "faithfulness").strip()


def test_deletion_ends_still_and_insertion_ends_whole() -> None:
    window = activity_windows().take(np.array([3]))
    parts = sum(window.features[spec.name][0, :, 0, :, 0].size for spec in SPECS)
    order = np.random.default_rng(0).permutation(parts)
    deleted, inserted = (curve_windows(window, SPECS, order, insertion) for insertion in (False, True))
    for spec in SPECS:
        whole = window.features[spec.name][0]
        still = np.broadcast_to(still_features(whole, window.valid[spec.name][0], spec), whole.shape)
        for first, last in ((deleted, inserted), (inserted, deleted)):
            np.testing.assert_array_equal(first.features[spec.name][0], last.features[spec.name][POINTS])
        np.testing.assert_array_equal(deleted.features[spec.name][0], whole)
        np.testing.assert_array_equal(inserted.features[spec.name][0], still)


def test_motion_ranks_what_moves_and_leaves_out_what_is_missing() -> None:
    window = activity_windows().take(np.array([3]))
    window.features["skeleton"][0, :, :, 7] = 1
    window.features["skeleton"][0, 5, :, 7] = 9
    window.valid["skeleton"][0, 2] = False
    saliency = motion_saliency(window, SPECS)
    joint = saliency.groups["skeleton"][:, 7]
    assert joint.argmax() == 5
    assert saliency.steps.argmax() == 5
    assert not saliency.groups["skeleton"][2].any()


def test_box_is_where_the_signal_is() -> None:
    windows, truth = draw_series(40, np.random.default_rng(0))
    assert (truth.sum(axis=(1, 2)) == BOX_STEPS * BOX_CHANNELS).all()
    values = windows.features[SPEC.name][..., 0].mean(axis=2)  # (N, S, C)
    signed = values * (2 * windows.label - 1)[:, None, None]
    assert signed[truth].mean() > 0.8
    assert abs(signed[~truth].mean()) < 0.1


@pytest.mark.parametrize(
    ("guided", "suffix"),
    [
        ({}, ""),  # a checkpoint of an earlier version
        ({"guided": 0.0, "guided_adaptive": True}, ""),
        ({"guided": 1.0, "guided_adaptive": False}, "-guided"),
        ({"guided": 0.5, "guided_adaptive": True}, "-guided-adaptive"),
    ],
)
def test_results_of_guided_training_have_names_of_their_own(guided: dict[str, Any], suffix: str):
    assert training_suffix(guided) == suffix
