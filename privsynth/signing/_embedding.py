"""The element of report.html that holds the envelope, found by bytes and never by an HTML parser.

The digest of the report is taken over all bytes of the file with nothing between the two markers, so that the
envelope can name the file that holds it (as the byte range of a signed PDF does).
"""

from __future__ import annotations

from dataclasses import dataclass

from privsynth.errors import VerificationError
from privsynth.signing._files import Digest, digest_bytes

START = b'<script type="application/vnd.in-toto.bundle" id="privsynth-attestation">'
END = b"</script>"
EMPTY_ELEMENT = (START + END).decode("ascii")
MAX_REPORT_BYTES = 64_000_000  # of a report's page (own): the largest with charts take a few MB
_ID = b'id="privsynth-attestation"'


@dataclass(frozen=True)
class Page:
    """A report in three parts.

    Attributes:
      before: everything up to and with the start marker.
      embedded: what stands between the markers: the envelope, or nothing.
      after: everything from the end marker on.
    """

    before: bytes
    embedded: bytes
    after: bytes

    @classmethod
    def split(cls, html: bytes) -> Page:
        """Find the element.

        Raises:
          VerificationError: if it is missing, stands there twice, never ends, or holds a `<`, with which it
            could end earlier for a browser than it does here.
        """
        if html.count(START) != 1 or html.lower().count(_ID) != 1:
            raise VerificationError(
                "report.html must have exactly one attestation element, spelt as privsynth writes it"
            )
        before, _, rest = html.partition(START)
        embedded, end, after = rest.partition(END)
        if not end or b"<" in embedded:
            raise VerificationError("the attestation element of report.html is damaged")
        return cls(before + START, embedded, END + after)

    def digest(self) -> Digest:
        """Return the digest and size of the page with the element emptied."""
        return digest_bytes(self.before, self.after)

    def with_envelope(self, envelope: bytes) -> bytes:
        """Return the page with this text in the element."""
        return self.before + envelope + self.after
