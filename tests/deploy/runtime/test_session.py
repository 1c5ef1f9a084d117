"""A graph bound to arrays computes what it computes otherwise, and can be filled and run again."""

from pathlib import Path

import numpy as np

from edgehar.deploy.recognizer import Recognizer
from edgehar.package.folder import EdgePackage


def test_bound_graphs_equal_the_graphs(int8_package: Path) -> None:
    generator = np.random.default_rng(0)
    for precision in ("fp32", "int8"):
        recognizer = Recognizer(EdgePackage.open(int8_package), precision)
        manifest = recognizer.manifest
        steps = {spec.name: np.zeros((3, spec.patch * spec.groups * spec.features)) for spec in manifest.modalities}
        steps["valid"] = np.zeros((3, len(manifest.modalities)))
        windows = {"tokens": np.zeros((2, manifest.window.steps, manifest.token_dim))}
        steps, windows = ({name: array.astype(np.float32) for name, array in one.items()} for one in (steps, windows))
        encode, classify = recognizer.bind("encoder", steps), recognizer.bind("head", windows)
        for _ in range(3):
            for array in (*steps.values(), *windows.values()):
                array[:] = generator.standard_normal(array.shape)
            np.testing.assert_array_equal(encode(), recognizer.encode(steps, steps["valid"]))
            np.testing.assert_array_equal(classify(), recognizer.classify(windows["tokens"]))
