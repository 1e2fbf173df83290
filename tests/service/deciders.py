"""A release that the pipeline made once, put into a service as its worker would, and people who decide on it."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.admissions import FAST, RELEASED, admissions, run, schema, write

from privsynth.approvals.decisions import FOLDER
from privsynth.service.keys.people import enter_key, make_own_key
from privsynth.service.roles import Act, Role
from privsynth.service.sign_in import caller_of_session
from privsynth.service.states import RunState
from privsynth.service.store.runs import DecisionRow, RecordedAct, RunRow, SourceRow
from privsynth.service.tokens import new_token
from privsynth.signing._files import digest_file
from privsynth.transparency.log import TransparencyLog
from privsynth.transparency.seen import SeenLogs

PASSPHRASE = "a key that nobody else has"
RUN = "run-1"


def make_release(folder: Path) -> Path:
    """Make a release by the command line, in a home of its own; return the folder with `home` and `out`."""
    home = folder / "home"
    table, declared = write(folder, "admissions.csv", admissions()), write(folder, "schema.yaml", schema())
    made = run("keys", "init", "--name", "service", "--holder", "privsynth service", "--no-passphrase")
    assert made.exit_code == 0, made.output
    out = folder / "out"
    made = run(
        "synthesize", table, "--schema", declared, "--epsilon", "3", "--out", out, "--key", "service", *FAST,
    )  # fmt: skip
    assert made.exit_code in RELEASED, made.output
    assert home.exists()
    return folder


def prepare(institution, made: Path) -> None:
    """Put a release into a service in which nobody is yet, and people who may decide on it."""
    home = institution.service.home
    shutil.copytree(made / "home" / "keys", home / "keys")
    shutil.copy(made / "home" / "keyring.json", home / "keyring.json")
    shutil.copytree(made / "out", institution.service.release_folder(RUN) / "draft")
    institution.person("sue", Role.SUBMITTER)
    keeper = institution.person("kim", Role.KEY_ADMIN)
    for name, role in (("rita", Role.REVIEWER), ("ann", Role.APPROVER), ("bob", Role.APPROVER)):
        caller = institution.person(name, role)
        key = make_own_key(institution.service, caller, PASSPHRASE)
        enter_key(institution.service, keeper, caller.person_id, key.fingerprint[:8])
    Deciders(institution, institution.service.now).add_run(RUN, needed=2)


class Deciders:
    """An institution with a release that waits for decisions.

    Attributes:
      ann, bob: may approve. rita: reviews. sue: asked for the release. key: keeps the keys.
    """

    def __init__(self, institution, clock) -> None:
        self.institution, self.service, self.clock = institution, institution.service, clock
        self.draft = self.service.release_folder(RUN) / "draft"
        self.sue, self.kim, self.rita, self.ann, self.bob = map(self.again, ("sue", "kim", "rita", "ann", "bob"))

    def add_run(self, name: str, needed: int, **changes: object) -> None:
        draft = self.service.release_folder(name) / "draft"
        digests = [digest_file(draft / part / "manifest.json").sha256 for part in ("public", "officer")]
        with self.service.database.writing() as session:
            source = SourceRow(
                name=f"of {name}", dataset="admissions", kind="file", place=b"x", made_by=self.kim.person_id,
                made_at=self.clock(),
            )  # fmt: skip
            session.add(source)
            session.flush()
            run = RunRow(
                id=name, source_id=source.id, dataset="admissions", purpose="the registry", settings='{"epsilon": 3}',
                submitter_id=self.sue.person_id, made_at=self.clock(), needed=needed, state=RunState.TO_DECIDE,
                manifest=digests[0], officer_manifest=digests[1],
            )  # fmt: skip
            for key, value in changes.items():
                setattr(run, key, value)
            session.add(run)

    def again(self, name: str):
        return caller_of_session(self.service, self.institution.secrets[name])

    def log(self) -> TransparencyLog:
        """Start the institution's log."""
        home = self.service.home
        return TransparencyLog.create(home / "log", SeenLogs(home), "st-mary.example/log")

    def run(self, name: str = RUN) -> RunRow:
        with self.service.database.reading() as session:
            return session.get_one(RunRow, name)

    def acts(self, act: str) -> list[RecordedAct]:
        with self.service.database.reading() as session:
            return list(session.query(RecordedAct).filter_by(act=act))

    def rows(self) -> list[DecisionRow]:
        return self.run().decisions

    def files(self) -> list[Path]:
        return sorted((self.draft / FOLDER).glob("*.dsse.json"))

    def post(self, name: str, path: str, **form: str):
        """Send a form from a page of that person."""
        browser = self.institution.browser(name)
        return browser.post(path, data={"form_token": self.again(name).form_token, **form})

    def bearer(self, name: str) -> dict[str, str]:
        """Return the header of a program with a token of that person, for all that they may do."""
        person = self.again(name)
        scopes = frozenset(act for act in Act if person.may(act))
        return {"authorization": f"Bearer {new_token(self.service, person, 'a script', scopes, 1)}"}

    def decide(self, name: str, meaning: str, **form: str):
        told = {"meaning": meaning, "passphrase": PASSPHRASE, **form}
        return self.post(name, f"/runs/{RUN}/decide", **told)
