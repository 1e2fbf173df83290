"""A signature that PDF readers show: PAdES, by a certificate of the institution."""

from __future__ import annotations

import io
from pathlib import Path

from privsynth.errors import KeyFileError
from privsynth.extras import needs

FIELD = "Signature"
MAX_CERTIFICATE_BYTES = 1 << 20  # of a PKCS #12 file (own): one with its chain takes some kilobytes


@needs("pdf")
def sign_pdf(document: bytes, certificate: Path, passphrase: bytes) -> bytes:
    """Return a PDF with a signature over all of its bytes (PAdES baseline B-B).

    It says who made this edition, by a certificate that PDF readers can check. It is no signature of the release: that
    is the attached page's. Nothing is fetched, neither a time nor the state of the certificate.
    Args:
      certificate: a PKCS #12 file (.p12, .pfx) with a private key, its certificate and those that vouch for it.
      passphrase: of that file.
    Raises:
      KeyFileError: the file cannot be read, or the passphrase does not open it.
    """
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import signers
    from pyhanko.sign.fields import SigSeedSubFilter

    try:
        with certificate.open("rb") as file:
            data = file.read(MAX_CERTIFICATE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{certificate} cannot be read: {error.strerror}") from None
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise KeyFileError(f"{certificate} is too large for a certificate; give the .p12 file with your key")
    try:
        signer = signers.SimpleSigner.load_pkcs12_data(data, other_certs=[], passphrase=passphrase)
    except ValueError:
        signer = None
    if signer is None:
        raise KeyFileError(f"{certificate} is no PKCS #12 file, or the passphrase is wrong")
    told = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        reason="I made this edition of the attached page",
    )
    signed = signers.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(document)), told, signer=signer)
    return bytes(signed.getvalue())
