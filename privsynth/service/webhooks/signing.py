"""Signatures of messages, by the Standard Webhooks specification 1.0 (HMAC-SHA256).

Guarantee: whoever has the secret can tell that id, time and body of a message are those that the service sent.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime

PREFIX = "whsec_"
_BYTES = 32  # of a secret; the specification takes 24 to 64


def new_signing_secret() -> str:
    """Return a secret in the form that receivers' libraries take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def signed_headers(message: str, body: str, at: datetime, keys: Iterable[str]) -> dict[str, str]:
    """Return the headers of one attempt; while a secret is replaced, both sign.

    Args:
      message: the name of the message.
      at: the time of the attempt.
      keys: secrets, as `new_signing_secret` returns them.
    """
    moment = str(int(at.timestamp()))
    told = f"{message}.{moment}.{body}".encode()
    signatures = (
        base64.b64encode(hmac.digest(base64.b64decode(key.removeprefix(PREFIX)), told, "sha256")).decode()
        for key in keys
    )
    return {
        "webhook-id": message, "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }  # fmt: skip
