"""A reader remembers lists of revocations: an older one, or one that lacks a revocation, is noticed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from signed import NOW

from privsynth.approvals.revocations import RevocationList, RevokedRelease
from privsynth.approvals.seen_lists import FILE, remember
from privsynth.errors import KeyFileError, VerificationError


def revoked(digit, reason="wrong table"):
    return RevokedRelease(digit * 64, reason, NOW)


def listed(number, *entries):
    return RevocationList(number, NOW, NOW + timedelta(days=30), entries)


def test_a_list_that_adds_to_the_last_one_is_taken_and_so_is_the_same_again(tmp_path):
    for found in (listed(1, revoked("a")), listed(1, revoked("a")), listed(3, revoked("a"), revoked("b"))):
        remember(tmp_path, found, "St. Mary")


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (listed(1, revoked("a")), "this is an older one"),
        (listed(2, revoked("a"), revoked("c")), "another list of number 2"),
        (listed(3, revoked("a")), "lacks revocations"),
        (listed(3, revoked("a"), revoked("b", "another reason")), "lacks revocations"),
    ],
)
def test_any_other_is_refused_and_what_was_seen_stays(tmp_path, later, words):
    seen = listed(2, revoked("a"), revoked("b"))
    remember(tmp_path, seen, "St. Mary")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(VerificationError, match=words):
        remember(tmp_path, later, "St. Mary")
    assert (tmp_path / FILE).read_bytes() == before
    remember(tmp_path, seen, "St. Mary")


def test_each_holder_has_lists_of_their_own(tmp_path):
    remember(tmp_path, listed(5, revoked("a")), "St. Mary")
    remember(tmp_path, listed(1), "County hospital")


@pytest.mark.parametrize("data", [b"{}", b'{"seen": []}', b'{"seen": {"a": {"number": "1", "entries": []}}}', b"junk"])
def test_a_damaged_memory_is_named(tmp_path, data):
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(KeyFileError, match=FILE):
        remember(tmp_path, listed(1), "St. Mary")


def test_a_memory_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "home" / FILE).mkdir(parents=True)
    with pytest.raises(KeyFileError, match="cannot be read"):
        remember(tmp_path / "home", listed(1), "St. Mary")
