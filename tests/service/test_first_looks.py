"""What pages say to somebody who sees them for the first time."""

from __future__ import annotations

import pytest
from service.people import form_token

from privsynth.errors import ConfigError, InputError, Option
from privsynth.ledger.account import over_cap_text
from privsynth.ledger.events import cap_units
from privsynth.service.people import add_person
from privsynth.service.roles import Role
from privsynth.service.runs.request import in_browser, request_of
from privsynth.service.schedules.yearly import DatasetYear, too_much, year_of
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


def test_a_field_that_is_no_number_is_told_by_its_label():
    for told, said in (
        ({"epsilon": "much"}, "'Epsilon' has to be a number"), ({"epsilon": "0"}, "'Epsilon' has to be more than 0"),
        ({}, "'Epsilon' is missing"), ({"epsilon": "1", "rows": "1.5"}, "'Synthetic rows' has to be a whole number"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            request_of(told)


def test_who_sees_pages_reads_labels_and_no_command():
    problem = ConfigError("give ", Option("epsilon", "2"), " or ", Option("anyway", python="anyway=True"))
    assert in_browser(problem) == "give 'Epsilon' 2 or 'Make it even if little can be learned'"
    over = over_cap_text("wards", cost=(1, 1), spent=(0, 0), cap=(0, 0))
    assert "budget set" in over
    assert "`" not in in_browser(over)


def test_an_upload_that_is_no_table_is_told_what_can_be_sent_and_keeps_what_was_typed(institution):
    institution.person("ada", Role.ADMINISTRATOR)
    at = institution.browser("ada")
    form = {"form_token": form_token(at.get("/sources").text), "name": "Wards of 2026", "dataset": "wards"}
    page = at.post("/sources/upload", data=form, files={"file": ("t.pdf", b"%PDF")}).text
    assert "is no table that can be sent" in page
    assert "kafka" not in page
    assert 'value="Wards of 2026"' in page
    latin = "bed;ort\n1;Zürich\n".encode("cp1252")
    read = {"encoding": "cp1252", "delimiter": ";"}
    assert at.post("/sources/upload", data=form | read, files={"file": ("t.csv", latin)}).status_code == 303


def test_a_saved_schema_is_said_to_be_saved(institution):
    institution.person("ada", Role.ADMINISTRATOR)
    at = institution.browser("ada")
    form = {"form_token": form_token(at.get("/sources").text), "name": "Sent", "dataset": "sent"}
    place = at.post("/sources/upload", data=form, files={"file": ("t.csv", b"a,b\n1,2\n")}).headers["location"]
    told = {"form_token": form["form_token"], "declared": "columns: {}\n"}
    after = at.post(f"{place}/schema", data=told).headers["location"]
    assert "Saved." in at.get(after).text
    assert "Saved." not in at.get(place).text


def test_a_schedule_of_the_forms_own_values_fits_the_yearly_budget_that_the_form_suggests():
    of_form = {"epsilon": 0.2, "delta": 4e-7}
    budget, cap = cap_units(epsilon=3, delta=5e-6), cap_units(epsilon=10, delta=1e-5)
    year = DatasetYear(dataset="wards", budget=budget, planned=(0, 0), left=cap)
    assert too_much(year, year_of(of_form, "month"), 12) == ""
    refused = too_much(year, year_of(of_form | {"delta": 1e-6}, "month"), 12)
    assert "What fits for each of 12 releases is at most epsilon 0.25, delta 4.1" in refused
