"""Schemas of linked tables that ship for sources whose tables a standard defines."""

from __future__ import annotations

from collections.abc import Mapping

from privsynth.errors import ConfigError, meant
from privsynth.schema.linked import LinkedSchema
from privsynth.sources.hl7.presets import PRESETS as _HL7
from privsynth.sources.omop.presets import PRESETS as _OMOP

PRESETS: Mapping[str, LinkedSchema] = {**_OMOP, **_HL7}


def preset(name: str) -> LinkedSchema:
    """Return the schema of a preset.

    Guarantee: none needed; it is a constant.

    Raises:
      ConfigError: there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; known are {', '.join(PRESETS)}{meant(name, PRESETS)}")
    return PRESETS[name]
