"""Lines of a stream: JSON objects of samples; invalid lines are rejected with their number, or skipped."""

import json
from typing import Any

import numpy as np
import pytest

from edgehar.deploy.live.json_lines import MAX_LINE_BYTES, StreamMessage
from edgehar.deploy.live.serving.live_fleet import LiveFleet, stream_answers
from edgehar.deploy.recognizer import Recognizer
from edgehar.deploy.stream.fleet import Fleet
from edgehar.errors import DataError
from edgehar.signals.clip import Prediction
from tests.deploy.running import lines_of, predictions_of
from tests.deploy.streams import Recording, steady


def streamed(recognizer: Recognizer, lines: list[bytes], skip_bad: bool = False) -> list[Prediction]:
    messages = [StreamMessage(f"line {number}", line) for number, line in enumerate(lines, 1)]
    people = LiveFleet(Fleet(recognizer, idle_s=float("inf")), None, timeout_s=60.0)
    return predictions_of(stream_answers(people, messages, skip_bad))


def long_line(times_s: list[Any]) -> bytes:
    samples = [[0] * 6] * len(times_s)
    entry = {"modality": "inertial", "time_s": times_s, "samples": samples}
    return json.dumps(entry, separators=(",", ":")).encode()


ALTERNATING = [9 if index % 2 else 10**9 for index in range(40_000)]
"""As many clock jumps as fit into one line."""

INVALID_LINES = [
    long_line(ALTERNATING),
    long_line([index / 2 for index in range(40_000)]),  # hours: a window per hop
    long_line([ALTERNATING]),
    b"not json",
    b"[1, 2]",
    b"{}",
    b'{"modality": "inertial", "time_s": 9.0}',
    b'{"modality": "inertial", "time_s": 9.0, "samples": [[0,0,0,0,0,0]], "note": 1}',
    b'{"modality": 7, "time_s": 9.0, "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "radar", "time_s": 9.0, "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": 9.0, "samples": [[0,0,0]]}',
    b'{"modality": "inertial", "time_s": 9.0, "samples": []}',
    b'{"modality": "inertial", "time_s": 9.0, "samples": {"a": 1}}',
    b'{"modality": "inertial", "time_s": "noon", "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": null, "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": [9.0, 9.1], "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": 1e12, "samples": [[0,0,0,0,0,0]]}',
    b"\xff\xfe{}",
    '{"modality": "inertial", "time_s": 9.0, "samples": [[0,0,0,0,0,0]]}'.encode("utf-16"),
    b'{"modality": "inertial", "time_s": 9.0, "samples": [["1.5",0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": 9.0, "samples": [["1","1","1","1","1","1"]]}',
    b'{"modality": "inertial", "time_s": "9.0", "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": 9.0, "samples": [[true,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": true, "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": 9.0, "time_s": 9.1, "samples": [[0,0,0,0,0,0]]}',
    b"[" * 100_000,
    b"[" * (MAX_LINE_BYTES + 1),
    b'{"modality": "' + b"x" * 100_000 + b'", "time_s": 9.0, "samples": [[0,0,0,0,0,0]]}',
    b'{"modality": "inertial", "time_s": 1' + b"0" * 5000 + b', "samples": [[0,0,0,0,0,0]]}',
]


@pytest.mark.parametrize("invalid", INVALID_LINES, ids=lambda line: line[:60].decode("latin-1"))
def test_invalid_line_is_rejected_or_skipped(
    recognizer: Recognizer, invalid: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = steady(1.5)
    good = [line.strip() for line in lines_of(recording)]
    lines = [*good[:40], invalid, *good[40:]]
    with pytest.raises(DataError, match="line 41: "):
        streamed(recognizer, lines)
    found = streamed(recognizer, lines, skip_bad=True)
    log = capsys.readouterr().err
    assert log.startswith("edgehar: line 41: ")
    assert log.count("\n") == 1
    assert len(log) <= 401
    expected = recognizer.predict_windows(recording.signals, recording.times_s)
    np.testing.assert_allclose([one.probabilities for one in found], [one.probabilities for one in expected], atol=1e-5)


def test_line_of_a_minute_is_accepted(recognizer: Recognizer) -> None:
    found = streamed(recognizer, [long_line([index / 50 for index in range(3000)])])
    assert found[-1].end_s > 59.0


@pytest.mark.parametrize(
    ("invalid", "reason"),
    [
        (
            b'{"modality": "inertial", "time_s": 9.0, "samples": [["1.5",0,0,0,0,0]]}',
            "inertial: samples",
        ),
        (b'{"modality": "inertial", "time_s": "9.0", "samples": [[0,0,0,0,0,0]]}', "inertial: .*times"),
        (b'{"modality": "inertial", "time_s": false, "samples": [[0,0,0,0,0,0]]}', "false"),
        (b'{"modality": "a", "modality": "inertial", "time_s": 9.0, "samples": []}', "'modality' twice"),
    ],
)
def test_error_names_the_cause(recognizer: Recognizer, invalid: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=f"^line 1: .*{reason}"):
        streamed(recognizer, [invalid])


def test_byte_order_mark_is_skipped(recognizer: Recognizer, lines: list[bytes], expected: list[Prediction]) -> None:
    found = streamed(recognizer, [b"\xef\xbb\xbf" + lines[0], *lines[1:], b"\xef\xbb\xbf\n"])
    assert [one.label for one in found] == [one.label for one in expected]


def test_nan_and_null_are_missing_samples(recognizer: Recognizer) -> None:
    recording = steady(1.5)
    inertial = recording.signals["inertial"].copy()
    inertial[10] = np.nan
    with_missing = Recording(recording.signals | {"inertial": inertial}, recording.times_s)
    nan_lines = lines_of(with_missing)
    null_lines = [line.replace(b"NaN", b"null") for line in nan_lines]
    assert nan_lines != null_lines
    expected = recognizer.predict_windows(with_missing.signals, with_missing.times_s)
    for lines in (nan_lines, null_lines):
        found = streamed(recognizer, lines)
        np.testing.assert_allclose(
            [one.probabilities for one in found], [one.probabilities for one in expected], atol=1e-5
        )
