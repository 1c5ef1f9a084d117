"""Runs a graph with LiteRT in place of onnxruntime: less overhead per operator for small networks.

Selected as the provider `LiteRT`; computes on the CPU with XNNPACK. https://ai.google.dev/edge/litert, installed by
`pip install 'edgehar[litert]'`.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from edgehar.deploy.runtime.litert.translate import LiteRTTranslator
from edgehar.deploy.runtime.onnx_format.graph_view import GraphView, Shape
from edgehar.errors import ConfigError
from edgehar.signals.clip import Floats

MAX_BATCH_SIZES = 4
"""Batch sizes whose interpreters are kept; each holds a copy of the weights."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output, with the attributes of onnxruntime's NodeArg."""

    name: str
    shape: Shape
    type: str = "tensor(float)"


class _BatchInterpreter:
    """The interpreter for one batch size."""

    def __init__(self, view: GraphView, rows: int, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingTypeStubs]

        try:
            model = LiteRTTranslator(view, rows)
            self.shapes = model.shapes
            self._interpreter: Any = Interpreter(model_content=model.data, num_threads=threads)
            self._interpreter.allocate_tensors()
        except ConfigError:
            raise
        except Exception as problem:  # an inconsistent graph can fail anywhere
            raise ConfigError(
                f"LiteRT cannot run the graph ({type(problem).__name__}: {problem}); expected one from edgehar export; "
                "choose another provider, or export it again"
            ) from None
        indices = [entry["index"] for entry in self._interpreter.get_input_details()]
        self._inputs = dict(zip(view.inputs, indices, strict=True))
        self._output = self._interpreter.get_output_details()[0]["index"]

    def run(self, inputs: dict[str, Floats]) -> Floats:
        """Compute the output."""
        for name, index in self._inputs.items():
            self._interpreter.set_tensor(index, inputs[name])
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)


class LiteRTSession:
    """A session with the methods of onnxruntime's that `edgehar.deploy.runtime.session.GraphSession` calls.

    Args:
        view: a float32 graph, or one whose linear layers have INT8 weights and are quantised dynamically.
        threads: of LiteRT.

    Raises ConfigError if `litert.translate` cannot translate the graph, or the graph is inconsistent.
    """

    def __init__(self, view: GraphView, threads: int) -> None:
        """Translate the graph for a batch of one."""
        self._view, self._threads = view, threads
        self._lock = Lock()  # onnxruntime's sessions are thread-safe
        self._interpreters: OrderedDict[int, _BatchInterpreter] = OrderedDict()
        self._shapes = self._interpreter_for(1).shapes

    def get_inputs(self) -> list[TensorInfo]:
        """Like onnxruntime's method."""
        return [TensorInfo(name, shape) for name, shape in self._view.inputs.items()]

    def get_outputs(self) -> list[TensorInfo]:
        """Like onnxruntime's method; the first dimension has any size."""
        return [TensorInfo(name, (None, *self._shapes[name][1:])) for name in self._view.outputs]

    def run(self, names: Sequence[str], inputs: dict[str, Floats]) -> list[Floats]:
        """Like onnxruntime's method; `names` is ignored, as there is one output."""
        rows = len(next(iter(inputs.values())))
        with self._lock:
            return [self._interpreter_for(rows).run(inputs)]

    def _interpreter_for(self, rows: int) -> _BatchInterpreter:
        interpreter = self._interpreters.get(rows)
        if interpreter is None:
            if len(self._interpreters) == MAX_BATCH_SIZES:
                self._interpreters.popitem(last=False)
            self._interpreters[rows] = interpreter = _BatchInterpreter(self._view, rows, self._threads)
        else:
            self._interpreters.move_to_end(rows)
        return interpreter
