"""The API keeps what its description says: schemathesis asks it for everything that the description allows."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, openapi
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance
from service.deciders import RUN
from service.releases import SMALL, desk

from privsynth.service.delivery.offers import WantedOffer, make_offer
from privsynth.service.roles import Act, Role
from privsynth.service.runs.submit import submit_release
from privsynth.service.sources.registry import NewSource, register_source
from privsynth.service.tokens import new_token
from privsynth.service.web.app import create_app
from privsynth.signing.store import load_keyring

# Between them every act; nobody may hold more of these roles together.
GROUPS = (
    (Role.SUBMITTER, Role.REVIEWER, Role.APPROVER, Role.AUDITOR),
    (Role.ADMINISTRATOR, Role.KEY_ADMIN, Role.SUBMITTER, Role.AUDITOR),
)
EXAMPLES = {GenerationMode.POSITIVE: 8, GenerationMode.NEGATIVE: 4}  # of each operation


class Prepared:
    """A service with a source, a run that waits, one to decide on, a published one and an offer; and its API.

    Attributes:
      there: parameter -> names or numbers of things that are there.
      wrong: answers that are not described. answers: how many there were of each operation and status.
    """

    def __init__(self, deciders, tmp_path, roles) -> None:
        deciders.institution.service = deciders.service
        for name in ("ann", "bob"):
            assert deciders.decide(name, "approved").status_code == 303
        assert deciders.post("ann", f"/runs/{RUN}/publish").status_code == 303
        releases = deciders.service.release_folder(RUN).parent
        shutil.copytree(releases / RUN / "draft" / "public", releases / "run-2" / "draft" / "public")
        shutil.copytree(releases / RUN / "draft" / "officer", releases / "run-2" / "draft" / "officer")
        deciders.add_run("run-2", needed=2)
        at = desk(deciders.institution, tmp_path, person_requests_per_minute=0, address_requests_per_minute=0)
        self.app, self.wrong, self.answers = create_app(at.service), [], Counter()
        person = deciders.institution.person("all", *roles)
        waits = submit_release(at.service, person, at.source.id, SMALL, purpose="a test")
        new = NewSource(name="To retire", dataset="other", kind="file", place="admissions.csv")
        retired = register_source(at.service, at.admin, new)
        wanted = WantedOffer(recipient="Prof. Koch", terms="No linking.", days=9)
        offer, _ = make_offer(at.service, deciders.ann, RUN, wanted)
        secret = new_token(at.service, person, "all", frozenset(act for act in Act if person.may(act)), 30)
        self.headers = {"authorization": f"Bearer {secret}", "host": "testserver"}
        self.there = {
            "run_id": (RUN, "run-2", waits.id), "source_id": (retired.id,), "source": (at.source.id,),
            "person_id": (deciders.sue.person_id,), "person": (deciders.rita.person_id,), "offer_id": (offer.id,),
            "keyid": tuple(entry.keyid for entry in load_keyring(at.service.home).keys),
        }  # fmt: skip

    def aim(self, case, number: int) -> None:
        """Let a request name things that are there."""
        for given_ in (case.path_parameters, case.body):
            for name in self.there.keys() & (given_.keys() if isinstance(given_, dict) else set()):
                given_[name] = self.there[name][number % len(self.there[name])]
        if number % 2 and isinstance(case.body, dict) and "request" in case.body:
            case.body["request"] = SMALL.model_dump()  # what is generated makes sense to no pipeline

    def ask(self, operation, mode: GenerationMode) -> None:
        """Send examples of one operation, and note what is not described, and how each was answered."""

        @settings(
            max_examples=EXAMPLES[mode], derandomize=True, deadline=None, database=None,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode), number=st.integers(0, 5))
        def send(case, number):
            if mode == GenerationMode.POSITIVE and number:
                self.aim(case, number)
            answer = case.call(headers=self.headers)
            self.answers[operation.label, answer.status_code] += 1
            try:  # what fits the description may still be refused, as what the ledger has no room for
                case.validate_response(answer, headers=self.headers, excluded_checks=[positive_data_acceptance])
            except FailureGroup as problems:
                self.wrong.extend(f"{one}\n{case.as_curl_command()}"[:1500] for one in problems.exceptions)

        send()


@pytest.mark.slow
@pytest.mark.parametrize("roles", GROUPS, ids="-".join)
def test_nothing_is_answered_that_is_not_described(deciders, tmp_path, roles):
    prepared = Prepared(deciders, tmp_path, roles)
    schema = openapi.from_asgi("/api/openapi.json", prepared.app, headers={"host": "testserver"})
    for found in schema.get_all_operations():
        operation = found.ok()
        prepared.ask(operation, GenerationMode.POSITIVE)
        if operation.body or operation.path_parameters:  # of others nothing can be wrong
            prepared.ask(operation, GenerationMode.NEGATIVE)
    assert prepared.wrong == []
    done = {label for label, status in prepared.answers if status < 300}
    assert {"POST /api/v1/plans", "POST /api/v1/runs", "GET /api/v1/runs/{run_id}"} <= done  # it reached something
