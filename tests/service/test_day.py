"""A whole day of an institution in a real browser, without script: from invitations to a release that verifies."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import pytest
import yaml
from chromium import browser, needs_chromium  # noqa: F401
from pipeline.admissions import admissions, schema
from pipeline.admissions import run as command
from service.deciders import PASSPHRASE
from service.people import PASSWORD
from service.releases import worker_of
from service.walk import Walk, code_of, pages_of, saved, served, tab_to

from privsynth.service.context import now_utc
from privsynth.service.maker_key import ensure_maker_key
from privsynth.service.web.app import create_app
from privsynth.service.web.server import first_secret
from privsynth.transparency.log import TransparencyLog
from privsynth.transparency.seen import SeenLogs

STAFF = {"sam": "submitter", "rita": "reviewer", "ann": "approver", "bob": "approver", "kim": "key admin",
         "aud": "auditor"}  # fmt: skip


class Day(Walk):
    """What people do on a day, one after the other."""

    def invite_everybody(self, secret: str) -> None:
        self.admin = self.person()
        self.go(self.admin, f"/welcome/{secret}")
        self.admin.get_by_label("Password").fill(PASSWORD)
        self.press(self.admin, "Save and sign in")
        self.go(self.admin, "/people")
        for name, role in STAFF.items():
            self.admin.get_by_label("Full name").fill(name.title())
            self.admin.get_by_label("Signs in as").fill(name)
            self.admin.locator("form.narrow").get_by_label(role, exact=True).check()
            with self.admin.expect_navigation():
                self.admin.get_by_role("button", name="Add, and make a link").click()
            guest = self.person()
            guest.goto(code_of(self.admin))
            guest.get_by_label("Password").fill(PASSWORD)
            with guest.expect_navigation():
                guest.get_by_role("button", name="Save and sign in").click()
        self.look(self.admin)

    def register_source(self, table) -> None:
        page = self.admin
        self.go(page, "/sources")
        page.locator("#upload-name").fill("Admissions 2024")
        page.locator("#upload-dataset").fill("admissions")
        page.locator("#upload-file").set_input_files(table)
        self.press(page, "Send and register")
        page.locator("summary").click()
        page.get_by_label("Schema (YAML)").fill(yaml.safe_dump(schema(), sort_keys=False))
        self.press(page, "Save")
        self.declare_by_keyboard(page)
        self.go(page, "/sources")

    def declare_by_keyboard(self, page) -> None:
        """Correct a column with the keyboard alone: first wrongly, and then where the sentence leads."""
        tab_to(page, "a[href$='/columns']")
        page.keyboard.press("Enter")
        page.wait_for_url("**/columns")
        self.look(page)
        tab_to(page, "#c3-minimum")
        self.type_and_send(page, "200")
        assert "Minimum is above maximum." in page.locator("#c3-minimum-why").inner_text()
        tab_to(page, "a[href='#c3-minimum']")
        page.keyboard.press("Enter")
        assert page.locator("#c3-minimum:focus").count()
        self.type_and_send(page, "16")
        assert "Saved." in page.content()

    def type_and_send(self, page, text: str) -> None:
        page.keyboard.press("Control+A")
        page.keyboard.type(text)
        with page.expect_navigation():
            page.keyboard.press("Enter")
        self.look(page)

    def submit(self) -> str:
        """Plan with the mouse, submit by the keyboard; return the path of the run."""
        page = self.sam = self.signed_in("sam")
        self.look(page)
        tab_to(page, "a[href='/runs/new']")
        page.keyboard.press("Enter")
        page.wait_for_url("/runs/new")
        self.look(page)
        tab_to(page, "#purpose")
        page.keyboard.type("a course")
        tab_to(page, "details summary")
        page.keyboard.press("Enter")
        tab_to(page, "#generator")
        page.keyboard.type("marginal")
        tab_to(page, "#audit")
        page.keyboard.type("none")
        tab_to(page, "[name=anyway]")
        page.keyboard.press("Space")
        tab_to(page, "button[formaction]")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        self.look(page)
        tab_to(page, "button:not([formaction]):not(.plain)")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        self.look(page)
        assert "Waits for a worker." in page.content()
        return page.url.removeprefix(self.address)

    def make_keys(self) -> None:
        kim = self.signed_in("kim")
        self.deciders = {}
        for name in ("rita", "ann", "bob"):
            page = self.deciders[name] = self.signed_in(name)
            self.go(page, "/my-key")
            page.get_by_label("Passphrase").fill(PASSPHRASE)
            page.get_by_label("The same again").fill(PASSPHRASE)
            self.press(page, "Make the key")
            digits = page.locator("dd code").first.inner_text()[:8]
            self.go(kim, "/keys")
            kim.get_by_label(f"First eight digits, as {name.title()} reads them out").fill(digits)
            with kim.expect_navigation():
                kim.get_by_role("button", name="Enter in the keyring").click()
        self.look(kim)

    def decide(self, run: str) -> None:
        for name, words in (("rita", "I reviewed it"), ("ann", "I approve it"), ("bob", "I approve it")):
            page = self.deciders[name]
            self.go(page, "/")
            self.go(page, f"{run}/decide")
            page.get_by_label(words).first.check()
            page.get_by_label("Passphrase of your signing key").fill(PASSPHRASE)
            self.press(page, "Sign and decide")
        self.go(page, f"{run}/officer/report.html")
        self.go(page, f"{run}/public/report.html")
        self.go(page, f"{run}/hand-out")

    def hand_out(self, run: str) -> str:
        page = self.deciders["ann"]
        self.go(page, f"{run}/hand-out")
        self.press(page, "Publish the edition")
        page.get_by_label("Recipient", exact=True).fill("Prof. Koch")
        page.get_by_label("Terms that the recipient accepts").fill("No linking.")
        self.press(page, "Make a link")
        return code_of(page)

    def schedule(self) -> None:
        page = self.deciders["ann"]
        self.go(page, "/schedules")
        page.get_by_label("Epsilon in any twelve months").fill("5")
        self.press(page, "Set it")
        page = self.sam
        self.go(page, "/schedules/new")
        page.get_by_label("Every").select_option("year")
        page.get_by_label("First on").fill("2026-01-31")
        page.get_by_label("At", exact=True).fill("06:00")
        page.get_by_label("What is it for?").fill("a course, each year")
        page.get_by_label("Epsilon", exact=True).fill("1")
        self.press(page, "Show dates and yearly cost (spends nothing)")
        self.press(page, "Make the schedule")

    def receive(self, link: str, folder) -> None:
        page = self.person()
        self.go(page, link.removeprefix(self.address))
        page.get_by_role("checkbox").check()
        self.press(page, "Accept")
        with page.expect_download() as sent:
            page.get_by_role("link", name="Download the release (ZIP)").click()
        with zipfile.ZipFile(saved(sent.value, folder / "release.zip")) as archive:
            archive.extractall(folder / "got")
        with page.expect_download() as sent:
            page.get_by_role("link", name="the keyring").click()
        saved(sent.value, folder / "keyring.json")
        self.go(page, "/verify.html")
        self.go(page, "/download/guessed", status=403)

    def look_back(self, run: str) -> None:
        page = self.signed_in("aud")
        for path in ("/", "/acts", "/acts/check", "/runs", "/tokens"):
            self.go(page, path)
        self.go(self.admin, "/retention")
        self.go(self.admin, "/webhooks")
        self.admin.get_by_label("Label").fill("The registry")
        self.admin.get_by_label("Address").fill("https://8.8.8.8/hook")  # nothing is sent there: nobody runs errands
        self.admin.get_by_label("run.published").check()
        self.press(self.admin, "Register")
        self.go(self.admin, "/webhooks/1")
        self.go(self.admin, "/erasure")
        self.go(self.sam, run)
        self.press(page, "Sign out")


@pytest.mark.slow
@needs_chromium
def test_a_day_in_a_browser(service, browser, tmp_path):  # noqa: F811
    made = []

    def make_app(address):
        settings = service.settings.model_copy(update={"public_url": address})
        made.append(replace(service, settings=settings, now=now_utc))
        return create_app(made[0])

    TransparencyLog.create(service.home / "log", SeenLogs(service.home), "st-mary.example/log")
    (tmp_path / "admissions.csv").write_text(admissions())
    with served(make_app) as address:
        ensure_maker_key(made[0])
        day = Day(browser, address)
        day.invite_everybody(first_secret(made[0]))
        day.register_source(tmp_path / "admissions.csv")
        run = day.submit()
        assert worker_of(made[0]).once()
        day.go(day.sam, run)
        assert "to decide" in day.sam.content()
        day.make_keys()
        day.decide(run)
        day.schedule()
        day.receive(day.hand_out(run), tmp_path)
        day.look_back(run)
    done = command("verify", tmp_path / "got", "--keyring", tmp_path / "keyring.json")
    assert done.exit_code == 0, done.output
    assert "approved edition" in done.output
    assert day.wrong == []
    assert day.unseen(pages_of(create_app(made[0]))) == set()
