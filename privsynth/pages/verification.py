"""`verify.html`: the verification of a release as one page, for readers who install nothing. No I/O but its sources."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from privsynth.pages.templates import templates_dir
from privsynth.signing.keyring import Keyring
from privsynth.signing.keys import PublicKey

SCRIPTS = (
    "strict.js",
    "ed25519.js",
    "keys.js",
    "keyring.js",
    "archive.js",
    "report.js",
    "release.js",
    "revocations.js",
    "root.js",
    "page.js",
)  # each uses those before it
PLACES = ("script_hash", "style_hash", "style", "log", "keyring", "root", "script")


def verify_page(keyring: Keyring | None = None, root: PublicKey | None = None, log: str = "") -> str:
    """Return the page: self-contained, without a request to anywhere, the same bytes for the same keyring.

    Args:
      keyring: to be built in; the page then needs no other. It must reach readers by another way than releases do,
        as a keyring must.
      root: to be built in; the page then takes only keyrings that it signed.
      log: the address of the log of releases, for a link; "" for none.
    """
    folder = templates_dir() / "verify"
    style = (folder / "page.css").read_text(encoding="utf-8")
    of_log = (folder / "log.html").read_text(encoding="utf-8")
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    parts = {
        "script_hash": _csp_hash(script),
        "style_hash": _csp_hash(style),
        "style": style,
        # A "<" in the name of a holder must not end the element that holds the keyring.
        "keyring": "" if keyring is None else keyring.to_json().decode("ascii").replace("<", "\\u003c"),
        "root": "" if root is None else root.to_base64(),
        "script": script,
        "log": of_log.replace("{{ address }}", escape(log)).rstrip() if log else "",
    }
    page = (folder / "page.html").read_text(encoding="utf-8")
    for place in PLACES:
        page = page.replace(f"{{{{ {place} }}}}", parts[place], 1)
    return page


def _csp_hash(text: str) -> str:
    """Return the SHA-256 of an inline element, as a Content-Security-Policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
