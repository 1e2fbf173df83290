"""A PDF edition says what the page says, is tagged, brings the signed page, loads nothing, and can be signed."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from privsynth.cli.pdf import CERTIFICATE_VARIABLE, command
from privsynth.errors import KeyFileError, VerificationError
from privsynth.pdf.edition import ATTESTATION, PAGE, pdf_edition
from privsynth.pdf.signature import sign_pdf
from privsynth.signing.release import EMPTY_ELEMENT

SIGNED = EMPTY_ELEMENT.replace("></script>", '>{"payload": "e30="}</script>')
BODY = (
    "<h1>Admissions</h1><p>The promise.</p><img src='file:///etc/hostname'><img src='http://localhost:9/x.png'>"
    "<details><summary>Annex</summary><p>Folded words.</p></details>"
)


def page(element: str = SIGNED, body: str = BODY) -> bytes:
    return (
        f"<!DOCTYPE html><html lang='en'><head><title>Report</title></head><body>{body}{element}</body></html>".encode()
    )


@pytest.fixture(scope="module")
def edition() -> bytes:
    return pdf_edition(page())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """Return a PKCS #12 file of a made-up office, which vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Data office, made up")])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(True, True, *[False] * 7)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("office") / "office.p12"
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(b"office", key, cert, None, BestAvailableEncryption(b"open"))
    )
    return path


def attached(document: bytes) -> dict[str, bytes]:
    """Return the files that a PDF brings."""
    names = PdfFileReader(io.BytesIO(document)).root["/Names"]["/EmbeddedFiles"]["/Names"]
    specs = [names[i] for i in range(1, len(names), 2)]
    return {str(spec["/UF"]): spec["/EF"]["/F"].data for spec in specs}


def test_the_signed_page_and_its_attestation_are_attached_byte_for_byte(edition):
    assert attached(edition) == {PAGE: page(), ATTESTATION: b'{"payload": "e30="}'}


def test_a_page_that_nobody_signed_brings_itself_alone():
    assert list(attached(pdf_edition(page(EMPTY_ELEMENT)))) == [PAGE]


def test_it_is_tagged_titled_and_in_the_language_of_the_page(edition):
    root = PdfFileReader(io.BytesIO(edition)).root
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]


def test_the_same_page_gives_the_same_bytes(edition):
    assert pdf_edition(page()) == edition


def test_what_is_folded_is_printed_on_request_alone(edition):
    """Told by the size: letters are drawn as glyphs of a subset of a font."""
    assert len(pages_of(pdf_edition(page(), annex=True))) > len(pages_of(edition))


def pages_of(document: bytes) -> bytes:
    """Return what is drawn on the first page."""
    data: bytes = PdfFileReader(io.BytesIO(document)).root["/Pages"]["/Kids"][0]["/Contents"].data
    return data


def test_nothing_is_loaded_from_the_machine_or_a_network(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("nobody may attach this")
    body = f"<link rel=attachment href='{secret.as_uri()}'><style>@import '{secret.as_uri()}';</style>{BODY}"
    document = pdf_edition(page(body=body))
    assert not [data for data in attached(document).values() if b"nobody may attach this" in data]


@pytest.mark.parametrize("given", [b"", b"<!DOCTYPE html><p>no element</p>", page(SIGNED + SIGNED), SIGNED.encode()])
def test_what_is_no_report_is_refused(given):
    with pytest.raises(VerificationError):
        pdf_edition(given)


def test_a_signature_covers_the_whole_file_and_breaks_with_a_byte(edition, certificate):
    signed = sign_pdf(edition, certificate, b"open")
    status = validity(signed)
    assert status.intact
    assert status.valid
    assert status.coverage.name == "ENTIRE_FILE"
    place = signed.index(b"stream\n") + 20  # inside what is drawn
    changed = signed[:place] + bytes([signed[place] ^ 1]) + signed[place + 1 :]
    assert not validity(changed).intact


def validity(document: bytes):
    reader = PdfFileReader(io.BytesIO(document))
    (signature,) = reader.embedded_signatures
    return validate_pdf_signature(signature, ValidationContext(trust_roots=[signature.signer_cert]))


@pytest.mark.parametrize("wrong", ["passphrase", "file"])
def test_a_certificate_that_does_not_open_is_one_sentence(wrong, edition, certificate, tmp_path):
    if wrong == "file":
        certificate = tmp_path / "office.p12"
        certificate.write_bytes(b"no certificate")
    with pytest.raises(KeyFileError, match="no PKCS #12 file, or the passphrase is wrong"):
        sign_pdf(edition, certificate, b"shut" if wrong == "passphrase" else b"open")


def test_the_command_writes_a_new_file_from_a_folder_and_replaces_none(tmp_path, certificate, monkeypatch):
    monkeypatch.setenv(CERTIFICATE_VARIABLE, "open")
    (tmp_path / PAGE).write_bytes(page())
    out = tmp_path / "report.pdf"
    arguments = [str(tmp_path), "--out", str(out), "--certificate", str(certificate)]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert validity(out.read_bytes()).intact
    before = out.read_bytes()
    again = CliRunner().invoke(command, arguments)
    assert "exists already" in str(again.exception)
    assert out.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [PAGE, "report.pdf"]
