"""What the name of a column alone suggests to declare of it, for a person to confirm: a hierarchy, or a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from privsynth.audit.disclosure.pii_patterns import HIPAA, kind_of_name, words_of
from privsynth.hierarchies.proposals import proposed
from privsynth.schema.definition import Schema

# Kind of identifier that a name suggests -> the kind of column whose cells are neither learned nor released.
_UNREAD = {
    "name": "name", "phone": "phone", "fax": "phone", "email": "email", "ssn": "national_id", "record": "id",
    "plan": "id", "account": "id", "licence": "id", "vehicle": "id", "device": "id", "url": "text", "ip": "id",
    "biometric": "text", "photo": "text", "other": "id",
}  # fmt: skip


@dataclass(frozen=True)
class Proposal:
    """A declaration that a name suggests.

    Attributes:
      key, value: of the column in the schema.
      when: what the column has to hold for it, as the end of "if it holds".
    """

    key: Literal["hierarchy", "kind"]
    value: str
    when: str

    @property
    def note(self) -> str:
        """The comment that proposes it in a draft."""
        after = "; no cell is then learned or released" if self.key == "kind" else ""
        return f"{self.key}: {self.value}    (if it holds {self.when}{after})"


def proposals(schema: Schema) -> dict[str, Proposal]:
    """Return column -> what its name suggests, where the schema is silent.

    Guarantee: nothing in it depends on a row.
    """
    open_ = {name for name, column in schema.columns.items() if column.kind in (None, "categorical", "integer", "id")}
    open_ -= {name for name in open_ if schema.column(name).hierarchy is not None}
    books = {name: proposed(name) for name in schema.columns if name in open_}
    found = {name: Proposal("hierarchy", *book) for name, book in books.items() if book is not None}
    silent = [name for name, column in schema.columns.items() if column.kind is None and name not in found]
    return found | {name: kind for name in silent if (kind := _identifier(name)) is not None}


def notes(schema: Schema) -> dict[str, str]:
    """Return column -> the comment that proposes what its name suggests."""
    return {name: proposal.note for name, proposal in proposals(schema).items()}


def _identifier(name: str) -> Proposal | None:
    """Return the kind of a column that its name makes an identifier of persons; None for others.

    Dates and places are modelled: they are no identifiers by themselves.
    """
    suggested = kind_of_name(name) or ""
    if suggested not in _UNREAD:
        return None
    part = next((word for word in ("first", "last") if suggested == "name" and word in words_of(name)), "")
    kind = f"{part}_name" if part else _UNREAD[suggested]
    return Proposal("kind", kind, HIPAA[suggested].partition(") ")[2])
