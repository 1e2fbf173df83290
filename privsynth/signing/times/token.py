"""Check a time token: over which bytes it is, from which authority, and when it was made. No network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privsynth.errors import InputError, VerificationError
from privsynth.extras import needs
from privsynth.signing._files import read_limited, shown
from privsynth.signing.checks.trust import CLOCK_SKEW
from privsynth.strict.time import to_text

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

EXTRA = "timestamp"
MAX_TOKEN_BYTES = 100_000  # (own) usual ones take 1 to 8 kB, with all certificates of the authority
MAX_ROOTS_BYTES = 1_000_000  # (own) every authority of a trust list takes less
_SHA256 = "2.16.840.1.101.3.4.2.1"  # object identifier, RFC 5754, section 2.2


@dataclass(frozen=True)
class TrustedTime:
    """What an authority says.

    Attributes:
      at: the bytes existed no later than this.
      authority: subject of its certificate.
      lapsed: that certificate has expired since; nobody says any more whether its key was stolen.
    """

    at: datetime
    authority: str
    lapsed: bool

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {"at": to_text(self.at), "authority": self.authority, "certificate_expired_since": self.lapsed}

    def sentence(self, valid_until: datetime) -> str:
        """Return it in words.

        Args:
          valid_until: the end of the period of the key that signed.
        """
        lapsed = "; its certificate has expired since" if self.lapsed else ""
        late = "" if self.at <= valid_until else (
            f"; that is after the key expired on {valid_until:%Y-%m-%d}, so it does not show that it was valid then"
        )  # fmt: skip
        said = f"signed no later than {self.at:%Y-%m-%d %H:%M:%S} UTC, by {shown(self.authority)}"
        return f"{said} (the authority's word){lapsed}{late}"


def looks_like_a_token(data: bytes) -> bool:
    """Say whether bytes are one SEQUENCE of ASN.1 in DER and nothing else; what is in it nobody has looked at."""
    if not 4 <= len(data) <= MAX_TOKEN_BYTES or data[0] != 0x30:
        return False
    if data[1] < 0x80:
        return len(data) == 2 + data[1]
    size = data[1] - 0x80
    return 0 < size <= 3 and len(data) == 2 + size + int.from_bytes(data[2 : 2 + size], "big")


def load_roots(path: Path) -> tuple[Certificate, ...]:
    """Return the certificates that the reader trusts for times, from a PEM file.

    Raises:
      InputError: it cannot be read, or holds none.
    """
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return tuple(load_pem_x509_certificates(read_limited(path, MAX_ROOTS_BYTES)))
    except OSError as problem:
        raise InputError(f"the certificates {path} cannot be read: {problem.strerror}") from None
    except ValueError:
        raise InputError(f"{path} holds no certificate in PEM form; ask the authority for its root") from None


def checked_time(
    token: bytes, digest: str, roots: Sequence[Certificate], *, signed_at: datetime, now: datetime
) -> TrustedTime:
    """Return the time in a token, if one of the reader's authorities made it over these bytes.

    Args:
      token: a response of RFC 3161 in DER.
      digest: SHA-256 of the bytes that it has to be over, hex.
      roots: of the authorities that the reader trusts.
      signed_at: as the signer says.
      now: the reader's clock.
    Raises:
      VerificationError: it is over other bytes, from somebody else, from an authority whose certificate was not valid
        then, or from before the time of signing or after now.
      MissingPackageError: the extra is not installed.
    """
    with needs(EXTRA):
        from rfc3161_client import VerificationError as Untrusted
        from rfc3161_client import VerifierBuilder, decode_timestamp_response
    if not looks_like_a_token(token):
        raise VerificationError("the time token is damaged, or none")
    try:
        response = decode_timestamp_response(token)
        info = response.tst_info
        imprint, algorithm = info.message_imprint.message, info.message_imprint.hash_algorithm.dotted_string
        made = info.gen_time.astimezone(UTC)
        at = _latest(made, info.accuracy)
    except (ValueError, OverflowError):
        raise VerificationError("the time token is damaged, or none") from None
    if algorithm != _SHA256 or imprint != bytes.fromhex(digest):
        raise VerificationError("the time token is over other bytes: it belongs to another signature")
    try:
        VerifierBuilder(roots=list(roots)).build().verify(response, imprint)
        leaf = _leaf(response, roots)
    except (Untrusted, ValueError):
        raise VerificationError(
            f"no authority that you trust made the time token of {to_text(at)}, or its certificate was not valid then"
        ) from None
    if made > now + CLOCK_SKEW:
        raise VerificationError(f"the time token is of {to_text(at)}, which is later than this computer's clock")
    if at < signed_at - CLOCK_SKEW:
        raise VerificationError(
            f"the time token is of {to_text(at)}, before the time of signing that is claimed, {to_text(signed_at)}"
        )
    return TrustedTime(at, leaf.subject.rfc4514_string(), leaf.not_valid_after_utc < now)


def _latest(made: datetime, accuracy: Any) -> datetime:
    """Return the last whole second at which a time with this accuracy may have been, as 'no later than' has to say."""
    more = 0 if accuracy is None else (accuracy.seconds or 0) + bool(accuracy.millis or accuracy.micros)
    return made.replace(microsecond=0) + timedelta(seconds=more + bool(made.microsecond))


def _leaf(response: Any, roots: Sequence[Certificate]) -> Certificate:
    """Return the certificate whose key signed a response that was verified.

    The certificates in a token are not signed: a second one of the same issuer and number, which anybody can put in,
    would leave open whose name and purpose count. So would one that stands alone there, while the true one is among
    the reader's own, where the signature is checked with that.

    Raises:
      ValueError: there is not exactly one.
    """
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_der_x509_certificate

    (signer,) = response.signed_data.signer_infos
    given = {*response.signed_data.certificates, *(root.public_bytes(Encoding.DER) for root in roots)}
    certificates = [load_der_x509_certificate(data) for data in given]
    (leaf,) = [one for one in certificates if (one.issuer, one.serial_number) == (signer.issuer, signer.serial_number)]
    return leaf


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of bytes, hex."""
    return hashlib.sha256(data).hexdigest()
