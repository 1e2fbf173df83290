"""HL7 v2 messages (`hl7:PATH`): files of one message or many, batches and recorded MLLP, made into linked tables."""

from __future__ import annotations

from privsynth.sources.hl7.tables import Hl7Messages, open_one
from privsynth.sources.protocol import Adapter

__all__ = ["SOURCE"]

SOURCE = Adapter(
    what="HL7 v2 messages",
    open=open_one,
    open_tables=Hl7Messages,
    prefixes=("hl7",),
    options=("table", "encoding"),
)
