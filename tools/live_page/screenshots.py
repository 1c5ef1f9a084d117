"""Screenshots of the live page for the documentation: wide and narrow, light and dark, in headless Chromium.

    python tools/live_page/screenshots.py runs/quickstart/package --out docs/images

One person of the body simulator acts in turns and is replayed at SPEED times the real speed. Needs `chromium` and
`chromedriver` (tools/live_page/browser.py), and Pillow, which matplotlib brings.
"""

import io
import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edgehar.command_line import Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.live.sources import play_clip
from edgehar.entry import guarded
from edgehar.files.atomic import atomic_file, naming
from edgehar.package.folder import EdgePackage
from tools.live_page.browser import Browser, browser
from tools.live_page.served import acting, send, served

SPEED = 4.0
SEEN_S = 50.0
"""Seconds of the recording that were replayed when the screenshots are made."""
BOUTS, COLOURS = 40, 64
WIDE, NARROW = (1280, 900), (390, 844)


@dataclass(frozen=True)
class ScreenshotConfig(Options):
    """Screenshots."""

    package: str = positional("folder of a package for the simulator's sensors")
    out: str = option("docs/images", "folder for the pictures")


PARSER = Parser(ScreenshotConfig, "python tools/live_page/screenshots.py", __doc__ or "")


def save(path: Path, png: bytes) -> None:
    """Write a picture with few colours, which makes it small."""
    with naming(path), atomic_file(path) as temporary:
        Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS).save(temporary, "PNG", optimize=True)


def take(one: Browser, address: str, folder: Path) -> list[Path]:
    """Make the screenshots of a page that is being fed."""
    one.emulate(*WIDE, "light")
    one.open(address)
    one.wait(f"return people.size && [...people.values()][0].newest > {SEEN_S}")
    one.click("#pause")
    made: list[Path] = []

    def shoot(name: str, size: tuple[int, int], scheme: str) -> None:
        one.emulate(*size, scheme)
        one.run("paused = false; draw(); paused = true; scrollTo(0, 0)")
        one.run("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        made.append(folder / f"live-page-{name}.png")
        save(made[-1], one.screenshot())

    shoot("light", WIDE, "light")
    shoot("dark", WIDE, "dark")
    shoot("phone-light", NARROW, "light")
    shoot("phone-dark", NARROW, "dark")
    one.emulate(*WIDE, "light")
    one.click(".why")
    one.wait("return document.querySelector('.groups') !== null")
    shoot("why", WIDE, "light")
    return made


def main(argv: list[str] | None = None) -> int:
    """Replay, and take the screenshots."""
    config, clip = PARSER.parse(argv), acting(BOUTS)
    with served(config.package) as (process, address):
        specs = EdgePackage.open(Path(config.package)).manifest.modalities
        lines = (message.line for message in play_clip(clip, specs, SPEED, threading.Event()))
        threading.Thread(target=send, args=(process, lines), daemon=True).start()
        with browser() as one:
            made = take(one, address, Path(config.out))
    sys.stdout.write(json.dumps({"pictures": {path.name: path.stat().st_size for path in made}}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
