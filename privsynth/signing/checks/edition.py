"""Who decided on an approved edition, read from the report.json that its signature covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from privsynth.errors import VerificationError
from privsynth.signing._files import shown
from privsynth.strict.time import from_text, to_text

MEANINGS = ("reviewed", "approved", "rejected")  # in the order in which page one has them


@dataclass(frozen=True)
class Decided:
    """What a person decided, in the words of who published the edition.

    Attributes:
      meaning: one of `MEANINGS`.
      name: the person, as the publisher's keyring names them.
      at: when, as the person says.
      comment: in the person's words; "" where it was left out.
    """

    meaning: str
    name: str
    at: datetime
    comment: str


@dataclass(frozen=True)
class Edition:
    """An approved edition: verifying shows who says that these people decided, not that they did.

    Attributes:
      draft: SHA-256 of the manifest of the draft that people decided on.
      published_by: name and fingerprint of the key, as the report writes them.
      published_at: when, as the publisher says.
      decisions: in the order of the report.
    """

    draft: str
    published_by: str
    published_at: datetime
    decisions: tuple[Decided, ...]

    def lines(self) -> list[tuple[str, str]]:
        """Return a label and a text for each decision, and for who published it; safe to print."""
        found = [("Edition", f"approved edition of draft SHA-256 {self.draft}")]
        for meaning in MEANINGS:
            said = [one for one in self.decisions if one.meaning == meaning]
            texts = [f"{_by(one.name, one.at)}{f': {shown(one.comment)}' if one.comment else ''}" for one in said]
            if not texts and meaning != "rejected":
                texts = ["nobody"]
            found += [(meaning.capitalize(), text) for text in texts]
        return [*found, ("Published", f"{_by(self.published_by, self.published_at)} (the signer's word, as all of it)")]

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        decisions = [{**one.__dict__, "at": to_text(one.at)} for one in self.decisions]
        return {**self.__dict__, "published_at": to_text(self.published_at), "decisions": decisions}


def edition_of(report: Any, draft: str | None) -> Edition | None:
    """Return what a report.json says of the decisions on its draft; None of a draft, and of an officer's report.

    Args:
      report: the document, its bytes as they were signed; None where it is no JSON, or was not signed.
      draft: as the statement names it. The report has to name the same one, or both none.
    Raises:
      VerificationError: they differ, or the report has a part wrong.
    """
    told: Mapping[str, Any] = report if isinstance(report, Mapping) else {}
    edition, sign_offs = told.get("edition"), told.get("sign_offs")
    if draft is None and edition is None and sign_offs in (None, []):
        return None
    if draft is None or not isinstance(edition, Mapping) or edition.get("draft") != draft:
        raise VerificationError("its report.json and its statement do not name the same draft that people decided on")
    try:
        by, at = edition["published_by"], from_text(edition["published_at"])
        if not isinstance(by, str) or not isinstance(sign_offs, list):
            raise ValueError("publisher or list")
        return Edition(draft, by, at, tuple(map(_decided, sign_offs)))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise VerificationError("its report.json lacks a part of who decided on it, or has it wrong") from None


def _decided(item: Mapping[str, Any]) -> Decided:
    meaning, name, comment = item["meaning"], item["name"], item["comment"]
    if meaning not in MEANINGS or not isinstance(name, str) or not name or not isinstance(comment, str):
        raise ValueError("a decision")
    return Decided(meaning, name, from_text(item["at"]), comment)


def _by(name: str, at: datetime) -> str:
    return f"by {shown(name)}, {at:%Y-%m-%d %H:%M:%S} UTC"
