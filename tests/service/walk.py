"""A service on a port, and people who walk through its pages in Chromium without script; each page is looked at."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from chromium import axe_script
from service.people import PASSWORD
from service.privileges import flattened

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
UNFOLD = "document.querySelectorAll('details').forEach(part => part.open = true)"
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# What is served to browsers and is no page: a style, files, and what leads to the provider with which people sign in.
NO_PAGES = {
    "/style.css", "/my-key/challenge", "/favicon.svg", "/keyring.json", "/revocations.json",
    "/download/{secret}/release.zip", "/runs/{run_id}/edition.zip", "/retention/certificates/{deletion_id}",
    "/log/checkpoint", "/log/key", "/log/tile/{name:path}", "/erasure/{number}", "/sign-in/provider", "/sign-in/answer",
}  # fmt: skip


def pages_of(app) -> set[str]:
    """Return the paths of all pages of an application."""
    gets = {route.path for route in flattened(app.routes) if "GET" in (getattr(route, "methods", None) or ())}
    return {path for path in gets if not path.startswith("/api/")} - NO_PAGES


@contextmanager
def served(make_app) -> Iterator[str]:
    """Serve what `make_app` returns for an address, inside the block; yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(make_app(address), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


class Walk:
    """A day in a browser.

    Attributes:
      visited: paths of pages that somebody saw.
      wrong: what is wrong with them.
    """

    def __init__(self, browser: Any, address: str) -> None:
        self._browser, self.address = browser, address
        self._viewer = browser.new_context(viewport=DESK).new_page()
        self._axe = axe_script()
        self.visited: set[str] = set()
        self.wrong: list[str] = []

    def person(self) -> Any:
        """Return a page of a browser of its own, in which no script runs."""
        page = self._browser.new_context(java_script_enabled=False, base_url=self.address, viewport=DESK).new_page()
        page.set_default_timeout(60_000)
        return page

    def signed_in(self, name: str) -> Any:
        """Return a page of somebody who signs in, by the keyboard alone."""
        page = self.person()
        page.goto("/sign-in")
        tab_to(page, "#name")
        page.keyboard.type(name)
        tab_to(page, "#password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("/")
        return page

    def go(self, page: Any, path: str, *, status: int = 200) -> Any:
        """Open a page by its address, and look at it."""
        answer = page.goto(path)
        assert answer.status == status, (path, answer.status)
        return self.look(page)

    def look(self, page: Any) -> Any:
        """Look at what a page shows: on a desk and a phone, light and dark."""
        path = page.url.removeprefix(self.address)
        self.visited.add(path.partition("?")[0])
        if path.endswith("report.html") or path == "/verify.html":
            return page  # tests of reports and of that page look at them
        html, viewer = page.content(), self._viewer
        viewer.route(page.url, lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
        viewer.set_viewport_size(DESK)
        viewer.emulate_media(color_scheme="light")
        viewer.goto(page.url)
        viewer.unroute(page.url)
        viewer.evaluate(UNFOLD)
        viewer.evaluate(self._axe)
        for size, scheme in ((DESK, "light"), (DESK, "dark"), (PHONE, "dark"), (PHONE, "light")):
            viewer.set_viewport_size(size)
            viewer.emulate_media(color_scheme=scheme)
            self._judge(f"{path} at {size['width']}, {scheme}", everything=scheme == "light")
        return page

    def _judge(self, where: str, *, everything: bool) -> None:
        rules = "" if everything else ", runOnly: ['cat.color']"
        found = self._viewer.evaluate(f"axe.run({{iframes: false, resultTypes: ['violations']{rules}}})")
        self.wrong += [
            f"{where}: {item['id']}, {node['target']}" for item in found["violations"] for node in item["nodes"]
        ]
        if self._viewer.evaluate(SIDEWAYS) > 0:
            self.wrong.append(f"{where}: scrolls sideways")

    def press(self, page: Any, name: str) -> Any:
        """Press a button, and look at what it leads to."""
        with page.expect_navigation():
            page.get_by_role("button", name=name, exact=True).click()
        return self.look(page)

    def unseen(self, paths: set[str]) -> set[str]:
        """Return the pages that nobody saw."""
        fixed = self.visited & paths
        return {path for path in paths - fixed if not any(_shown(path, seen) for seen in self.visited - paths)}


def tab_to(page: Any, what: str) -> None:
    """Press Tab until an element has the focus that fits a selector."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(f":focus:is({what})").count():
            return
    raise AssertionError(f"Tab never comes to {what}")


def _shown(path: str, seen: str) -> bool:
    return re.fullmatch(re.sub(r"{[^}]+}", "[^/]+", path), seen) is not None


def code_of(page: Any) -> str:
    """Return the secret that a page shows once."""
    return str(page.locator(".notice code").inner_text())


def saved(download: Any, path: Path) -> Path:
    """Keep what a browser downloaded."""
    download.save_as(path)
    return path
