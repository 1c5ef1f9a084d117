import pytest

from edgehar.student.distillation.ensemble import evenly_spaced


@pytest.mark.parametrize(("depth", "layers", "indices"), [(3, 0, []), (3, 1, [2]), (3, 2, [0, 2]), (6, 3, [1, 3, 5])])
def test_layers_are_evenly_spaced_and_include_the_last(depth: int, layers: int, indices: list[int]):
    assert evenly_spaced(depth, layers) == indices
    assert evenly_spaced(depth, depth) == list(range(depth))
