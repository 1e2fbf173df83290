"""A proxy that cuts a connection to a server at a chosen message of the client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class CuttingProxy:
    """Forwards one connection after the other, and cuts the first at the message number `cut_at`.

    Args:
      port: of the server.
      cut_at: counted from 0, what the client sends at once; None never cuts.
      delivered: whether the message still reaches the server, so that only its answer is lost.
      refused: how many connections to refuse before the first is forwarded.
      refused_later: how many to refuse after the cut.
    """

    def __init__(self, port, *, cut_at=None, delivered=False, refused=0, refused_later=0):
        self._server = port
        self.cut_at, self.delivered, self.refused, self.refused_later = cut_at, delivered, refused, refused_later
        self.has_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def serve(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refused > 0:
                    self.refused -= 1
                    client.close()
                    continue
                self._forward(client)
                if self.has_cut and self.refused_later:
                    self.refused, self.refused_later = self.refused_later, 0

    def _forward(self, client):
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            answers = threading.Thread(target=self._answer, args=(server, client), daemon=True)
            answers.start()
            for number, message in enumerate(iter(lambda: client.recv(1 << 16), b"")):
                cuts = number == self.cut_at and not self.has_cut
                if cuts:
                    self.has_cut = True
                    client.shutdown(socket.SHUT_RDWR)  # first, so that no answer comes through
                    if not self.delivered:
                        break
                server.sendall(message)
                if cuts:
                    break
            server.shutdown(socket.SHUT_WR)
            answers.join(timeout=30)

    @staticmethod
    def _answer(server, client):
        with suppress(OSError):
            while data := server.recv(1 << 16):
                with suppress(OSError):
                    client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()


@contextmanager
def proxy(port, **settings) -> Iterator[CuttingProxy]:
    """Run a proxy in a thread."""
    made = CuttingProxy(port, **settings)
    threading.Thread(target=made.serve, daemon=True).start()
    try:
        yield made
    finally:
        made.close()
