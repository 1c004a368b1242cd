"""Chromium under chromedriver, by the W3C WebDriver protocol: clicks, keys, pictures."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

import requests

from tests.support.debian import library_path, unpacked
from tests.support.polling import eventually
from worker import clock

DRIVER = "chromium-driver"
"""Debian's package; it brings the browser of its own release."""
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
START_MS = 30_000
TIMEOUT_S = 60


class WebDriver:
    """One headless browser with one window, closed at the end."""

    def __init__(self, folder: Path, *, width: int = 1280, height: int = 900) -> None:
        driver, browser, environment = _programs()
        self._process = subprocess.Popen(
            [driver, "--port=0", "--allowed-ips=127.0.0.1"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._http = requests.Session()
        self._http.trust_env = False
        self._base = f"http://127.0.0.1:{self._port()}"
        arguments = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={width},{height}",
        ]
        options = {"binary": browser, "args": arguments}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        session = self._ask("POST", "/session", wanted)["sessionId"]
        self._session = f"/session/{session}"

    def __enter__(self) -> Self:
        """Return the browser."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        try:
            self._ask("DELETE", self._session)
        finally:
            self._http.close()
            self._process.terminate()
            self._process.communicate()

    def open(self, url: str) -> None:
        """Load a page."""
        self._ask("POST", f"{self._session}/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script's body in the page; return what it returns."""
        body = {"script": script, "args": list(arguments)}
        return self._ask("POST", f"{self._session}/execute/sync", body)

    def run_async(self, script: str) -> Any:
        """Run a script's body; return what it passes to the function that is its last argument."""
        body = {"script": script, "args": []}
        return self._ask("POST", f"{self._session}/execute/async", body)

    def cdp(self, command: str, **parameters: Any) -> Any:
        """Send a command of Chrome's own protocol."""
        body = {"cmd": command, "params": parameters}
        return self._ask("POST", f"{self._session}/goog/cdp/execute", body)

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the page and the color scheme."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme])

    def type(self, selector: str, text: str) -> None:
        """Type into an element."""
        self._ask("POST", f"{self._session}/element/{self._find(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        """Click an element."""
        self._ask("POST", f"{self._session}/element/{self._find(selector)}/click", {})

    def press(self, words: str) -> None:
        """Click the visible button with this text."""
        found = eventually(lambda: self._button(words), what=f"a button {words!r}")
        self._ask("POST", f"{self._session}/element/{found}/click", {})

    def text(self) -> str:
        """Return what the page shows."""
        return str(self.run("return document.body.innerText"))

    def picture(self, path: Path) -> None:
        """Save what the window shows as PNG."""
        shot = self.cdp("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def _button(self, words: str) -> str | None:
        script = """return [...document.querySelectorAll("button")].find(
            (it) => it.innerText.trim() === arguments[0] && it.checkVisibility() && !it.disabled)"""
        found = self.run(script, words)
        return str(found[ELEMENT]) if found else None

    def _find(self, selector: str) -> str:
        body = {"using": "css selector", "value": selector}
        return str(self._ask("POST", f"{self._session}/element", body)[ELEMENT])

    def _port(self) -> int:
        assert self._process.stdout is not None
        until = clock.monotonic_ms() + START_MS
        for line in self._process.stdout:
            if "started successfully on port" in line:
                return int(line.rstrip(".\n").rpartition(" ")[2])
            if clock.monotonic_ms() > until:
                break
        raise AssertionError("chromedriver did not start")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body) if body is not None else None
        reply = self._http.request(method, self._base + path, data=data, timeout=TIMEOUT_S)
        value = reply.json()["value"]
        assert reply.status_code == 200, value
        return value


def _programs() -> tuple[str, str, dict[str, str]]:
    """Return chromedriver, the browser, and the environment that they need."""
    environment = dict(os.environ)
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    if driver and browser:
        return driver, browser, environment
    folder = unpacked(DRIVER)
    environment["LD_LIBRARY_PATH"] = library_path(folder)
    # Versions of the package have the driver beside the browser, or among all programs.
    found = next(path for path in folder.rglob("chromedriver") if path.is_file())
    return str(found), str(folder / "usr/lib/chromium/chromium"), environment
