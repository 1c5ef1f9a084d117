"""Human activity recognition from body sensors: training, compression and deployment.

The names below are imported on first use, so that `import edgehar` needs neither torch nor onnxruntime.
"""

import os

from edgehar import errors

# onnxruntime (since 1.31) reports its use to Microsoft unless this is set when it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, whose import takes longer than everything else here

if TYPE_CHECKING:
    from edgehar.deploy.explanation.explain import explain
    from edgehar.deploy.recognizer import Recognizer, load
    from edgehar.deploy.stream.fleet import Fleet
    from edgehar.deploy.stream.recognizer import StreamRecognizer
    from edgehar.deploy.stream.segments import Activity, Segmenter
    from edgehar.explanation.result import Explanation
    from edgehar.signals.clip import Prediction

__all__ = [
    "Activity",
    "Explanation",
    "Fleet",
    "Prediction",
    "Recognizer",
    "Segmenter",
    "StreamRecognizer",
    "__version__",
    "errors",
    "explain",
    "load",
]

__version__ = "0.2.0"

_MODULE_OF = {
    "Activity": "edgehar.deploy.stream.segments",
    "Explanation": "edgehar.explanation.result",
    "Fleet": "edgehar.deploy.stream.fleet",
    "Prediction": "edgehar.signals.clip",
    "Recognizer": "edgehar.deploy.recognizer",
    "Segmenter": "edgehar.deploy.stream.segments",
    "StreamRecognizer": "edgehar.deploy.stream.recognizer",
    "explain": "edgehar.deploy.explanation.explain",
    "load": "edgehar.deploy.recognizer",
}


if not TYPE_CHECKING:  # a type checker reports any other name

    def __getattr__(name: str) -> object:
        """Import a public name on first use (PEP 562)."""
        import importlib

        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
