"""The live page in a real headless browser."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.deploy.live.page.test_page import address
from tests.deploy.live.test_people import mixed
from tests.deploy.running import lines_of, running
from tests.deploy.streams import steady
from tests.deploy.tiny_package import LABELS
from tools.live_page.browser import Browser, browser, missing_program

pytest.importorskip("uvicorn", reason="needs pip install 'edgehar[page]'")
if (missing := missing_program()) is not None:
    pytest.skip(f"{missing} is not installed (apt install chromium chromium-driver)", allow_module_level=True)

PHONE, DESK = (390, 844), (1280, 900)
INKED = """return [...document.querySelectorAll(arguments[0])].map((canvas) => {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width || 1, canvas.height || 1).data;
  return pixels.some((value) => value !== 0);
})"""
CONTRAST = """
const luminance = (text) => {
  const parts = text.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const found = getComputedStyle(node).backgroundColor;
    if (!found.endsWith(', 0)')) return found;
  }
  return 'rgb(255, 255, 255)';
};
return [...document.querySelectorAll('p, h1, h2, h3, dt, dd, td, th, button, span, caption')]
  .filter((node) => node.textContent.trim() && node.offsetParent !== null)
  .map((node) => [luminance(getComputedStyle(node).color), luminance(behind(node)), node.textContent.trim()])
  .map(([a, b, text]) => [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text])
  .filter(([ratio]) => ratio < 4.5)
"""
"""Texts whose contrast is below 4.5 (WCAG 2.2, 1.4.3)."""


@pytest.fixture(scope="module")
def window() -> Generator[Browser, None, None]:
    with browser() as one:
        yield one


def test_one_stream(sliding_package: Path, window: Browser) -> None:
    with running(sliding_package, "--stdin", "--page", "0", "--activities", "0") as program:
        window.emulate(*DESK, "light")
        window.open(address(program))
        window.wait("return document.querySelector('#state').dataset.is === 'live'")
        program.send(*lines_of(steady(2.0, 1)))
        window.wait("return document.querySelector('.score')?.textContent.includes('%')")
        assert window.text(".label") in LABELS
        assert window.wait("return document.querySelector('#said').textContent") in LABELS
        window.wait("return document.querySelectorAll('.probabilities li').length === 5")
        window.wait(f"return (() => {{ {INKED} }})().every(Boolean)", "canvas")
        assert "ms" in window.text(".latency")
        assert window.memory()["Nodes"] > 100
        assert window.text(".lost") == "none"
        for scheme in ("light", "dark"):
            for size in (PHONE, DESK):
                window.emulate(*size, scheme)
                assert window.run(CONTRAST) == []
                assert window.run("return document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
        program.stdin.close()
        assert program.code() == 0
        window.wait("return document.querySelector('#state').dataset.is === 'ended'")
        window.wait("return document.querySelectorAll('.activities tbody tr').length > 0")
        assert window.problems() == []


def test_keyboard_and_screen_reader(sliding_package: Path, window: Browser) -> None:
    with running(sliding_package, "--stdin", "--page", "0") as program:
        window.emulate(*PHONE, "light")
        window.open(address(program))
        program.send(*lines_of(steady(2.0, 1)))
        window.wait("return document.querySelectorAll('.probabilities li').length === 5")
        window.press("\ue004\ue004\ue004")  # Tab: skip link, Pause, Why?
        assert window.run("return document.activeElement.className") == "why"
        assert window.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
        window.press("\ue007")  # Enter
        window.wait("return document.querySelector('.groups') !== null")
        window.wait("return document.activeElement.className === 'reason'")
        assert window.run("return document.querySelector('.why').getAttribute('aria-expanded')") == "true"
        assert window.text(".reason").startswith("Why ")
        found = window.accessibility()
        assert {("heading", "Live"), ("heading", "Stream"), ("region", "Explanation"), ("button", "Pause")} <= set(
            found
        )
        assert any(role == "article" and name == "Stream" for role, name in found)
        assert all(name for role, name in found if role in ("image", "img", "button", "link"))
        window.click(".why")
        window.wait("return document.querySelector('.reason').hidden")
        window.click("#pause")
        assert window.text("#state").startswith("Paused")
        assert window.problems() == []


def test_people_and_reduced_motion(sliding_package: Path, window: Browser) -> None:
    with running(sliding_package, "--stdin", "--page", "0", "--person-timeout-s", "1") as program:
        window.emulate(*DESK, "dark", motion="reduce")
        window.open(address(program))
        window.wait("return document.querySelector('#state').dataset.is === 'live'")
        program.send(*mixed())
        window.wait("return document.querySelectorAll('article').length === 2")
        titles = "return [...document.querySelectorAll('h2')].map((title) => title.textContent)"
        assert window.run(titles) == ["ann", "Bo 走る"]
        window.wait("return document.querySelectorAll('article.left').length === 2")
        program.stdin.close()
        assert program.code() == 0


def test_connection_that_is_lost(sliding_package: Path, window: Browser) -> None:
    with running(sliding_package, "--stdin", "--page", "0") as program:
        window.emulate(*PHONE, "dark")
        window.open(address(program))
        window.wait("return document.querySelector('#state').dataset.is === 'live'")
        program.process.kill()
        window.wait("return document.querySelector('#state').dataset.is === 'lost'")
