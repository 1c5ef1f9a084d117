"""Drives headless Chromium by the W3C WebDriver protocol, with the standard library alone.

Needs the programs `chromium` and `chromedriver` (Debian: apt install chromium chromium-driver).
"""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""Key of an element's reference (WebDriver, 12.2)."""
WAIT_S = 30.0
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def missing_program() -> str | None:
    """The first program that is not installed, or None."""
    return next((name for name in ("chromium", "chromedriver") if shutil.which(name) is None), None)


class Browser:
    """A browser window.

    Args:
        server: address of chromedriver.
        folder: an empty folder for the browser's profile.
    """

    def __init__(self, server: str, folder: str) -> None:
        """Open a window."""
        self._base = server
        options = {"args": [*ARGUMENTS, f"--user-data-dir={folder}"], "binary": shutil.which("chromium")}
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})["sessionId"]
        self._base = f"{server}/session/{session}"

    def open(self, url: str) -> None:
        """Load a page."""
        self._call("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a JavaScript function returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, *arguments: Any) -> Any:
        """The first true value that a script returns; TimeoutError after WAIT_S."""
        end_s = time.monotonic() + WAIT_S
        while not (found := self.run(script, *arguments)):
            if time.monotonic() > end_s:
                raise TimeoutError(f"waited in vain for {script}")
            time.sleep(0.05)
        return found

    def text(self, selector: str) -> str:
        """The text of the first element of a CSS selector."""
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def click(self, selector: str) -> None:
        """Click the first element of a CSS selector, as a person would."""
        self._call("POST", f"/element/{self._element(selector)}/click", {})

    def press(self, keys: str) -> None:
        """Press keys, one after the other, on whatever has the focus."""
        steps = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def emulate(self, width: int, height: int, scheme: str, motion: str = "no-preference", scale: float = 1) -> None:
        """Set the size of the page in pixels, the colour scheme and whether motion is reduced."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self._command("Emulation.setDeviceMetricsOverride", metrics)
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        media = [{"name": name, "value": value} for name, value in features.items()]
        self._command("Emulation.setEmulatedMedia", {"features": media})

    def screenshot(self) -> bytes:
        """What the page shows, as PNG."""
        return base64.b64decode(self._call("GET", "/screenshot"))

    def problems(self) -> list[str]:
        """Errors of scripts and requests since the last call."""
        entries = self._call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def accessibility(self) -> list[tuple[str, str]]:
        """(role, name) of what a screen reader finds, in order."""
        nodes = self._command("Accessibility.getFullAXTree", {})["nodes"]
        shown = [node for node in nodes if not node["ignored"]]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in shown]

    def memory(self) -> dict[str, float]:
        """Measures of the page after a garbage collection, such as JSHeapUsedSize in bytes and Nodes."""
        self._command("HeapProfiler.collectGarbage", {})
        self._command("Performance.enable", {})
        metrics = self._command("Performance.getMetrics", {})["metrics"]
        return {entry["name"]: entry["value"] for entry in metrics}

    def close(self) -> None:
        """Close the window."""
        self._call("DELETE", "")

    def _element(self, selector: str) -> str:
        return self._call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def _command(self, name: str, parameters: dict[str, Any]) -> Any:
        return self._call("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def _call(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as problem:
            with problem:
                raise RuntimeError(json.load(problem)["value"]["message"]) from None


def _started(process: subprocess.Popen[str]) -> str:
    """The address of a chromedriver that starts."""
    assert process.stdout is not None
    for line in process.stdout:
        if "on port" in line and "successfully" in line:
            port = line.strip().rstrip(".").rpartition(" ")[2]
            return f"http://127.0.0.1:{port}"
    raise RuntimeError("chromedriver ended before it listened")


@contextmanager
def browser() -> Generator[Browser, None, None]:
    """A headless browser, closed at the end of the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            one = Browser(_started(process), folder)
            try:
                yield one
            finally:
                one.close()
        finally:
            process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
