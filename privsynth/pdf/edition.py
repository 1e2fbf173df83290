"""From the HTML page of a report to a PDF: the same words and pictures, tagged for screen readers (PDF/UA-1).

The signature of a release covers the page, not its PDF. So the page itself is attached, byte for byte, with the
attestation that is embedded in it, and again by itself: whoever doubts the PDF verifies the page.
"""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime

from privsynth.errors import InputError, MissingPackageError, VerificationError
from privsynth.extras import needs
from privsynth.pdf.paper import put_on_paper
from privsynth.signing.release import embedded_envelope

PAGE = "report.html"
ATTESTATION = "attestation.dsse.json"
_NO_TIME = datetime(1980, 1, 1, tzinfo=UTC)  # of the attachments, which have none of their own


@needs("pdf")
def pdf_edition(page: bytes, *, annex: bool = False) -> bytes:
    """Return a report as PDF: a function of its page alone, the same bytes for the same page.

    Nothing is fetched: what a page loads from elsewhere stays out. No script is run.
    Args:
      page: the bytes of report.html.
      annex: whether folded parts are printed too.
    Raises:
      VerificationError: the page is not a report of privsynth.
      InputError: WeasyPrint fails at the page.
      MissingPackageError: the extra `pdf`, or the library Pango that it draws with, is not installed.
    """
    envelope = embedded_envelope(page)
    if page.lstrip()[:15].lower() != b"<!doctype html>":
        raise VerificationError("this is no page of a report; give the report.html of a release")
    try:
        from weasyprint import HTML, Attachment
        from weasyprint.urls import URLFetcher
    except OSError:
        raise MissingPackageError(
            "the library Pango, with which pages are drawn, is not installed or cannot be loaded; on Debian: "
            "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        ) from None

    nothing = URLFetcher(allowed_protocols=())
    attached = [(PAGE, page, "The signed page"), *([(ATTESTATION, envelope, "Its attestation")] if envelope else [])]
    attachments = [
        Attachment(file_obj=io.BytesIO(data), name=name, description=what, created=_NO_TIME, modified=_NO_TIME)
        for name, data, what in attached
    ]
    try:
        html = HTML(string=page.decode("utf-8", errors="replace"), url_fetcher=nothing)
        put_on_paper(html.etree_element, annex=annex)
        written = html.write_pdf(
            attachments=attachments,
            pdf_identifier=hashlib.sha256(page).hexdigest().encode("ascii"),
            pdf_variant="pdf/ua-1",
        )
    except ImportError:
        raise
    except Exception as error:  # of any class: WeasyPrint states what it takes for granted by assertions
        raise InputError(
            f"WeasyPrint, which makes the PDF, cannot draw this page ({type(error).__name__}); open the page in a "
            "browser and print it to a PDF there, and keep the page beside it: it is what is signed"
        ) from error
    return bytes(written)
