"""Roots: numbers never go back, a root is replaced under both signatures, and a key admin only takes away."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from signed import NOW
from signing.making import OFFICE, STRANGER
from signing.root_vectors import ADMIN, LAST, NEXT, PEOPLE, ROOT, joined, keyring

from privsynth.errors import KeyFileError, PrivsynthWarning, VerificationError
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import SigningKey
from privsynth.signing.roots.joined import joined as as_one
from privsynth.signing.roots.memory import memory_path, remember
from privsynth.signing.roots.signed_keyring import opened, revocation, rotation, signed
from privsynth.signing.roots.store import (
    create_root,
    load_root,
    revoke_in,
    root_path,
    rotate_root,
    sign_keyring,
)


def found(*envelopes, root=ROOT):
    return opened(joined(*envelopes), root.public, NOW)


def test_an_older_keyring_is_noticed(tmp_path):
    remember(tmp_path, found(keyring(4)))
    remember(tmp_path, found(keyring(4)))
    remember(tmp_path, found(keyring(7)))
    with pytest.raises(VerificationError, match=r"number 6.*number 7.*this is an older one"):
        remember(tmp_path, found(keyring(6)))
    remember(tmp_path, found(keyring(7)))
    other = keyring(7, ring=Keyring(keys=PEOPLE.keys[:1]))
    with pytest.raises(VerificationError, match="the root signed two"):
        remember(tmp_path, found(other))


def test_a_revocation_that_is_kept_back_is_noticed(tmp_path):
    data = joined(keyring(3))
    newer = revoke_in(data, ROOT.public, OFFICE.public.keyid, ADMIN, now=NOW, reason="laptop stolen")
    remember(tmp_path, opened(newer, ROOT.public, NOW))
    with pytest.raises(VerificationError, match="revision 1"):
        remember(tmp_path, opened(data, ROOT.public, NOW))
    remember(tmp_path, found(keyring(4)))


@pytest.mark.parametrize("revision", [1, 2, 9])
def test_a_key_admin_who_was_revoked_takes_that_back_for_nobody_who_has_seen_it(tmp_path, revision):
    """The keyring of the root still says that the thief's key is an admin's: only the revocation says otherwise."""
    thief = SigningKey.generate()
    entry = KeyEntry.for_key(thief.public, holder="Once an admin", not_before=NOW, roles=["key-admin"])
    data = joined(keyring(3, ring=Keyring(keys=(*PEOPLE.keys, entry))))
    revoked = revoke_in(data, ROOT.public, thief.public.keyid, ADMIN, now=NOW, reason="laptop stolen")
    remember(tmp_path, opened(revoked, ROOT.public, NOW))
    base = opened(data, ROOT.public, NOW)
    victim = base.keyring.revoke(OFFICE.public.keyid, at=NOW, reason="pretext").get(OFFICE.public.keyid)
    forged = revocation(replace(base, revision=revision - 1), [victim], thief, issued_at=NOW)
    told = opened(data + forged.to_json(), ROOT.public, NOW)
    assert told.keyring.get(thief.public.keyid).status == "active"
    with pytest.raises(VerificationError, match="takes back a revocation of keyring 3"):
        remember(tmp_path, told)
    both = revoke_in(revoked, ROOT.public, OFFICE.public.keyid, ADMIN, now=NOW, reason="lost")
    remember(tmp_path, opened(both, ROOT.public, NOW))
    remember(tmp_path, found(keyring(4)))


def test_a_root_that_was_replaced_signs_nothing_more_for_who_knows(tmp_path):
    """Whoever stole the old root signs with it, and even names a root of their own as its successor."""
    remember(tmp_path, found(rotation(ROOT, NEXT), keyring(2, NEXT)))
    for forged in ([keyring(9)], [rotation(ROOT, LAST), keyring(9, LAST)]):
        with pytest.raises(VerificationError, match="a root that has been replaced"):
            remember(tmp_path, found(*forged))
    remember(tmp_path, found(keyring(3, NEXT), root=NEXT))
    remember(tmp_path, found(rotation(ROOT, NEXT), rotation(NEXT, LAST), keyring(4, LAST)))
    with pytest.raises(VerificationError, match="replaced"):
        remember(tmp_path, found(keyring(5, NEXT), root=NEXT))


def test_roots_that_have_nothing_to_do_with_each_other_are_kept_apart(tmp_path):
    remember(tmp_path, found(keyring(9)))
    remember(tmp_path, found(keyring(1, LAST), root=LAST))
    assert len(json.loads(memory_path(tmp_path).read_bytes())["seen"]) == 2


def test_memory_that_is_damaged_stops_and_that_cannot_be_written_warns(tmp_path, monkeypatch):
    memory_path(tmp_path).write_bytes(b'{"seen": [{"roots": []}]}')
    with pytest.raises(KeyFileError, match="is damaged"):
        remember(tmp_path, found(keyring(1)))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.warns(PrivsynthWarning, match="would not be noticed"):
        remember(tmp_path / "other", found(keyring(1)))


def test_keyrings_of_a_root_on_disk_are_numbered_and_the_root_is_replaced(tmp_path):
    first = create_root(tmp_path, "root", passphrase=None, algorithm="ed25519")
    assert load_root(root_path(tmp_path, "root").with_suffix(".pub")) == first

    def next_one(name):
        return opened(sign_keyring(tmp_path, name, None, PEOPLE, now=NOW, days=30), first, NOW)

    assert [next_one("root").number for _ in range(3)] == [1, 2, 3]
    second = rotate_root(tmp_path, "root", "later", passphrase=None, new=None, algorithm="ecdsa-p256")
    with pytest.raises(KeyFileError, match="replaced by later"):
        next_one("root")
    with pytest.raises(KeyFileError, match="replaced by later"):
        rotate_root(tmp_path, "root", "again", passphrase=None, new=None, algorithm="ed25519")
    told = next_one("later")
    assert (told.number, told.roots) == (4, (first.keyid, second.keyid))
    third = rotate_root(tmp_path, "later", "last", passphrase=None, new=None, algorithm="ed25519")
    assert next_one("last").roots == (first.keyid, second.keyid, third.keyid)
    root_path(tmp_path, "last").with_suffix(".json").unlink()
    with pytest.raises(KeyFileError, match="so that numbers never go back"):
        next_one("last")
    with pytest.raises(KeyFileError, match="never overwritten"):
        create_root(tmp_path, "later", passphrase=None, algorithm="ed25519")


def test_a_key_admin_takes_away_and_the_next_revocation_holds_the_earlier_ones():
    other = KeyEntry.for_key(STRANGER.public, holder="Other", not_before=NOW)
    data = joined(keyring(ring=Keyring(keys=(*PEOPLE.keys, other))))
    for keyid in (OFFICE.public.keyid, STRANGER.public.keyid):
        data = revoke_in(data, ROOT.public, keyid, ADMIN, now=NOW, reason="lost")
    told = opened(data, ROOT.public, NOW)
    assert told.revision == 2
    assert [entry.status for entry in told.keyring.keys] == ["revoked", "active", "revoked"]
    with pytest.raises(KeyFileError, match="already"):
        revoke_in(data, ROOT.public, OFFICE.public.keyid, ADMIN, now=NOW, reason="lost")
    with pytest.raises(KeyFileError, match="was revoked"):
        revoke_in(data, ROOT.public, ADMIN.public.keyid, OFFICE, now=NOW, reason="lost")
    plain = joined(keyring())
    with pytest.raises(KeyFileError, match="may make releases, and not revoke keys"):
        revoke_in(plain, ROOT.public, ADMIN.public.keyid, OFFICE, now=NOW, reason="lost")


def test_a_root_signs_no_keyring_that_it_is_in_and_none_that_never_begins():
    entry = KeyEntry.for_key(ROOT.public, holder="Root", not_before=NOW)
    with pytest.raises(KeyFileError, match="the root is in the keyring itself"):
        signed(Keyring(keys=(entry,)), 1, ROOT, issued_at=NOW, expires=NOW + timedelta(1))
    with pytest.raises(KeyFileError, match="end before it begins"):
        signed(PEOPLE, 1, ROOT, issued_at=NOW, expires=NOW)


def test_the_same_key_signs_a_keyring_and_never_passes_for_who_signs_a_release():
    """The types of what is signed are part of what is signed."""
    envelope = keyring()
    with pytest.raises(VerificationError, match="does not hold one keyring"):
        found(replace(envelope, payload_type="application/vnd.in-toto+json"))


def test_no_more_changes_of_root_are_read_than_there_can_be():
    keys = [SigningKey.generate() for _ in range(66)]
    chain = [rotation(one, after) for one, after in pairwise(keys)]
    assert found(*chain[:64], keyring(1, keys[64]), root=keys[0]).number == 1
    with pytest.raises(VerificationError, match="does not hold one keyring"):
        found(*chain, keyring(1, keys[65]), root=keys[0])


def entry_of(holder, key=None, *, roles=("approver",), days=730):
    return KeyEntry.for_key(
        (key or SigningKey.generate()).public, holder=holder, not_before=NOW, roles=roles, days=days
    )


def test_keyrings_of_several_people_become_one():
    office, anna, bert = entry_of("Office", roles=["maker"]), entry_of("Anna"), entry_of("Bert")
    rings = [Keyring(keys=keys) for keys in ((office,), (anna, office), (bert,))]
    found = as_one(zip(("office.json", "anna.json", "bert.json"), rings, strict=True))
    assert found.keys == (office, anna, bert)
    with pytest.raises(KeyFileError, match="no key in what you gave"):
        as_one([("empty.json", Keyring())])


def test_a_revocation_in_any_of_several_keyrings_holds_and_the_earliest_does():
    anna = entry_of("Anna")
    plain = Keyring(keys=(anna,))
    early, late = (plain.revoke(anna.keyid, at=NOW + timedelta(days=d), reason=f"day {d}") for d in (1, 2))
    for order in ((plain, late, early), (early, plain, late), (late, early, plain)):
        assert as_one((str(n), ring) for n, ring in enumerate(order)) == early


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        ({"holder": "Bert"}, "it is of Anna or Bert"),
        ({"holder": "Anna", "roles": ["maker", "approver"]}, "it may approve or make releases and approve"),
        ({"holder": "Anna", "days": 1}, "it is valid until 2028-.* or 2026-.*"),
    ],
)
def test_keyrings_that_contradict_each_other_are_not_joined(other, differs):
    key = SigningKey.generate()
    one, two = Keyring(keys=(entry_of("Anna", key),)), Keyring(keys=(entry_of(other.pop("holder"), key, **other),))
    with pytest.raises(KeyFileError, match=f"anna.json and bert.json contradict each other on key .*: {differs}. Ask"):
        as_one([("anna.json", one), ("empty.json", Keyring()), ("bert.json", two)])


def test_a_keyring_that_no_root_signed_is_called_that():
    with pytest.raises(
        VerificationError, match=r"no keyring to rely on: no root signed it\. Ask those who hold the root"
    ):
        opened(PEOPLE.to_json(), ROOT.public, NOW)
