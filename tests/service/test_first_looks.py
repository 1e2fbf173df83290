"""What pages say to somebody who sees them for the first time."""

from __future__ import annotations

import pytest
from service.people import form_token

from privsynth.service.people import add_person
from privsynth.service.roles import Role
from privsynth.service.sign_in import accept_invitation
from privsynth.service.web.pages import _sentence


def test_a_link_tells_the_name_to_sign_in_with_and_a_used_one_asks_for_nothing(institution):
    boss = institution.person("boss", Role.ADMINISTRATOR)
    _, secret = add_person(institution.service, boss, "ben", "Ben", {Role.REVIEWER})
    nobody = institution.browser()
    assert "<strong>ben</strong>" in nobody.get(f"/welcome/{secret}").text
    accept_invitation(institution.service, secret, "a few words of mine")
    used = nobody.get(f"/welcome/{secret}")
    assert (used.status_code, "was used or has ended" in used.text, "<form" in used.text) == (403, True, False)


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.KEY_ADMIN, Role.SUBMITTER, Role.AUDITOR])
def test_the_first_page_says_that_nothing_waits(institution, role):
    institution.person("ada", role)
    assert "Nothing waits for you." in institution.browser("ada").get("/").text


def test_a_key_admin_is_told_of_keys_to_enter(institution):
    institution.person("kim", Role.KEY_ADMIN)
    institution.person("rae", Role.REVIEWER)
    at = institution.browser("rae")
    typed = "a long passphrase of rae"
    at.post("/my-key", data={"form_token": form_token(at.get("/my-key").text), "passphrase": typed, "again": typed})
    page = institution.browser("kim").get("/").text
    assert "Keys that wait to be entered" in page
    assert "Nothing waits" not in page


def test_releases_are_all_shown_until_a_state_is_chosen(institution):
    institution.person("sub", Role.SUBMITTER)
    at = institution.browser("sub")
    assert '<option value="">all</option>' in at.get("/runs").text
    assert at.get("/runs?state=").status_code == 200  # what the form sends for "all"
    assert at.get("/runs?state=nonsense").status_code == 422


@pytest.mark.parametrize("path", ["/verify.html", "/keyring.json"])
def test_public_files_have_a_head(institution, path):
    at = institution.browser()
    assert at.head(path).status_code == at.get(path).status_code == 200


@pytest.mark.parametrize(
    ("text", "told"),
    [("say it", "Say it."), ("did you mean 'x'?", "Did you mean 'x'?"), ("ε 3 is left", "ε 3 is left.")],
)
def test_a_sentence_has_one_mark_and_greek_stays_small(text, told):
    assert _sentence(text) == told
