"""A service that is served on this machine, as `privsynth serve` does it, inside a `with` block."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import uvicorn

from privsynth.service.context import Service
from privsynth.service.web.app import create_app


@contextmanager
def served(service: Service) -> Iterator[str]:
    """Yield the address under which a service answers."""
    service = replace(service, settings=service.settings.model_copy(update={"public_url": ""}))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(16)
        server = uvicorn.Server(uvicorn.Config(create_app(service), log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.02)
            assert server.started
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
