"""What `privsynth verify` prints of a signed statement of a service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privsynth.signing.keyring import Keyring


def notice_said(path: Path, keyrings: list[Keyring], *, as_json: bool) -> str:
    """Return what a statement says and who signed it, as text or JSON.

    Raises:
      VerificationError, UnknownSigner, ConfigError: it does not verify.
    """
    import json
    from datetime import UTC, datetime

    from privsynth.approvals.notices import trusted_notice
    from privsynth.strict.time import to_text

    notice, entry = trusted_notice(path, keyrings, datetime.now(UTC))
    if as_json:
        subjects = [{"name": one.name, "sha256": one.sha256} for one in notice.subjects]
        return json.dumps(
            {"verified": True, "kind": notice.kind, "holder": entry.holder, "fingerprint": entry.fingerprint,
             "issued_at": to_text(notice.issued_at), "subjects": subjects, "said": dict(notice.said)}, indent=2,
        )  # fmt: skip
    lines = [
        f"{path} verifies: a {notice.title}." if notice.kind == "deletion" else f"{path} verifies: an {notice.title}.",
        f"Signed by   {entry.holder}",
        f"Fingerprint {entry.fingerprint}",
        f"Signed at   {notice.issued_at:%Y-%m-%d %H:%M:%S} UTC (the signer's word)",
        *_lines(notice.said, ""),
        *(f"SHA-256     {one.sha256}  {_shown(one.name)}" for one in notice.subjects),
    ]
    return "\n".join(lines)


def _lines(said: Any, indent: str) -> Iterator[str]:
    """Yield facts as lines; lists and objects below their names."""
    for name, value in said.items() if isinstance(said, dict) else [("", one) for one in said]:
        label = _shown(str(name).replace("_", " ").capitalize())
        if value in (None, "", [], {}):
            continue
        if isinstance(value, dict | list):
            if label:
                yield f"{indent}{label}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{label:<12}{_shown(str(value))}" if label else f"{indent}- {_shown(str(value))}"


def _shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)
