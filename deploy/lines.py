"""A live stream as text: one JSON object per line in, one JSON prediction per line out."""

import json
from typing import Any, cast

from deploy.stream import StreamRecognizer
from edgehar.clip import Prediction
from edgehar.errors import DataError

KEYS = {"modality", "time_s", "samples"}


def prediction_line(prediction: Prediction, labels: tuple[str, ...]) -> str:
    """A prediction as one line of JSON."""
    probabilities = [round(float(value), 6) for value in prediction.probabilities]
    return json.dumps(
        {
            "start_s": round(prediction.start_s, 6),
            "end_s": round(prediction.end_s, 6),
            "label": prediction.label,
            "score": round(prediction.score, 6),
            "probabilities": dict(zip(labels, probabilities, strict=True)),
        }
    )


def push_line(stream: StreamRecognizer, line: bytes) -> list[Prediction]:
    """Push one line, {"modality": "...", "time_s": 1.23 or [...], "samples": [[...], ...]}, into a stream.

    A sample with NaN or null counts as lost. An empty line is no sample.

    Raises DataError if the line is anything else, or the stream refuses it; the stream is then as it was before.
    """
    if not line.strip():
        return []
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError) as problem:
        raise DataError(f"not JSON ({problem}); expected one JSON object per line") from None
    if not isinstance(entry, dict) or set(cast("dict[str, Any]", entry)) != KEYS:
        raise DataError('expected {"modality": NAME, "time_s": seconds, "samples": [[...], ...]} and nothing else')
    message = cast("dict[str, Any]", entry)
    if not isinstance(message["modality"], str):
        raise DataError(f"modality is {message['modality']!r}; expected its name")
    return stream.push(message["modality"], message["samples"], message["time_s"])
