"""What verifying found, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from privsynth.errors import ConfigError
from privsynth.notebook import card, promise_text
from privsynth.signing._files import shown
from privsynth.signing.checks.edition import Edition
from privsynth.signing.checks.promise import Promise
from privsynth.signing.statement import KINDS, Claims
from privsynth.strict.time import to_text


@dataclass(frozen=True)
class VerificationResult:
    """A release that holds.

    Attributes:
      keyid, fingerprint: of the key that signed.
      holder: of that key, as the reader's keyring names it.
      signed_at: as the signer says.
      valid_until: the end of the key's validity in the keyring.
      kind: "public" or "officer".
      dataset: name of the dataset.
      files: how many files were checked.
      unchecked: how many signed files were not there to check (a report sent alone); 0 for a folder.
      promise: ε, δ and unit as the signed report.json states them; None where it states none or is not there.
      release: of an officer's folder: SHA-256 of the manifest of the public folder that it is about, or None.
      manifest: SHA-256 of the folder's own manifest, which stands for all of its files.
      draft: of an approved edition: SHA-256 of the manifest of the draft that people decided on, or None.
      envelope: SHA-256 of the envelope that was checked.
      has_token: whether a time token lies beside it, which was not checked.
      edition: who decided on it, as its signed report.json says; None of a draft, and of a report that came alone.
    """

    keyid: str
    fingerprint: str
    holder: str
    signed_at: datetime
    valid_until: datetime
    kind: str
    dataset: str
    files: int
    unchecked: int = 0
    promise: Promise | None = None
    release: str | None = None
    manifest: str = ""
    draft: str | None = None
    envelope: str = ""
    has_token: bool = False
    edition: Edition | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data, every field present."""
        promise = None if self.promise is None else dict(self.promise.__dict__)
        times = {"signed_at": to_text(self.signed_at), "valid_until": to_text(self.valid_until)}
        edition = None if self.edition is None else self.edition.to_json()
        return {**self.__dict__, **times, "promise": promise, "edition": edition}

    def edition_lines(self) -> list[tuple[str, str]]:
        """Return labels and texts about the draft and who decided on it; none of what is no edition."""
        if self.edition is not None:
            return self.edition.lines()
        if self.draft is None:
            return []
        return [("Edition", f"approved edition of draft SHA-256 {self.draft}; who decided stands in the report")]

    def _repr_html_(self) -> str:
        alone = f"; {self.unchecked} more were not there to check" if self.unchecked else ""
        said = self.promise
        promise = "" if said is None else promise_text(said.epsilon, said.delta, said.unit, said.max_rows_per_unit)
        return card(
            f"Verified: {self.kind} release of {self.dataset}",
            [
                ("Promise", promise),
                ("Signed by", self.holder),
                ("Fingerprint", self.fingerprint),
                ("Signed at", f"{to_text(self.signed_at)} (the signer's word)"),
                ("Files", f"{self.files} checked{alone}"),
                *self.edition_lines(),
            ],
        )


@dataclass(frozen=True)
class Expected:
    """What a reader asked for: an intact folder of another kind or table is not what was asked for.

    Attributes:
      kind: "public" or "officer"; None takes either.
      dataset: its name; None takes any.
    Raises:
      ConfigError: another kind.
    """

    kind: str | None = None
    dataset: str | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise ConfigError("the kind of a release is public or officer")

    def problems(self, claims: Claims) -> list[str]:
        """Return a sentence for each thing that differs."""
        found = []
        if self.kind not in (None, claims.kind):
            found.append(f"it is of the kind {claims.kind}, and {self.kind} was asked for")
        if self.dataset not in (None, claims.dataset):
            found.append(f"it is of the dataset '{shown(claims.dataset)}', and another was asked for")
        return found


ANYTHING = Expected()
