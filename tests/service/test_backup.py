"""What is copied of a service comes back, and nothing is overwritten on the way."""

from __future__ import annotations

import shutil
import stat
from datetime import UTC, datetime, timedelta

import pytest
from service.people import PASSWORD
from sqlalchemy import text

from privsynth.approvals.revocations import RevocationList, RevokedRelease, save
from privsynth.approvals.revoking import LIST
from privsynth.errors import InputError, OutputError, UnknownSigner
from privsynth.service.context import open_service
from privsynth.service.oversight.acts import check_chain
from privsynth.service.oversight.backup import back_up, bring_back
from privsynth.service.people import add_person
from privsynth.service.roles import Role
from privsynth.service.settings import ServiceSettings
from privsynth.service.sign_in import accept_invitation, caller_of_session, sign_in
from privsynth.signing.store import NewKey, create_key, open_key

SETTINGS = ServiceSettings()
TIME = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)  # keys are made now, or later in a long run


@pytest.fixture
def served(tmp_path):
    """A home with a service that runs, a person, a sealed text and a release."""
    home = tmp_path / "home"
    service = open_service(SETTINGS, home)
    _, link = add_person(service, None, "aud", "Aud", {Role.AUDITOR})
    accept_invitation(service, link, PASSWORD)
    (service.folder / "releases" / "r1").mkdir(parents=True)
    (service.folder / "releases" / "r1" / "a.txt").write_text("x")
    create_key(home, "aud", NewKey("Aud"), passphrase=None, now=service.now())
    yield service
    service.database.close()


def test_a_copy_of_a_running_service_comes_back_elsewhere(served, tmp_path):
    sealed = served.vault.seal("a place", "source s")
    with served.database.writing() as session:
        session.execute(text("UPDATE people SET display = 'not kept'"))
        back_up(SETTINGS, served.home, tmp_path / "copy")  # a transaction is open: what it changed is not in the copy
        session.rollback()
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    (tmp_path / "new").mkdir()
    bring_back(tmp_path / "new", tmp_path / "copy")
    again = open_service(SETTINGS, tmp_path / "new")
    caller = caller_of_session(again, sign_in(again, "aud", PASSWORD, "10.0.0.1"))
    assert caller.display == "Aud"
    assert check_chain(again, caller).damaged is None
    assert again.vault.open(sealed, "source s") == "a place"
    assert (again.folder / "releases" / "r1" / "a.txt").read_text() == "x"
    assert (tmp_path / "new" / "keyring.json").read_bytes() == (served.home / "keyring.json").read_bytes()
    again.database.close()


def test_nothing_is_overwritten(served, tmp_path):
    back_up(SETTINGS, served.home, tmp_path / "copy")
    with pytest.raises(InputError, match="there already"):
        back_up(SETTINGS, served.home, tmp_path / "copy")
    with pytest.raises(InputError, match="there is a service"):
        bring_back(served.home, tmp_path / "copy")
    with pytest.raises(InputError, match="no service"):
        back_up(SETTINGS, tmp_path / "empty", tmp_path / "other")
    with pytest.raises(InputError, match="no backup"):
        bring_back(tmp_path / "empty", tmp_path)


def test_a_copy_that_is_damaged_is_not_taken(served, tmp_path):
    back_up(SETTINGS, served.home, tmp_path / "copy")
    (tmp_path / "copy" / "service.db").write_bytes(b"no database")
    (tmp_path / "new").mkdir()
    with pytest.raises(OutputError, match="cannot be copied"):
        bring_back(tmp_path / "new", tmp_path / "copy")
    assert not (tmp_path / "new" / "service").exists()


def signed_list(home, number, *revoked):
    made = RevocationList(
        number, TIME, TIME + timedelta(days=30), tuple(RevokedRelease(one, "x", TIME) for one in revoked)
    )
    key, entry = open_key(home, "aud", None, now=TIME, roles=("maker",))
    save(home / LIST, made.signed(key, entry.holder))
    return made


def test_the_newest_list_of_revocations_stays(served, tmp_path):
    older = signed_list(served.home, 3)
    back_up(SETTINGS, served.home, tmp_path / "copy")
    bring_back(new(tmp_path / "without"), tmp_path / "copy")
    newer = signed_list(served.home, 4, "a" * 64)
    shutil.copy(served.home / LIST, new(tmp_path / "with") / LIST)
    bring_back(tmp_path / "with", tmp_path / "copy")
    found = [RevocationList.opened((tmp_path / name / LIST).read_bytes())[0] for name in ("without", "with")]
    assert found == [older, newer]
    back_up(SETTINGS, served.home, tmp_path / "later")
    signed_list(new(tmp_path / "behind", served.home), 3)
    bring_back(tmp_path / "behind", tmp_path / "later")
    assert RevocationList.opened((tmp_path / "behind" / LIST).read_bytes())[0] == newer


def test_a_list_of_a_stranger_is_not_taken_for_the_newest(served, tmp_path):
    signed_list(served.home, 3)
    back_up(SETTINGS, served.home, tmp_path / "copy")
    home = new(tmp_path / "other")
    create_key(tmp_path / "strange", "aud", NewKey("Aud"), passphrase=None, now=TIME)
    signed_list(tmp_path / "strange", 9)
    shutil.copy(tmp_path / "strange" / LIST, home / LIST)
    with pytest.raises(UnknownSigner, match="which no keyring has"):
        bring_back(home, tmp_path / "copy")
    assert not (home / "service").exists()


def new(home, keys_of=None):
    home.mkdir()
    if keys_of is not None:
        shutil.copytree(keys_of / "keys", home / "keys")
        shutil.copy(keys_of / "keyring.json", home)
    return home
