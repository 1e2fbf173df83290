"""Payments in ISO 20022 (`iso20022:PATH`): entries of statements, and transfers between banks."""

from __future__ import annotations

from privsynth.extras import needs
from privsynth.sources.protocol import Adapter, Source, SourceOptions

__all__ = ["SOURCE"]


def _open(origin: str, options: SourceOptions) -> Source:
    with needs("iso20022"):
        from privsynth.sources.iso20022.messages import open_table

        return open_table(origin, options)


SOURCE = Adapter(what="ISO 20022 messages", open=_open, prefixes=("iso20022",), options=("table",))
