"""The long replay to a live page: times that go on, and growth."""

import json

import pytest

from tools.live_page.replay import growth, later


@pytest.mark.parametrize(("times", "moved"), [(1.5, 11.5), ([1.0, 1.5], [11.0, 11.5])])
def test_later(times: float | list[float], moved: float | list[float]) -> None:
    line = json.dumps({"modality": "watch", "time_s": times, "sample": [0.0]}).encode()
    assert json.loads(later(line, 10.0)) == {"modality": "watch", "time_s": moved, "sample": [0.0]}


def test_growth() -> None:
    points = [{"server_mb": float(mb), "page_mb": 1.0, "nodes": 10.0 * mb} for mb in (5, 8, 9, 9)]
    assert growth(points) == {"server_mb": 1.0, "page_mb": 0.0, "nodes": 10.0}
