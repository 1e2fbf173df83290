"""`privsynth verify`: check a release or a lone report, offline."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from privsynth.cli.terminal.keyrings import keyring_option, keyrings_of
from privsynth.errors import ConfigError

if TYPE_CHECKING:
    from privsynth.signing.verification import Promise, VerificationResult


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@keyring_option
@click.option("--kind", type=click.Choice(["public", "officer"]), help="Refuse a folder of another kind.")
@click.option("--dataset", help="Refuse a release of another dataset.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify(path: Path, keyring_files: tuple[Path, ...], kind: str | None, dataset: str | None, as_json: bool) -> None:
    """Check who signed a release, and that not a byte of it was changed.

    PATH is a folder, or a report.html that came on its own: then the other files cannot be checked. Of a whole run,
    the public folder and the officer's are checked, and that they belong together. Works offline.
    The exit code is 0 if it verifies, 5 if it does not, 6 if it is intact but no keyring has the signer's key.

    An older release signed with the same key verifies too: say what you expect, and look at the time of signing.

    Example: privsynth verify out/public --keyring st-mary.json --kind public --dataset admissions
    """
    import json

    from privsynth.signing.verification import Expected, verify_folder, verify_report, verify_run

    parts = [name for name in ("public", "officer") if (path / name / "manifest.json").exists()]
    keyrings, expected = keyrings_of(keyring_files), Expected(kind, dataset)
    if parts and not (path / "manifest.json").exists():
        if kind is not None or len(parts) < 2:
            raise ConfigError(f"{path} holds parts that are signed by themselves; verify {path / (kind or parts[0])}")
        public, officer = verify_run(path, keyrings, datetime.now(UTC), expected)
        told = {"public": public.to_json(), "officer": officer.to_json()}
        text = f"{_text(path / 'public', public)}\n{path / 'officer'} verifies, and is about this release."
    else:
        verified = (verify_folder if path.is_dir() else verify_report)(path, keyrings, datetime.now(UTC), expected)
        told, text = verified.to_json(), _text(path, verified)
    click.echo(json.dumps({"verified": True, **told}, indent=2) if as_json else text)


def _text(path: Path, verified: VerificationResult) -> str:
    dataset = verified.dataset if verified.dataset.isprintable() else ascii(verified.dataset)
    lines = [
        f"{path} verifies.",
        f"Signed by   {verified.holder}",
        f"Fingerprint {verified.fingerprint}",
        f"Signed at   {verified.signed_at:%Y-%m-%d %H:%M:%S} UTC (the signer's word)",
        f"Key         valid until {verified.valid_until:%Y-%m-%d}",
        f"Release     {verified.kind}, of {dataset}",
        f"Files       {verified.files} checked",
    ]
    if verified.promise:
        lines.append(f"Promise     {_promise(verified.promise)}")
    if verified.unchecked:
        lines.append(f"Only the report was checked; {verified.unchecked} other signed files were not there to check.")
    return "\n".join(lines)


def _promise(promise: Promise) -> str:
    unit = promise.unit if promise.unit.isprintable() else ascii(promise.unit)
    rows = "" if promise.max_rows_per_unit is None else f", at most {promise.max_rows_per_unit:,} rows each"
    return f"ε = {promise.epsilon}, δ = {promise.delta}; the unit is {unit}{rows} (the signer's word)"
