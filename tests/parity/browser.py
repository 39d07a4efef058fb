# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium without a network, and everything that a page in it complains about or asks for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

try:
    from playwright.sync_api import Browser, Page, sync_playwright
except ImportError:
    sync_playwright = None


@dataclass
class Opened:
    """A page, the errors it reported and the addresses it asked for beside its own file."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def check(self) -> None:
        assert self.errors == []
        assert self.requests == []


def _chromium() -> str | None:
    return os.environ.get("TRIBUTARY_CHROMIUM") or shutil.which("chromium")


def require_browser() -> None:
    """Fails where the browser is missing; skips only if TRIBUTARY_ALLOW_SKIPS says that this is meant."""
    missing = "the playwright package" if sync_playwright is None else "chromium" if _chromium() is None else None
    if missing is None:
        return
    reason = f"{missing} is not installed (the report page is tested in a browser); run ./run setup"
    if os.environ.get("TRIBUTARY_ALLOW_SKIPS"):
        pytest.skip(reason)
    pytest.fail(reason)


@contextmanager
def browser() -> Iterator[Browser]:
    require_browser()
    with sync_playwright() as playwright:
        # Chromium's own sandbox refuses to start as root, which is what containers run as.
        running = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        try:
            yield running
        finally:
            running.close()


@contextmanager
def opened(running: Browser, file: Path, width: int = 1280, **settings: object) -> Iterator[Opened]:
    """The file in a window of its own; `settings` are those of Playwright's new_context."""
    context = running.new_context(offline=True, viewport={"width": width, "height": 900}, **settings)
    try:
        shown = Opened(context.new_page())
        page = shown.page
        page.on("console", lambda message: shown.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: shown.errors.append(str(error)))
        own = file.absolute().as_uri()
        folder = file.absolute().parent
        scripts = [place / "plotly.min.js" for place in (folder, folder.parent)]  # the pages of a sweep share one
        allowed = {own, *(script.as_uri() for script in scripts)}
        own_schemes = ("data:", "blob:")
        page.on(
            "request",
            lambda request: (
                None
                if request.url in allowed or request.url.startswith(own_schemes)
                else shown.requests.append(request.url)
            ),
        )
        page.goto(own)
        yield shown
    finally:
        context.close()
