"""What `privsynth verify` prints of a signed statement of a service."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privsynth.signing.keyring import Keyring

LINE = 110  # characters of a line (own): most terminals have as many
_WORDS = re.compile(r"[a-z_]+")
_FIRST = ("case", "item", "release", "what")  # what the other facts are about
_LABELS = {
    "officers_part": "Officer's part", "stands": "Where it stands", "not_said": "What is not said",
    "releases": "Releases that the person may be in", "releases_without_the_person": "Releases ruled out by the dates",
    "bytes": "Size in bytes", "sources_elsewhere": "Sources that are kept elsewhere", "entered": "Data entered on",
    "removed": "Data removed on", "revocation": "What revoking a release does",
}  # fmt: skip


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
        *_lines(notice.said, "", least=12),
        *(f"SHA-256     {one.sha256}  {_shown(one.name)}" for one in notice.subjects),
    ]
    return "\n".join(lines)


def is_statement(path: Path) -> bool:
    """Say whether a file is a signed statement, whatever its name, and whether or not it was changed."""
    try:
        with path.open("rb") as file:
            begins = file.read(200).lstrip()
    except OSError:  # a folder, or none
        return False
    return path.name.endswith(".dsse.json") or (begins.startswith(b"{") and b'"payload' in begins)


def _lines(said: Any, indent: str, least: int = 0) -> Iterator[str]:
    """Yield facts as lines: values in a column of their own, lists and objects below their names.

    Args:
      least: characters of the column of names, at least.
    """
    if isinstance(said, list):
        yield from _listed(said, indent)
        return
    names = [*(name for name in _FIRST if name in said), *(name for name in said if name not in _FIRST)]
    facts = {_label(name): said[name] for name in names if said[name] not in (None, "", [], {})}
    plain = [label for label, value in facts.items() if not isinstance(value, dict | list)]
    width = max([least, *(len(label) + 2 for label in plain)])
    for label, value in sorted(facts.items(), key=lambda one: isinstance(one[1], dict | list)):  # the long ones last
        if isinstance(value, dict | list):
            yield f"{indent}{label}:"
            yield from _lines(value, indent + "  ")
        else:
            yield _wrapped(f"{indent}{label:<{width}}", str(value))


def _listed(said: list[Any], indent: str) -> Iterator[str]:
    for number, one in enumerate(said):
        if not isinstance(one, dict | list):
            yield _wrapped(f"{indent}- ", str(one))
            continue
        if number:
            yield ""
        for line, text in enumerate(_lines(one, indent + "  ")):
            yield text if line else f"{indent}- {text[len(indent) + 2 :]}"


def _label(name: str) -> str:
    """Return a fact's name as words; the name of a file stays as it is."""
    return _LABELS.get(name, name.replace("_", " ").capitalize() if _WORDS.fullmatch(name) else _shown(name))


def _wrapped(before: str, value: str) -> str:
    return textwrap.fill(
        _shown(value), LINE, initial_indent=before, subsequent_indent=" " * len(before), break_long_words=False,
        break_on_hyphens=False,
    ) or before  # fmt: skip


def _shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)
