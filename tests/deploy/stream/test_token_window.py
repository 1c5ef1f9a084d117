"""The newest tokens are kept whatever the number of steps of a hop."""

import numpy as np

from edgehar.deploy.stream.token_window import TokenWindow


def test_tokens_are_the_newest_ones() -> None:
    generator, steps = np.random.default_rng(0), 5
    window = TokenWindow(np.zeros((1, 3), np.float32), steps)
    everything, end = np.zeros((steps, 3), np.float32), 0
    for count in generator.integers(1, 30, 200).tolist():
        tokens = generator.standard_normal((count, 3), np.float32)
        everything, end = np.concatenate([everything, tokens]), end + count
        assert window.append(tokens, end, end - 1)
        np.testing.assert_array_equal(window.tokens, everything[-steps:])


def test_window_without_a_valid_step_is_empty() -> None:
    window = TokenWindow(np.zeros((1, 3), np.float32), 4)
    tokens = np.ones((2, 3), np.float32)
    assert [window.append(tokens, 2, -1), window.append(tokens, 4, 3), window.append(tokens, 6, -1)] == [
        False,
        True,
        True,
    ]
    assert not window.is_empty(6)
    assert window.is_empty(8)
    assert not window.append(tokens, 8, -1)
