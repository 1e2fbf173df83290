"""Headers of DICOM files (`dicom:FOLDER`): a row a file, without pixels."""

from __future__ import annotations

from privsynth.extras import needs
from privsynth.sources.protocol import Adapter, Source, SourceOptions

__all__ = ["SOURCE"]


def _open(origin: str, options: SourceOptions) -> Source:
    with needs("dicom"):
        from privsynth.sources.dicom.headers import DicomSource

        return DicomSource(origin, options)


SOURCE = Adapter(what="DICOM files", open=_open, prefixes=("dicom",))
