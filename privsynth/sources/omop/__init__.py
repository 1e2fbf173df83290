"""OMOP Common Data Model 5.3 and 5.4 (`omop:URL_OR_FOLDER`): a database or a folder whose tables the CDM defines."""

from __future__ import annotations

from privsynth.sources.omop.tables import OmopSource, open_one
from privsynth.sources.protocol import Adapter

__all__ = ["SOURCE"]

SOURCE = Adapter(
    what="an OMOP database",
    open=open_one,
    open_tables=OmopSource,
    prefixes=("omop",),
    options=("table", "delimiter", "encoding", "addresses"),
    has_schemas=True,
)
