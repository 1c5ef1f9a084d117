"""tools/speed/pretraining.py on a small pack."""

import json
from pathlib import Path

from tests.edgehar.data.shards.packed import CONTINUOUS, dataset, packed
from tools.speed import pretraining


def test_figures_of_a_run(tmp_path: Path):
    shards = packed(tmp_path, dataset(CONTINUOUS, each=1)).name
    words = [shards, "--preset", "tiny", "--batch", "4", "--rounds", "3", "--updates", "1", "--memory-mb", "1"]
    assert pretraining.main([*words, "--json", str(tmp_path / "figures.json")]) == 0
    result = json.loads((tmp_path / "figures.json").read_text())
    assert (result["dataset"], result["rounds"], result["tokens_per_window"]) == ("mine", 2, 4 * (2 + 2))
    rates = result["windows_per_cpu_s"]
    assert rates["reading"] > rates["edgehar"] > 0
    assert result["tokens_per_cpu_s"]["plain"] == 16 * rates["plain"]
    assert result["operations_per_window"] > 1e4
    assert str(tmp_path) not in json.dumps(result)
