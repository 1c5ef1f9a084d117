"""The package pyarrow (extra `shards`), imported on first use."""

import importlib
from typing import Any


def arrow() -> Any:
    """Pyarrow with its Parquet files and file systems; raises ModuleNotFoundError where it is not installed."""
    importlib.import_module("pyarrow.fs")
    importlib.import_module("pyarrow.parquet")
    return importlib.import_module("pyarrow")
