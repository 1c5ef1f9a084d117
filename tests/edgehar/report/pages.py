"""Writes made-up runs, renders their reports and reads the pages."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from edgehar.cli import main as command
from edgehar.signals.modality import KINECT_PARENTS


def write_run(folder: Path, results: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results))
    generator = np.random.default_rng(1)
    rest = generator.normal(0, 0.3, (20, 3)) + np.linspace(0.8, -0.8, 20)[:, None] * [0, 1, 0]
    frames = (rest + np.cumsum(generator.normal(0, 0.01, (60, 20, 3)), axis=0)).astype(np.float32)
    np.savez(folder / "example.npz", frames=frames, parents=np.asarray(KINECT_PARENTS), vertical=1)
    return folder


def report(folder: Path) -> str:
    assert command(["report", str(folder)]) == 0
    return (folder / "report.html").read_text(encoding="utf-8")


class Reader(HTMLParser):
    """Collects a page's visible text, references, images and unclosed tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.loads, self.images, self.open = "", [], [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag == "img":
            self.images.append(given)
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
