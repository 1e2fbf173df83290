"""`keys` and `verify` from end to end, each in a home of its own."""

import ast
import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from privsynth.cli.keys import keys
from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.cli.verify import verify
from privsynth.errors import ConfigError, KeyFileError, OutputError, PrivsynthWarning, UnknownSigner, VerificationError
from privsynth.signing.keyring import Keyring
from privsynth.signing.store import NewKey, create_key, find, open_key


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", "horse battery staple")
    return tmp_path / "home"


def run(command, *arguments, **options):
    """Run a command that should succeed and return what it printed."""
    result = CliRunner().invoke(command, [str(item) for item in arguments], **options)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def signed(home, tmp_path, make_release):
    """A release that a key from `keys init` has signed just now."""
    run(keys, "init", "--name", "office", "--holder", "Data office")
    now = datetime.now(UTC)
    key, entry = open_key(home, "office", ask_passphrase(), now=now)
    assert entry.holder == "Data office"
    return make_release(tmp_path / "public", key, signed_at=now)


def test_init_list_export_revoke(home):
    printed = run(keys, "init", "--name", "office", "--holder", "Data office", "--days", "30")
    path = home / "keys" / "office.pem"
    assert str(path) in printed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    entry = Keyring.load(home / "keyring.json").keys[0]
    assert entry.not_after - entry.not_before == timedelta(days=30)
    assert entry.fingerprint in printed

    listed = run(keys, "list")
    assert "office: Data office" in listed
    assert "valid until" in listed

    run(keys, "init", "--name", "second")
    exported = Keyring.from_json(run(keys, "export", "office").encode())
    assert exported.keys == (entry,)
    assert run(keys, "export", entry.keyid) == run(keys, "export", entry.fingerprint)

    run(keys, "revoke", "office", "--reason", "laptop stolen")
    assert [item.status for item in Keyring.load(home / "keyring.json").keys] == ["revoked", "active"]
    assert "laptop stolen" in run(keys, "list")
    assert find(home, "second").holder == "second"


def test_list_without_keys_says_what_to_do(home):
    assert "keys init" in run(keys, "list")
    assert not any(path.is_file() for path in home.rglob("*"))


def test_init_refuses_a_name_that_exists_and_leaves_the_key(home):
    run(keys, "init")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with pytest.raises(KeyFileError, match="exists already"):
        run(keys, "init")
    (home / "keys" / "default.pem").unlink()
    with pytest.raises(KeyFileError, match="exists already"):
        run(keys, "init")
    assert (home / "keyring.json").read_bytes() == before[home / "keyring.json"]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".x", "a b", "x" * 65, "a.b"])
def test_init_refuses_a_name_that_is_a_path(home, name):
    with pytest.raises(KeyFileError, match="name of a key"):
        run(keys, "init", "--name", name)
    assert not any(path.is_file() for path in home.rglob("*"))


def test_init_with_a_damaged_keyring_makes_no_key(home):
    home.mkdir()
    (home / "keyring.json").write_text("{}x")
    with pytest.raises(KeyFileError, match="not valid JSON"):
        run(keys, "init")
    assert not (home / "keys").exists()


def test_init_without_passphrase(home, monkeypatch):
    monkeypatch.delenv("PRIVSYNTH_PASSPHRASE")
    run(keys, "init", "--no-passphrase")
    assert b"BEGIN PRIVATE KEY" in (home / "keys" / "default.pem").read_bytes()


def test_init_asks_twice_and_does_not_print_the_answer(home, monkeypatch):
    monkeypatch.delenv("PRIVSYNTH_PASSPHRASE")
    printed = run(keys, "init", input="donkeys in a row\ndonkeys in a row\n")
    assert "donkey" not in printed
    open_key(home, "default", lambda: b"donkeys in a row", now=datetime.now(UTC))
    result = CliRunner().invoke(keys, ["init", "--name", "typo"], input="donkeys in a row\nmonkeys in a row\n")
    assert result.exit_code != 0
    assert not (home / "keys" / "typo.pem").exists()


def test_an_empty_passphrase_variable_is_refused(home, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", "")
    with pytest.raises(ConfigError, match="empty"):
        run(keys, "init")
    assert not (home / "keys" / "default.pem").exists()


def test_init_refuses_a_short_passphrase_and_leaves_no_key(home, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", "x")
    with pytest.raises(KeyFileError, match="at least 15 characters"):
        run(keys, "init")
    assert not any(path.is_file() for path in home.rglob("*"))


def test_passphrase_changes_it_and_keeps_the_key(home, monkeypatch):
    run(keys, "init")
    monkeypatch.setenv("PRIVSYNTH_NEW_PASSPHRASE", "short")
    with pytest.raises(KeyFileError, match="at least 15 characters"):
        run(keys, "passphrase")
    monkeypatch.setenv("PRIVSYNTH_NEW_PASSPHRASE", "donkeys in a row")
    assert "donkey" not in run(keys, "passphrase")
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        open_key(home, "default", lambda: b"horse battery staple", now=datetime.now(UTC))
    assert open_key(home, "default", lambda: b"donkeys in a row", now=datetime.now(UTC))[1] == find(home, "default")
    with pytest.raises(KeyFileError, match="no key at"):
        run(keys, "passphrase", "other")


def test_a_home_that_everybody_may_change_warns(home):
    run(keys, "init", "--no-passphrase")
    home.chmod(0o777)
    with pytest.warns(PrivsynthWarning, match="chmod go-w"):
        run(keys, "list")
    home.chmod(0o1777)  # as /tmp: nobody may replace what others own
    run(keys, "list")


def test_revoke_needs_a_known_key(home):
    run(keys, "init")
    for unknown in ("nobody", "0" * 64):
        with pytest.raises(KeyFileError):
            run(keys, "revoke", unknown, "--reason", "x")
    assert CliRunner().invoke(keys, ["revoke", "default"]).exit_code == 2


def test_open_key_judges_the_period_before_it_asks(home, now):
    create_key(home, "short", NewKey("x", days=1), passphrase=None, now=now)

    def never():
        raise AssertionError("the passphrase was asked for")

    with pytest.raises(KeyFileError, match="expired"):
        open_key(home, "short", never, now=now + timedelta(days=2))
    assert open_key(home, "short", never, now=now)[1].holder == "x"


def test_open_key_wrong_passphrase_and_missing(home):
    run(keys, "init")
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        open_key(home, "default", lambda: b"donkey", now=datetime.now(UTC))
    with pytest.raises(KeyFileError, match="no key at"):
        open_key(home, "other", None, now=datetime.now(UTC))


def test_verify_with_the_own_keyring(signed, home):
    printed = run(verify, signed)
    assert "Signed by   Data office" in printed
    assert find(home, "office").fingerprint in printed
    assert "7 checked" in printed
    found = json.loads(run(verify, signed, "--json"))
    assert (found["verified"], found["files"], found["unchecked"]) == (True, 7, 0)
    assert found["keyid"] == find(home, "office").keyid


def test_verify_a_lone_report_says_what_was_not_checked(signed):
    assert "6 other signed files were not there" in run(verify, signed / "report.html")
    assert "were not there" not in run(verify, signed)


def test_verify_as_a_recipient(signed, tmp_path, monkeypatch):
    (tmp_path / "office.json").write_text(run(keys, "export", "office"))
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(UnknownSigner):
        run(verify, signed)
    assert "Data office" in run(verify, signed, "--keyring", tmp_path / "office.json")
    with pytest.raises(KeyFileError, match="no keyring at"):
        run(verify, signed, "--keyring", tmp_path / "none.json")


def test_verify_prints_the_promise_and_refuses_what_was_not_asked_for(home, tmp_path, make_release):
    run(keys, "init", "--no-passphrase")
    now = datetime.now(UTC)
    guarantee = {"epsilon": 1.5, "delta": 1e-6, "unit": "patient\x1b", "max_rows_per_unit": 3}
    report = json.dumps({"guarantee": guarantee}).encode()
    key = open_key(home, "default", None, now=now)[0]
    folder = make_release(tmp_path / "public", key, signed_at=now, extra={"report.json": report})
    printed = run(verify, folder, "--kind", "public", "--dataset", "admissions")
    assert r"ε = 1.5, δ = 1e-06; the unit is 'patient\x1b', at most 3 rows each" in printed
    assert json.loads(run(verify, folder, "--json"))["promise"] == guarantee
    for wrong in (("--kind", "officer"), ("--dataset", "payments")):
        with pytest.raises(VerificationError, match="was asked for"):
            run(verify, folder, *wrong)


def test_verify_loads_no_library_of_tables(home, tmp_path, make_release):
    """In a fresh interpreter, from the command line: what a recipient needs besides Python."""
    run(keys, "init", "--no-passphrase")
    key = open_key(home, "default", None, now=datetime.now(UTC))[0]
    folder = make_release(tmp_path / "public", key, signed_at=datetime.now(UTC))
    code = (
        "import sys; from privsynth.cli import main; main(standalone_mode=False); "
        "print({n.split('.')[0] for n, m in sys.modules.items() if 'site-packages' in str(getattr(m, '__file__', ''))})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "verify", str(folder)], capture_output=True, text=True, timeout=60, check=True
    )
    printed, loaded = done.stdout.splitlines()[:-1], ast.literal_eval(done.stdout.splitlines()[-1])
    assert printed[0].endswith("verifies.")
    known = {"click", "cryptography", "pydantic", "pydantic_core", "annotated_types", "typing_extensions"}
    known |= {"typing_inspection", "_cffi_backend", "cffi", "_distutils_hack"}
    assert loaded <= known, "privsynth verify should need nothing but click, cryptography and pydantic"


def test_a_given_keyring_stands_beside_the_own_one_and_its_revocations_hold(signed, home, tmp_path):
    Keyring().save(tmp_path / "empty.json")
    assert "Data office" in run(verify, signed, "--keyring", tmp_path / "empty.json")
    own = Keyring.load(home / "keyring.json")
    own.revoke(own.keys[0].keyid, at=datetime.now(UTC), reason="lost").save(tmp_path / "revoked.json")
    with pytest.raises(VerificationError, match="was revoked"):
        run(verify, signed, "--keyring", tmp_path / "revoked.json")


def test_a_key_for_approvals_does_not_sign_releases_and_is_not_even_opened(home):
    run(keys, "init", "--no-passphrase", "--role", "approver", "--role", "reviewer")
    with pytest.raises(KeyFileError, match=r"may review and approve, and not make releases.*--role maker"):
        open_key(home, "default", None, now=datetime.now(UTC))
    assert "may review, approve" in run(keys, "list")


def test_rotation_ends_the_old_key_and_keeps_holder_roles_and_algorithm(home, signed):
    run(keys, "init", "--name", "old", "--no-passphrase", "--holder", "Anna", "--role", "approver",
        "--algorithm", "ecdsa-p256", "--days", "9")  # fmt: skip
    with pytest.raises(KeyFileError, match="earlier than not_after"):
        run(keys, "rotate", "old", "new", "--no-passphrase")  # within the second in which it was made
    ring = Keyring.load(home / "keyring.json")
    entry = find(home, "old")
    earlier = entry.model_copy(update={"not_before": entry.not_before - timedelta(days=1)})
    Keyring(keys=tuple(earlier if one == entry else one for one in ring.keys)).save(home / "keyring.json")
    assert "Ended" in run(keys, "rotate", "old", "new", "--no-passphrase")
    old, new = find(home, "old"), find(home, "new")
    assert (new.holder, new.roles, new.algorithm) == ("Anna", ("approver",), "ecdsa-p256")
    assert old.not_after <= new.not_before
    with pytest.raises(KeyFileError, match="expired"):
        run(keys, "rotate", "old", "newer", "--no-passphrase")
    assert not (home / "keys" / "newer.pem").exists()


def test_a_root_from_end_to_end(signed, home, tmp_path, monkeypatch):
    """A key office makes a root and signs; a recipient with the root alone verifies, and notices an older keyring."""
    run(keys, "init", "--name", "admin", "--no-passphrase", "--role", "key-admin")
    assert "Readers need" in run(keys, "root", "init", "--no-passphrase")
    root, first, second = home / "roots" / "root.pub", tmp_path / "first.keyring", tmp_path / "second.keyring"
    run(keys, "root", "sign", home / "keyring.json", first, "--days", 30)
    run(keys, "root", "sign", home / "keyring.json", home / "keyring.json", second)
    with pytest.raises(OutputError, match="there already"):
        run(keys, "root", "sign", home / "keyring.json", second)
    with pytest.raises(
        KeyFileError, match=r"root\.pub is a public key, as a root has one, and no keyring; a keyring is"
    ):
        run(keys, "root", "sign", root, tmp_path / "third.keyring")
    with pytest.raises(
        KeyFileError, match=r"data\.csv is not valid JSON \(line 1\); a keyring is what 'privsynth keys"
    ):
        run(verify, signed, "--keyring", signed / "data.csv")
    with pytest.raises(KeyFileError, match="a root signed"):
        run(verify, signed, "--keyring", first)
    with pytest.raises(KeyFileError, match=r"keyring\.json is not the \.pub file of a root"):
        run(verify, signed, "--root", home / "keyring.json", "--keyring", first)
    with pytest.raises(ConfigError, match="a root vouches for keyrings"):
        run(verify, signed, "--root", root)
    with pytest.raises(VerificationError, match="is no keyring to rely on"):
        run(verify, signed, "--root", root, "--keyring", home / "keyring.json")
    revoked, admin = tmp_path / "revoked.keyring", find(home, "admin")
    run(keys, "root", "revoke", second, revoked, "--root", root, "--key", find(home, "office").fingerprint,
        "--as", "admin", "--reason", "laptop stolen")  # fmt: skip
    run(keys, "root", "rotate", "root", "later", "--no-passphrase")
    third = tmp_path / "third.keyring"
    Keyring(keys=(find(home, "office"), admin)).save(tmp_path / "plain.json")
    run(keys, "root", "sign", tmp_path / "plain.json", third, "--as", "later")
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "recipient"))
    with pytest.raises(UnknownSigner):
        run(verify, signed)
    assert "Keyring     number 2, good until" in run(verify, signed, "--root", root, "--keyring", second)
    with pytest.raises(VerificationError, match="this is an older one"):
        run(verify, signed, "--root", root, "--keyring", first)
    with pytest.raises(VerificationError, match="laptop stolen"):
        run(verify, signed, "--root", root, "--keyring", revoked)
    with pytest.raises(VerificationError, match="this is an older one"):
        run(verify, signed, "--root", root, "--keyring", second)
    assert "Data office" in run(verify, signed, "--root", root, "--keyring", third)
    assert run(keys, "root", "page", root, tmp_path / "verify.html").startswith("Written")


def test_init_without_a_terminal_says_what_to_do(home, monkeypatch):
    monkeypatch.delenv("PRIVSYNTH_PASSPHRASE")
    done = subprocess.run(
        [sys.executable, "-m", "privsynth", "keys", "init"], input="", capture_output=True, text=True, timeout=60,
        start_new_session=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(
        "Error: there is no terminal to ask for the passphrase; set PRIVSYNTH_PASSPHRASE, or l"
    )
    assert not (home / "keys").exists() or not list((home / "keys").iterdir())


def test_verify_after_a_change_and_after_a_revocation(signed):
    (signed / "data.csv").write_bytes(b"")
    with pytest.raises(VerificationError, match=r"changed: data\.csv"):
        run(verify, signed)
    (signed / "data.csv").write_bytes(b"a,b\n1,2\n")
    run(verify, signed)
    run(keys, "revoke", "office", "--reason", "laptop stolen")
    with pytest.raises(VerificationError, match="revoked"):
        run(verify, signed)


@pytest.mark.parametrize("command", [keys, verify, *keys.commands.values()], ids=lambda c: c.name)
def test_each_help_ends_with_an_example(command):
    assert command.help.strip().splitlines()[-1].strip().startswith("Example: privsynth ")
