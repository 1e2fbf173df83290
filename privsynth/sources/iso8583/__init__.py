"""Card messages in ISO 8583 (`iso8583:PATH?format=ascii&length=2`): a row a message, without PINs, tracks and chips."""

from __future__ import annotations

from privsynth.extras import needs
from privsynth.sources.protocol import Adapter, Source, SourceOptions

__all__ = ["SOURCE"]


def _open(origin: str, options: SourceOptions) -> Source:
    with needs("iso8583"):
        from privsynth.sources.iso8583.messages import CardMessages

        return CardMessages(origin, options)


SOURCE = Adapter(what="ISO 8583 messages", open=_open, prefixes=("iso8583",))
