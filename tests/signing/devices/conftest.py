"""A token with a key of each algorithm, for one test after the other, and a home to register them in."""

import pytest
from signed import make_release  # noqa: F401
from softhsm import PIN, Token

ED25519 = "1.3.101.112"  # object identifier, RFC 8410
P256_KEY, ED25519_KEY, P384_KEY, RSA_KEY = 1, 2, 3, 4


@pytest.fixture(scope="module")
def whole_token(tmp_path_factory):
    """A token; `token` gives it to a test that may take it out."""
    token = Token(tmp_path_factory.mktemp("softhsm"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(token.settings))
        token.initialize()
        token.generate(P256_KEY)
        token.generate(ED25519_KEY, ED25519)
        token.generate(P384_KEY, "secp384r1")
        token.generate_rsa(RSA_KEY)
        yield token


@pytest.fixture
def token(whole_token, monkeypatch):
    monkeypatch.setenv("SOFTHSM2_CONF", str(whole_token.settings))
    yield whole_token
    whole_token.put_back()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of a person whose PIN is in the variable that passphrases are in."""
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", PIN)
    return tmp_path / "home"
