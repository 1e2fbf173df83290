"""Who may do what: the one table that pages, API and tests of the privilege matrix read."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person is in the institution; a person may have several."""

    SUBMITTER = "submitter"  # asks for releases; never sees a row or an officer's figure
    REVIEWER = "reviewer"
    APPROVER = "approver"
    KEY_ADMIN = "key_admin"  # keys and the keyring; may not approve
    AUDITOR = "auditor"  # reads everything that was done, and changes nothing
    ADMINISTRATOR = "administrator"  # people and sources; sees no report


class Act(StrEnum):
    """What a person does with the service; each is one endpoint, and one kind of entry of the record of acts."""

    SEE_RUNS = "see_runs"
    SEE_BUDGET = "see_budget"
    SEE_OFFICER_REPORT = "see_officer_report"
    SEE_ACTS = "see_acts"
    SEE_SOURCES = "see_sources"
    REGISTER_SOURCE = "register_source"
    RETIRE_SOURCE = "retire_source"
    PLAN = "plan"
    SUBMIT = "submit"
    CANCEL = "cancel"
    ANSWER_CHANGES = "answer_changes"
    SEE_SCHEDULES = "see_schedules"
    SCHEDULE = "schedule"
    PAUSE_SCHEDULE = "pause_schedule"
    SET_YEARLY_BUDGET = "set_yearly_budget"
    REVIEW = "review"
    APPROVE = "approve"
    PUBLISH = "publish"
    REVOKE = "revoke"
    OFFER = "offer"
    SEE_OFFERS = "see_offers"
    DOWNLOAD = "download"
    MANAGE_PEOPLE = "manage_people"
    MANAGE_WEBHOOKS = "manage_webhooks"
    MANAGE_KEYS = "manage_keys"
    MANAGE_OWN_TOKENS = "manage_own_tokens"
    SEE_RETENTION = "see_retention"
    MANAGE_RETENTION = "manage_retention"
    SEE_ERASURES = "see_erasures"
    ANSWER_ERASURE = "answer_erasure"


_EVERYBODY = frozenset(Role)
_OFFICERS = frozenset({Role.REVIEWER, Role.APPROVER})
_READS_ALL = _OFFICERS | {Role.AUDITOR}

ALLOWED: dict[Act, frozenset[Role]] = {
    Act.SEE_RUNS: _READS_ALL | {Role.SUBMITTER},
    Act.SEE_BUDGET: _READS_ALL | {Role.SUBMITTER},
    Act.SEE_OFFICER_REPORT: _OFFICERS,
    Act.SEE_ACTS: frozenset({Role.AUDITOR}),
    Act.SEE_SOURCES: frozenset({Role.SUBMITTER, Role.ADMINISTRATOR, Role.AUDITOR}),
    Act.REGISTER_SOURCE: frozenset({Role.ADMINISTRATOR}),
    Act.RETIRE_SOURCE: frozenset({Role.ADMINISTRATOR}),
    Act.PLAN: frozenset({Role.SUBMITTER}),
    Act.SUBMIT: frozenset({Role.SUBMITTER}),
    Act.CANCEL: frozenset({Role.SUBMITTER}),
    Act.ANSWER_CHANGES: frozenset({Role.SUBMITTER}),
    Act.SEE_SCHEDULES: _READS_ALL | {Role.SUBMITTER},
    Act.SCHEDULE: frozenset({Role.SUBMITTER}),
    Act.PAUSE_SCHEDULE: frozenset({Role.SUBMITTER, Role.APPROVER}),  # one's own; who answers for the data, everybody's
    Act.SET_YEARLY_BUDGET: frozenset({Role.APPROVER}),
    Act.REVIEW: _OFFICERS,
    Act.APPROVE: frozenset({Role.APPROVER}),
    Act.PUBLISH: frozenset({Role.APPROVER}),
    Act.REVOKE: frozenset({Role.APPROVER}),
    Act.OFFER: frozenset({Role.APPROVER}),
    Act.SEE_OFFERS: _READS_ALL | {Role.SUBMITTER},
    Act.DOWNLOAD: _OFFICERS | {Role.SUBMITTER},
    Act.MANAGE_PEOPLE: frozenset({Role.ADMINISTRATOR}),
    Act.MANAGE_WEBHOOKS: frozenset({Role.ADMINISTRATOR}),
    Act.MANAGE_KEYS: frozenset({Role.KEY_ADMIN}),
    Act.MANAGE_OWN_TOKENS: _EVERYBODY,
    Act.SEE_RETENTION: frozenset({Role.ADMINISTRATOR, Role.AUDITOR}),
    Act.MANAGE_RETENTION: frozenset({Role.ADMINISTRATOR}),
    Act.SEE_ERASURES: frozenset({Role.ADMINISTRATOR, Role.APPROVER, Role.AUDITOR}),
    Act.ANSWER_ERASURE: frozenset({Role.ADMINISTRATOR, Role.APPROVER}),
}

# Roles that one person may not hold together: who keeps the keys does not decide, and who manages people could make
# a second self.
APART = (
    frozenset({Role.KEY_ADMIN, Role.APPROVER}),
    frozenset({Role.ADMINISTRATOR, Role.APPROVER}),
    frozenset({Role.ADMINISTRATOR, Role.REVIEWER}),
)


def may(roles: frozenset[Role], act: Act) -> bool:
    """Say whether a person with these roles may do this."""
    return bool(roles & ALLOWED[act])
