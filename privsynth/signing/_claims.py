"""The predicate of a release: what the signer says of it, beside the digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from privsynth.errors import ConfigError, KeyFileError, VerificationError
from privsynth.signing import _time
from privsynth.signing.keys import PublicKey

KINDS = ("public", "officer")
_ADDED = ("signed_at", "signer")


@dataclass(frozen=True)
class Claims:
    """Parsed predicate.

    Attributes:
      kind: "public" or "officer".
      dataset: name of the dataset.
      signed_at: when the signer says that it was signed.
      key: the key that the statement says will sign it: a hint for the message, never a reason to trust.
      holder: the name that the statement gives itself; None where unsigned.
    """

    kind: str
    dataset: str
    signed_at: datetime
    key: PublicKey | None
    holder: str | None


def build(predicate: Mapping[str, Any], *, key: PublicKey | None, holder: str, signed_at: datetime) -> dict[str, Any]:
    """Return the predicate with the time and the hint of the signer added.

    Raises:
      ConfigError: if `kind` or `dataset` is missing or wrong, or a name is taken that is added here.
    """
    if predicate.get("kind") not in KINDS:
        raise ConfigError("the predicate of a release must have a kind: public or officer")
    if not isinstance(predicate.get("dataset"), str) or not predicate["dataset"]:
        raise ConfigError("the predicate of a release must name its dataset")
    if any(name in predicate for name in _ADDED):
        raise ConfigError("signed_at and signer are written into the predicate when it is signed; leave them out")
    signer = None
    if key is not None:
        signer = {"holder": holder, "keyid": key.keyid, "public_key": key.to_base64()}
    return {**predicate, "signed_at": _time.to_text(signed_at), "signer": signer}


def parse(predicate: Mapping[str, Any]) -> Claims:
    """Read what `build` wrote.

    Raises:
      VerificationError: if a part is missing or of the wrong type.
    """
    try:
        kind, dataset, signer = predicate["kind"], predicate["dataset"], predicate["signer"]
        signed_at = _time.from_text(predicate["signed_at"])
        key = None if signer is None else PublicKey.from_base64(signer["public_key"])
        holder = None if signer is None else signer["holder"]
        texts = [dataset] if holder is None else [dataset, holder]
        if kind not in KINDS or not all(isinstance(text, str) for text in texts):
            raise ValueError("wrong type")
        if key is not None and signer["keyid"] != key.keyid:
            raise ValueError("the key id is not that of the key")
    except (KeyError, TypeError, ValueError, KeyFileError):
        raise VerificationError("the statement lacks a part that every release has, or has it wrong") from None
    return Claims(kind, dataset, signed_at, key, holder)
