"""A graph bound to arrays computes what it computes otherwise, and can be filled and run again."""

from pathlib import Path

import numpy as np

from edgehar.deploy.recognizer import Recognizer
from edgehar.package.folder import EdgePackage


def test_bound_graphs_equal_the_graphs(int8_package: Path) -> None:
    generator = np.random.default_rng(0)
    for precision in ("fp32", "int8"):
        recognizer = Recognizer(EdgePackage.open(int8_package), precision)
        encoder, head = recognizer.bind("encoder", 3), recognizer.bind("head", 2)
        for _ in range(3):
            for array in (*encoder.inputs.values(), *head.inputs.values()):
                array[:] = generator.standard_normal(array.shape)
            expected = recognizer.encode(encoder.inputs, encoder.inputs["valid"])
            np.testing.assert_array_equal(encoder.run(), expected)
            np.testing.assert_array_equal(head.run(), recognizer.classify(head.inputs["tokens"]))
