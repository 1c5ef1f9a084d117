"""The newest tokens are kept whatever the number of steps of a hop."""

import numpy as np

from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.rows import StreamRows
from edgehar.deploy.stream.token_window import TokenWindow


def empty_window(recognizer: Recognizer) -> tuple[TokenWindow, int, int]:
    """A window without tokens, its number of steps and its width."""
    steps, width = recognizer.manifest.window.steps, recognizer.manifest.token_dim
    rows = StreamRows(recognizer.manifest, {})
    return TokenWindow(np.zeros((1, width), np.float32), steps, rows, rows.add()), steps, width


def test_tokens_are_the_newest_ones(recognizer: Recognizer) -> None:
    generator, (window, steps, width) = np.random.default_rng(0), empty_window(recognizer)
    everything, end = np.zeros((steps, width), np.float32), 0
    for count in generator.integers(1, 6 * steps, 200).tolist():
        tokens = generator.standard_normal((count, width), np.float32)
        everything, end = np.concatenate([everything, tokens]), end + count
        assert window.append(tokens, end, end - 1)
        np.testing.assert_array_equal(window.tokens, everything[-steps:])


def test_window_without_a_valid_step_is_empty(recognizer: Recognizer) -> None:
    window, steps, width = empty_window(recognizer)
    tokens = np.ones((2, width), np.float32)
    assert not window.append(tokens, 2, -1)
    assert window.append(tokens, 4, 3)
    assert window.append(tokens, 6, -1)
    assert not window.is_empty(3 + steps - 1)
    assert window.is_empty(3 + steps)
    assert not window.append(tokens, 4 + steps, -1)
