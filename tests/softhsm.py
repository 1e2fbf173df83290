"""A PKCS#11 token in software (SoftHSM), with keys of its own, for tests of keys in devices."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PIN, LABEL = "4711-never-written", "Office HSM"
DRIVERS = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
DRIVER = next((path for path in DRIVERS if Path(path).exists()), None)


def absent(what):
    """Skip, or fail where the environment asks for the token."""
    if os.environ.get("PRIVSYNTH_REQUIRE_SOFTHSM"):
        pytest.fail(f"{what} is missing, and PRIVSYNTH_REQUIRE_SOFTHSM asks for it")
    pytest.skip(f"{what} is missing; PRIVSYNTH_REQUIRE_SOFTHSM=1 makes this a failure")


class Token:
    """A token in a folder; to take it out, what is in it is moved away."""

    def __init__(self, folder: Path) -> None:
        if DRIVER is None or shutil.which("softhsm2-util") is None:
            absent("SoftHSM")
        self.tokens = folder / "tokens"
        self.tokens.mkdir(parents=True)
        self.settings = folder / "softhsm2.conf"
        self.settings.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\n")

    @property
    def environment(self):
        return {**os.environ, "SOFTHSM2_CONF": str(self.settings)}

    def initialize(self, label=LABEL):
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "12345678"]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)

    def uri(self, number, label=LABEL):
        """Return the URI of the key with this id."""
        return f"pkcs11:token={label.replace(' ', '%20')};id=%{number:02x}?module-path={DRIVER}"

    def take_out(self):
        self.tokens.rename(self._away)
        self.tokens.mkdir()

    def put_back(self):
        if self._away.exists():
            self.tokens.rmdir()
            self._away.rename(self.tokens)

    @property
    def _away(self):
        return self.tokens.with_name("away")

    def opened(self, label=LABEL):
        """Return a session in which keys may be made."""
        import pkcs11

        library = pkcs11.lib(DRIVER)
        library.reinitialize()
        return library.get_token(token_label=label).open(user_pin=PIN, rw=True)

    def generate(self, number, curve="secp256r1", label=LABEL):
        """Make a key pair on a curve, by name or object identifier."""
        from pkcs11 import Attribute, KeyType, Mechanism
        from pkcs11.util.ec import encode_named_curve_parameters

        edwards = curve == "1.3.101.112"
        kind = KeyType.EC_EDWARDS if edwards else KeyType.EC
        mechanism = Mechanism.EC_EDWARDS_KEY_PAIR_GEN if edwards else Mechanism.EC_KEY_PAIR_GEN
        with self.opened(label) as session:
            curves = {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
            parameters = session.create_domain_parameters(kind, curves, local=True)
            parameters.generate_keypair(mechanism=mechanism, store=True, id=bytes([number]), label=f"key {number}")

    def generate_rsa(self, number):
        from pkcs11 import KeyType

        with self.opened() as session:
            session.generate_keypair(KeyType.RSA, 2048, store=True, id=bytes([number]))
