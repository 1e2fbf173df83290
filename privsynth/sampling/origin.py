"""`Origin`: the promise under which a model was released, and whose key signed it, as the model itself says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from privsynth.codecs.loaded import MAX_NAME, number, only, require, text, whole

MOST_EPSILON = 1e6  # (own) no promise is left long before
MOST_ROWS = 100_000  # of a unit, as in a schema
PRIOR_KINDS = ("release", "table")
MAX_DIGEST = 64  # characters: SHA-256 in hex


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a model comes from. Only a verified signature proves it.

    Attributes:
      epsilon, delta, unit, max_rows_per_unit: the promise of the release.
      signer: the fingerprint of the key that signed the release; "" if it is unsigned.
    """

    epsilon: float
    delta: float
    unit: str
    max_rows_per_unit: int
    signer: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Origin:
        """Return the origin that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        found = only(data, set(cls.__dataclass_fields__), "the origin of the model")
        return cls(
            epsilon=number(found["epsilon"], 0.0, MOST_EPSILON, "the epsilon of the model"),
            delta=number(found["delta"], 0.0, 1.0, "the delta of the model"),
            unit=text(found["unit"], "the unit of the model", at_most=MAX_NAME),
            max_rows_per_unit=whole(found["max_rows_per_unit"], 1, MOST_ROWS, "the most rows of a unit"),
            signer=text(found["signer"], "the signer of the model", at_most=MAX_NAME),
        )


@dataclass(frozen=True, kw_only=True)
class PriorOrigin:
    """The public table that a model started from, as the model itself says.

    Attributes:
      kind: "release", or "table" for rows that somebody declared to be public.
      name: the dataset of the release, or the name of the file.
      digest: SHA-256 in hex: of the release's model, of the file, or of a data frame's content.
      epsilon, unit: the promise of the release, where it has one.
    """

    kind: str
    name: str
    digest: str
    epsilon: float | None = None
    unit: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}

    @classmethod
    def from_json(cls, data: Any) -> PriorOrigin:
        """Return the origin that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        names = set(cls.__dataclass_fields__)
        found = only(data, names, "the prior of the model", optional=frozenset({"epsilon", "unit", "name"}))
        require(found["kind"] in PRIOR_KINDS, "the prior of the model is of no known kind")
        promised = found.get("epsilon")
        return cls(
            kind=found["kind"],
            name=text(found.get("name", ""), "the name of the prior", at_most=MAX_NAME),
            digest=text(found["digest"], "the digest of the prior", at_most=MAX_DIGEST),
            epsilon=None if promised is None else number(promised, 0.0, MOST_EPSILON, "the epsilon of the prior"),
            unit=text(found.get("unit", ""), "the unit of the prior", at_most=MAX_NAME),
        )
