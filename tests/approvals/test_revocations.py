"""The list of revoked releases: who may sign it, for how long it is believed, and what verifying says of it."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from signed import NOW

from privsynth.approvals.revocations import RevocationList, RevokedRelease, own_list, trusted_list
from privsynth.approvals.revoking import LIST, Office, keep, revoke
from privsynth.cli import main
from privsynth.errors import ConfigError, UnknownSigner, VerificationError
from privsynth.signing.keyring import KeyEntry
from privsynth.signing.keys import SigningKey
from privsynth.signing.store import load_keyring
from privsynth.strict.json import dumps
from privsynth.transparency import tiles

ONE = RevokedRelease("a" * 64, "ward 7 was coded wrongly", NOW)
TWO = RevokedRelease("b" * 64, "made again with more rows", NOW, "c" * 64)
SOME = RevocationList(3, NOW, NOW + timedelta(days=30), (ONE, TWO))


def written(tmp_path, key, what=SOME):
    path = tmp_path / "revocations.json"
    path.write_bytes(what.signed(key, "Data office").to_json())
    return path


def test_a_list_is_read_back(people, tmp_path, key):
    found, holder = trusted_list(written(tmp_path, key), [people.ring()], NOW)
    assert (found, holder) == (SOME, "Data office")
    assert (found.about("a" * 64), found.about("d" * 64)) == (ONE, None)


def test_a_list_that_is_too_old_or_dated_ahead_is_not_believed(people, tmp_path, key):
    path = written(tmp_path, key)
    trusted_list(path, [people.ring()], NOW + timedelta(days=30))
    with pytest.raises(VerificationError, match=r"good until 2026-12-22.*Data office"):
        trusted_list(path, [people.ring()], NOW + timedelta(days=31))
    with pytest.raises(VerificationError, match="does not count"):
        trusted_list(path, [people.ring()], NOW - timedelta(hours=1))


@pytest.mark.parametrize(("data", "says"), [(b"junk\n", "not valid JSON"), (b"", "is empty"), (b"{}", "fields")])
def test_a_file_that_is_no_list_is_named_with_what_to_do(tmp_path, data, says):
    path = tmp_path / "junk.json"
    path.write_bytes(data)
    told = rf"junk\.json is no list of revocations to rely on: .*{says}.*\. Fetch it again from where its signer"
    for read in (lambda: trusted_list(path, [], NOW), lambda: own_list(path, [])):
        with pytest.raises(VerificationError, match=told) as error:
            read()
        assert "char 0" not in str(error.value)


def test_a_list_of_a_stranger_is_never_added_to(people, tmp_path, key):
    """Whoever can write where the list is published would have the office sign a list without some revocations."""
    assert own_list(tmp_path / "none", []) is None
    planted = written(tmp_path, SigningKey.generate(), replace(SOME, number=1, revoked=(ONE,)))
    with pytest.raises(UnknownSigner, match="which no keyring has; nothing is added"):
        own_list(planted, [people.ring()])
    path = written(tmp_path, key)
    with pytest.raises(VerificationError, match="may not revoke"):
        own_list(path, [people.ring(roles=("reviewer",))])
    lost = people.ring().revoke(key.public.keyid, at=NOW, reason="lost")
    assert own_list(path, [people.ring()]) == own_list(path, [lost]) == SOME


def test_a_list_needs_a_key_that_may_revoke(people, tmp_path, key):
    path = written(tmp_path, key)
    with pytest.raises(UnknownSigner):
        trusted_list(path, [], NOW)
    with pytest.raises(VerificationError, match="does not count"):
        trusted_list(path, [people.ring(roles=("reviewer",))], NOW)
    with pytest.raises(VerificationError, match="revoked"):
        trusted_list(path, [people.ring().revoke(key.public.keyid, at=NOW, reason="lost")], NOW)
    with pytest.raises(ConfigError, match="cannot be read"):
        trusted_list(tmp_path / "none", [people.ring()], NOW)


@given(st.data())
def test_no_byte_of_a_list_can_be_changed(data):
    key = SigningKey.generate()
    whole = SOME.signed(key, "Data office").to_json()
    place, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    changed = whole[:place] + bytes([byte]) + whole[place + 1 :]
    if changed != whole:
        with pytest.raises(VerificationError):
            RevocationList.opened(changed)


def resigned(key, **changes):
    """Return a list that its own signer made wrongly."""
    from privsynth.signing.envelope import sign
    from privsynth.signing.statement import PAYLOAD_TYPE

    document = json.loads(SOME.signed(key, "Data office").payload)
    document["predicate"].update(changes)
    document.update({name: value for name, value in changes.items() if name in document})
    return sign(dumps(document), PAYLOAD_TYPE, key).to_json()


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 0},
        {"number": "3"},
        {"expires_at": "2026-11-22T09:30:00Z"},
        {"issued_at": "yesterday"},
        {"revoked": []},
        {"revoked": 3},
        {"subject": []},
        {"predicateType": "https://privsynth.org/attestation/approval/v1"},
        {"extra": 1},
    ],
)
def test_a_list_that_contradicts_itself_is_none(key, changes):
    with pytest.raises(VerificationError, match="no list of revocations"):
        RevocationList.opened(resigned(key, **changes))


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "x" * 501])
def test_a_reason_is_one_line(reason):
    with pytest.raises(ConfigError):
        replace(ONE, reason=reason)


def test_a_release_is_no_list(run):
    with pytest.raises(VerificationError):
        RevocationList.opened((run / "public" / "attestation.dsse.json").read_bytes())


@pytest.fixture
def office(run, key, tmp_path, monkeypatch):
    """Run commands of an office that trusts who made the run."""
    home = tmp_path / "home"
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))

    def ran(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    assert ran("keys", "init", "--name", "office", "--no-passphrase").exit_code == 0
    made_by = KeyEntry.for_key(key.public, holder="Data office", not_before=NOW)
    load_keyring(home).add(made_by).save(home / "keyring.json")
    return ran


def test_the_commands_revoke_and_verify_tells(run, office, tmp_path, make_release, key):
    listed = tmp_path / "home" / "revocations.json"
    digest = hashlib.sha256((run / "public" / "manifest.json").read_bytes()).hexdigest()
    other = make_release(tmp_path / "other", key, extra={"more.csv": b"a\n"})
    assert office("revoke", run).exit_code == 2  # no reason
    assert office("log", "init").exit_code == 0
    done = office("revoke", run, "--reason", "ward 7 was coded wrongly", "--as", "office")
    assert (done.exit_code, digest in done.output, ": 1 in it" in done.output) == (0, True, True)
    assert "already" in office("revoke", run, "--reason", "again", "--as", "office").output
    for path in (run / "public", run):
        said = office("verify", path, "--revocations", listed)
        assert (said.exit_code, "office revoked this release" in said.output, "ward 7" in said.output) == (
            9,
            True,
            True,
        )
    fine = office("verify", other, "--revocations", listed)
    assert (fine.exit_code, "Revoked     no: not in the list of office" in fine.output) == (0, True)
    status = office("status", run)
    assert (status.exit_code, "Revoked     it must not be used any more." in status.output) == (3, True)
    assert json.loads(office("status", run, "--json").stdout)["state"] == "revoked"
    assert "revoked" in office("log", "show", run).output


def test_a_release_that_another_takes_the_place_of_still_verifies(run, office, tmp_path, make_release, key):
    listed = tmp_path / "list.json"
    new = make_release(tmp_path / "new", key, extra={"more.csv": b"a\n"})
    digest = hashlib.sha256((new / "manifest.json").read_bytes()).hexdigest()
    words = ("revoke", run, "--reason", "one more year", "--superseded-by", new, "--as", "office", "--list", listed)
    assert office(*words).exit_code == 0
    said = office("verify", run / "public", "--revocations", listed, "--json")
    assert (said.exit_code, json.loads(said.stdout)["revocations"]["superseded_by"]) == (0, digest)
    assert "one more year" in office("verify", run / "public", "--revocations", listed).output


def test_a_list_is_signed_anew_and_loses_nothing(run, office, tmp_path):
    listed = tmp_path / "home" / "revocations.json"
    assert office("revoke", run, "--reason", "wrong", "--as", "office", "--days", "1").exit_code == 0
    before, _ = RevocationList.opened(listed.read_bytes())
    assert ": 1 in it" in office("revoke", "--as", "office", "--days", "60").output
    found, _ = RevocationList.opened(listed.read_bytes())
    assert found.number > before.number
    assert found.expires_at > datetime.now(UTC) + timedelta(days=59)


def test_a_list_is_there_before_anything_is_revoked(run, office, tmp_path):
    listed = tmp_path / "home" / "revocations.json"
    assert ": 0 in it" in office("revoke", "--as", "office").output
    said = office("verify", run / "public", "--revocations", listed)
    assert (said.exit_code, "Revoked     no: not in the list of office" in said.output) == (0, True)


def test_no_number_comes_twice_after_an_older_list_came_back(people, tmp_path, key):
    """Recipients who saw the later list refuse another one of its number, and each one of a lower number."""
    office = Office(tmp_path, tmp_path / LIST, [people.ring()], None)
    opened, day = (key, people.ring().keys[0]), timedelta(days=1)
    first = revoke(office, (), opened, days=30, now=NOW)
    older = office.path.read_bytes()
    again = revoke(office, (ONE,), opened, days=30, now=NOW)  # within the same second
    seen = revoke(office, (TWO,), opened, days=30, now=NOW + day)
    office.path.write_bytes(older)
    late = revoke(office, (ONE, TWO), opened, days=30, now=NOW + 2 * day)
    assert first.number < again.number < seen.number < late.number
    assert late.revoked == seen.revoked
    office.path.unlink()
    assert revoke(office, (), opened, days=30, now=NOW + 3 * day).number > late.number


def test_a_list_is_kept_whole_and_current(people, tmp_path, key):
    office, days = Office(tmp_path, tmp_path / LIST, [people.ring()], None), timedelta(days=1)
    asked = []

    def opens(*, roles):
        asked.append(roles)
        return key, people.ring().keys[0]

    first = keep(office, [], opens, now=NOW)
    assert first is not None
    assert first.revoked == ()
    assert keep(office, [], opens, now=NOW + 19 * days) is None  # without opening the key
    assert keep(office, [ONE], opens, now=NOW + 19 * days).revoked == (ONE,)
    assert keep(office, [ONE], opens, now=NOW + 20 * days) is None
    assert keep(office, [], opens, now=NOW + 40 * days).revoked == (ONE,)
    assert asked == [("maker", "approver")] * 3


def test_a_log_that_cannot_be_written_revokes_nothing(run, office, tmp_path, monkeypatch):
    assert office("log", "init").exit_code == 0

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiles, "atomic_write", full)
    assert office("revoke", run, "--reason", "wrong", "--as", "office").exit_code == 7
    assert not (tmp_path / "home" / "revocations.json").exists()
