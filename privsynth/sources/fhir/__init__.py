"""FHIR R4 exports (`fhir:PATH`): NDJSON and Bundles, made into linked tables by SQL-on-FHIR ViewDefinitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privsynth.extras import needs
from privsynth.sources.protocol import Adapter, Source, SourceOptions

if TYPE_CHECKING:
    from privsynth.sources.fhir.tables import FhirExport

__all__ = ["SOURCE"]


def open_one(origin: str, options: SourceOptions) -> Source:
    """Open one table of an export. fhirpathpy takes its time, and most tables are no FHIR."""
    with needs("fhir"):
        from privsynth.sources.fhir.tables import open_table

        return open_table(origin, options)


def open_all(origin: str, options: SourceOptions) -> FhirExport:
    """Open all tables of an export."""
    with needs("fhir"):
        from privsynth.sources.fhir.tables import FhirExport

        return FhirExport(origin, options)


SOURCE = Adapter(
    what="a FHIR export", open=open_one, open_tables=open_all, prefixes=("fhir",), options=("table", "views")
)
