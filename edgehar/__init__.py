"""Human activity recognition from body sensors: training, compression and deployment.

The names below are imported on first use, so that `import edgehar` needs neither torch nor onnxruntime.
"""

import importlib
from typing import TYPE_CHECKING, Any

from edgehar import errors

if TYPE_CHECKING:
    from edgehar.deploy.recognizer import Recognizer, load
    from edgehar.deploy.stream.recognizer import StreamRecognizer
    from edgehar.deploy.stream.segments import Activity, Segmenter
    from edgehar.signals.clip import Prediction

__all__ = ["Activity", "Prediction", "Recognizer", "Segmenter", "StreamRecognizer", "__version__", "errors", "load"]

__version__ = "0.2.0"

_MODULE_OF = {
    "Activity": "edgehar.deploy.stream.segments",
    "Prediction": "edgehar.signals.clip",
    "Recognizer": "edgehar.deploy.recognizer",
    "Segmenter": "edgehar.deploy.stream.segments",
    "StreamRecognizer": "edgehar.deploy.stream.recognizer",
    "load": "edgehar.deploy.recognizer",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
