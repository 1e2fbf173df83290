"""`privsynth pdf`: a report as a PDF."""

from __future__ import annotations

import os
from pathlib import Path

import click

from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.errors import InputError, OutputError

CERTIFICATE_VARIABLE = "PRIVSYNTH_CERTIFICATE_PASSPHRASE"


@click.command("pdf")
@click.argument("report", type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="New PDF file.")
@click.option("--annex", is_flag=True, help="Print what is folded in the page too.")
@click.option(
    "--certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Sign it with the key of this PKCS #12 file (.p12, .pfx), so that PDF readers show who made it.",
)
def command(report: Path, out: Path, annex: bool, certificate: Path | None) -> None:
    """Make a tagged PDF of a report, with the signed page attached.

    REPORT is the report.html of a release, or the folder that holds it. The PDF is for reading and filing: what proves
    that nothing was changed is the page, which is attached to it and can be saved from any PDF reader and verified.

    Example: privsynth pdf out/public --out report.pdf
    """
    from privsynth.pdf.edition import PAGE, pdf_edition
    from privsynth.pdf.signature import sign_pdf

    if out.exists():
        raise OutputError(f"{out} exists already; name a new file")
    document = pdf_edition(_read(report / PAGE if report.is_dir() else report), annex=annex)
    if certificate is not None:
        passphrase = ask_passphrase(variable=CERTIFICATE_VARIABLE, prompt=f"Passphrase of {certificate.name}")
        document = sign_pdf(document, certificate, passphrase())
    _write(out, document)
    click.echo(f"Written     {out}, {len(document) / 1024:,.0f} KB")


def _read(page: Path) -> bytes:
    from privsynth.signing._embedding import MAX_REPORT_BYTES
    from privsynth.signing._files import read_limited

    try:
        return read_limited(page, MAX_REPORT_BYTES)
    except OSError as error:
        raise InputError(f"there is no report to read at {page}: {error.strerror}") from None


def _write(out: Path, document: bytes) -> None:
    """Write a new file, whole or not at all."""
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("xb") as file:
            file.write(document)
        os.link(part, out)  # unlike a renaming, it never takes the place of a file that has come meanwhile
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
