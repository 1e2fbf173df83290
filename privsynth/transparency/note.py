"""Signed notes: a text and the signatures under it, as plain lines.

Source: C2SP signed-note (https://c2sp.org/signed-note@v1.0.0), signature type 0x01 (Ed25519).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from privsynth.errors import ConfigError, KeyFileError, VerificationError
from privsynth.signing.envelope import Signer
from privsynth.signing.keys import PublicKey

MAX_NOTE_BYTES = 100_000  # (own) ours take 300 bytes; sixteen witnesses with post-quantum signatures, 80,000
_SPKI = bytes.fromhex("302a300506032b6570032100")  # what stands before the 32 bytes of an Ed25519 key, RFC 8410
_ED25519 = b"\x01"
_ID_BYTES = 4  # of a key in a signature line
_NAME = re.compile(r"[^\s+\x00-\x1f]{1,200}")
_KEY = re.compile(r"[^\s+]+\+[0-9a-fA-F]{6,10}\+[A-Za-z0-9+/=]{20,}\s*")  # what is meant to be one, by its looks
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+=*)")


@dataclass(frozen=True)
class VerifierKey:
    """Whose signature under a note is believed.

    Attributes:
      name: of the key; for a log, its origin. One word without a plus.
      public: an Ed25519 key.
    """

    name: str
    public: PublicKey

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not self.name.isprintable():
            raise ConfigError("the name of a log is one word without a plus, such as st-mary.example/releases")
        if not self.public.spki.startswith(_SPKI):
            raise ConfigError("the key of a log is an Ed25519 key")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart; a hint, not a proof."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._material).digest()[:_ID_BYTES]

    @property
    def _material(self) -> bytes:
        return _ED25519 + self.public.spki.removeprefix(_SPKI)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._material).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Return what `str` wrote.

        Raises:
          KeyFileError: it is anything else.
        """
        wrong = KeyFileError(
            "that is not the key of a log: a character of it is missing or mistyped. Copy the line again that "
            "'privsynth log init' printed; it is in the file public/key of the log, too"
            if _KEY.fullmatch(text)
            else "that is not the key of a log: it looks like NAME+8 hex digits+base64, on one line"
        )
        name, _, rest = text.partition("+")
        try:
            raw = base64.b64decode(rest.partition("+")[2], validate=True)
            key = cls(name, PublicKey.from_spki(_SPKI + raw[1:]))
        except (ValueError, ConfigError, KeyFileError):
            raise wrong from None
        if str(key) != text:
            raise wrong
        return key


def sign_note(text: str, name: str, signer: Signer) -> str:
    """Return the text with one signature line under it.

    Args:
      text: ends with a newline, and has no other control characters.
    """
    key = VerifierKey(name, signer.public)
    signature = base64.b64encode(key.key_id + signer.sign(text.encode())).decode()
    return f"{text}\n— {name} {signature}\n"


def open_note(data: bytes, key: VerifierKey) -> str:
    """Return the text of a note that this key signed; other signatures are passed over.

    Raises:
      VerificationError: it is no note, the key did not sign it, or a signature in its name does not fit.
    """
    text, signatures = _parts(data)
    mine = [sig for name, sig in signatures if (name, sig[:_ID_BYTES]) == (key.name, key.key_id)]
    if not mine:
        raise VerificationError(f"the checkpoint is not signed by the key of the log {key.name} that you trust")
    if not all(key.public.fits(sig[_ID_BYTES:], text.encode()) for sig in mine):
        raise VerificationError("the signature of the checkpoint does not fit: it was changed")
    return text


def _parts(data: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    wrong = VerificationError("that is no signed checkpoint: a text, an empty line, and lines of signatures")
    try:
        note = data.decode("utf-8")
    except UnicodeDecodeError:
        raise wrong from None
    if len(data) > MAX_NOTE_BYTES or re.search(r"[\x00-\x09\x0b-\x1f]", note):
        raise wrong
    text, gap, tail = note.rpartition("\n\n")
    lines = [_LINE.fullmatch(line) for line in tail.removesuffix("\n").split("\n")]
    if not gap or not tail.endswith("\n"):
        raise wrong
    found = []
    for line in lines:
        if line is None:
            raise wrong
        try:
            signature = base64.b64decode(line[2], validate=True)
        except binascii.Error:
            raise wrong from None
        if len(signature) <= _ID_BYTES or base64.b64encode(signature).decode() != line[2]:
            raise wrong
        found.append((line[1], signature))
    return f"{text}\n", found
