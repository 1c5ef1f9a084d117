"""LiteRT in place of onnxruntime: the same network, with less time spent on each of its many small operators.

It stands among the providers under the name `LiteRT`, computes on the processor through XNNPACK, and comes with
`pip install 'edgehar[litert]'`. https://ai.google.dev/edge/litert
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from edgehar.deploy.runtime.litert.translate import LiteModel
from edgehar.deploy.runtime.onnx_format.checker import Shape
from edgehar.deploy.runtime.onnx_format.graph_view import GraphView
from edgehar.errors import ConfigError
from edgehar.signals.clip import Floats

MOST_SIZES = 4
"""Batch sizes that are kept ready; each has a copy of the weights."""


@dataclass(frozen=True)
class Port:
    """An input or output, described as onnxruntime does."""

    name: str
    shape: Shape
    type: str = "tensor(float)"


class _Plan:
    """The network for one batch size."""

    def __init__(self, view: GraphView, rows: int, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingTypeStubs]

        try:
            model = LiteModel(view, rows)
            self.sizes = model.shapes
            self._interpreter: Any = Interpreter(model_content=model.data, num_threads=threads)
            self._interpreter.allocate_tensors()
        except ConfigError:
            raise
        except Exception as problem:  # a graph that contradicts itself shows it wherever it is looked at first
            raise ConfigError(
                f"LiteRT cannot take the graph ({type(problem).__name__}: {problem}); expected one that edgehar "
                "exported; give another provider, or export it again"
            ) from None
        places = [entry["index"] for entry in self._interpreter.get_input_details()]
        self._inputs = dict(zip(view.inputs, places, strict=True))
        self._output = self._interpreter.get_output_details()[0]["index"]

    def run(self, inputs: dict[str, Floats]) -> Floats:
        """The one output."""
        for name, place in self._inputs.items():
            self._interpreter.set_tensor(place, inputs[name])
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)


class LiteSession:
    """What `edgehar.deploy.runtime.session.Graph` needs of an onnxruntime session.

    Args:
        view: a float32 graph, or one whose linear layers have INT8 weights and ranges measured at run time.
        threads: of LiteRT.

    Raises ConfigError if the graph holds what `litert.translate` does not translate, or contradicts itself.
    """

    def __init__(self, view: GraphView, threads: int) -> None:
        """Get ready for a batch of one."""
        self._view, self._threads = view, threads
        self._lock = Lock()  # onnxruntime's sessions may be used by several threads, so this one may, too
        self._plans: OrderedDict[int, _Plan] = OrderedDict()
        self._sizes = self._plan(1).sizes

    def get_inputs(self) -> list[Port]:
        """As onnxruntime's."""
        return [Port(name, shape) for name, shape in self._view.inputs.items()]

    def get_outputs(self) -> list[Port]:
        """As onnxruntime's; the first dimension is open."""
        return [Port(name, (None, *self._sizes[name][1:])) for name in self._view.outputs]

    def run(self, names: Sequence[str], inputs: dict[str, Floats]) -> list[Floats]:
        """As onnxruntime's, for the one output there is."""
        rows = len(next(iter(inputs.values())))
        with self._lock:
            return [self._plan(rows).run(inputs)]

    def _plan(self, rows: int) -> _Plan:
        plan = self._plans.get(rows)
        if plan is None:
            if len(self._plans) == MOST_SIZES:
                self._plans.popitem(last=False)
            self._plans[rows] = plan = _Plan(self._view, rows, self._threads)
        else:
            self._plans.move_to_end(rows)
        return plan
