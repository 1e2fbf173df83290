"""The privilege matrix: what every route of the service takes. A route that is not here fails a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from privsynth.approvals.statement import Approval
from privsynth.service.roles import Act
from privsynth.signing.keys import SigningKey


class Open(Enum):
    """Routes that take no act."""

    ANYBODY = auto()
    WHO_SIGNED_IN = auto()


@dataclass(frozen=True)
class Privilege:
    """What a request takes; `form` is valid, and names things that are not there."""

    method: str
    path: str
    takes: Act | Open
    form: dict[str, Any] = field(default_factory=dict, hash=False)
    query: dict[str, str] = field(default_factory=dict, hash=False)


GET, POST, PUT = "GET", "POST", "PUT"
_RELEASE = {"source": "999", "epsilon": "1", "unit": "row", "purpose": "p", "once": "x"}
_SOURCE = {"name": "!", "dataset": "d", "kind": "file", "place": "/nowhere"}
_ASKED = {"source": 999, "request": {"epsilon": 1}, "rhythm": {"every": "month", "first": "2026-01-31", "at": "06:00"}}
_DECISION = {"meaning": "reviewed", "comment": "c", "passphrase": "p", "password": "p"}
# A review that somebody signed, of no release.
_SIGNED = Approval("reviewed", "", datetime(2026, 12, 1, tzinfo=UTC), ("0" * 64,) * 2).signed(
    SigningKey.generate(), "x"
)
_SIGNED = _SIGNED.to_json().decode()
MATRIX = (
    Privilege(GET, "/style.css", Open.ANYBODY),
    Privilege(GET, "/favicon.svg", Open.ANYBODY),
    Privilege(GET, "/api/openapi.json", Open.ANYBODY),
    Privilege(GET, "/sign-in", Open.ANYBODY),
    Privilege(POST, "/sign-in", Open.ANYBODY, {"name": "x", "password": "x"}),
    Privilege(GET, "/sign-in/provider", Open.ANYBODY),
    Privilege(GET, "/sign-in/answer", Open.ANYBODY),
    Privilege(GET, "/welcome/{secret}", Open.ANYBODY),
    Privilege(POST, "/welcome/{secret}", Open.ANYBODY, {"password": "x"}),
    Privilege(GET, "/", Open.WHO_SIGNED_IN),
    Privilege(GET, "/tokens", Act.MANAGE_OWN_TOKENS),
    Privilege(POST, "/tokens", Act.MANAGE_OWN_TOKENS, {"label": "x", "days": "0"}),
    Privilege(POST, "/tokens/{token_id}/revoke", Act.MANAGE_OWN_TOKENS),
    Privilege(GET, "/people", Act.MANAGE_PEOPLE),
    Privilege(POST, "/people", Act.MANAGE_PEOPLE, {"name": "!", "display": "x", "roles": "auditor"}),
    Privilege(POST, "/people/{person_id}/roles", Act.MANAGE_PEOPLE, {"roles": "auditor"}),
    Privilege(POST, "/people/{person_id}/invite", Act.MANAGE_PEOPLE),
    Privilege(POST, "/people/{person_id}/deactivate", Act.MANAGE_PEOPLE),
    Privilege(GET, "/api/v1/people", Act.MANAGE_PEOPLE),
    Privilege(POST, "/api/v1/people", Act.MANAGE_PEOPLE, {"name": "!", "display": "x", "roles": ["auditor"]}),
    Privilege(PUT, "/api/v1/people/{person_id}/roles", Act.MANAGE_PEOPLE, {"roles": ["auditor"]}),
    Privilege(POST, "/api/v1/people/{person_id}/invitation", Act.MANAGE_PEOPLE),
    Privilege(POST, "/api/v1/people/{person_id}/deactivation", Act.MANAGE_PEOPLE),
    Privilege(GET, "/acts", Act.SEE_ACTS),
    Privilege(GET, "/acts/check", Act.SEE_ACTS),
    Privilege(GET, "/retention", Act.SEE_RETENTION),
    Privilege(POST, "/retention/holds", Act.MANAGE_RETENTION, {"item": "x", "reason": "r"}),
    Privilege(POST, "/retention/holds/{hold_id}/lift", Act.MANAGE_RETENTION, {"reason": "r"}),
    Privilege(POST, "/retention/deletions", Act.MANAGE_RETENTION, {"item": "x", "reason": "r"}),
    Privilege(GET, "/retention/certificates/{deletion_id}", Act.SEE_RETENTION),
    Privilege(GET, "/erasure", Act.SEE_ERASURES),
    Privilege(POST, "/erasure", Act.ANSWER_ERASURE, {"case": "x", "datasets": "none of that name"}),
    Privilege(GET, "/erasure/{number}", Act.SEE_ERASURES),
    Privilege(GET, "/sources", Act.SEE_SOURCES),
    Privilege(POST, "/sources", Act.REGISTER_SOURCE, _SOURCE),
    Privilege(GET, "/sources/{source_id}", Act.SEE_SOURCES),
    Privilege(GET, "/sources/{source_id}/columns", Act.SEE_SOURCES),
    Privilege(POST, "/sources/{source_id}/columns", Act.REGISTER_SOURCE),
    Privilege(POST, "/sources/{source_id}/schema", Act.REGISTER_SOURCE, {"declared": "x"}),
    Privilege(POST, "/sources/{source_id}/retire", Act.RETIRE_SOURCE),
    Privilege(POST, "/sources/upload", Act.REGISTER_SOURCE),
    Privilege(GET, "/runs", Act.SEE_RUNS),
    Privilege(GET, "/runs/new", Act.SUBMIT),
    Privilege(POST, "/runs/plan", Act.PLAN, _RELEASE),
    Privilege(POST, "/runs", Act.SUBMIT, _RELEASE),
    Privilege(GET, "/runs/{run_id}", Act.SEE_RUNS),
    Privilege(POST, "/runs/{run_id}/cancel", Act.CANCEL),
    Privilege(POST, "/runs/{run_id}/answer", Act.ANSWER_CHANGES, {"comment": "c"}),
    Privilege(GET, "/schedules", Act.SEE_SCHEDULES),
    Privilege(GET, "/schedules/new", Act.SCHEDULE),
    Privilege(POST, "/schedules/plan", Act.SCHEDULE, _RELEASE | _ASKED["rhythm"]),
    Privilege(POST, "/schedules", Act.SCHEDULE, _RELEASE | _ASKED["rhythm"]),
    Privilege(POST, "/schedules/budget", Act.SET_YEARLY_BUDGET, {"dataset": "d", "epsilon": "1", "delta": "0"}),
    Privilege(GET, "/schedules/{schedule_id}", Act.SEE_SCHEDULES),
    Privilege(POST, "/schedules/{schedule_id}/pause", Act.PAUSE_SCHEDULE),
    Privilege(POST, "/schedules/{schedule_id}/resume", Act.SCHEDULE),
    Privilege(POST, "/schedules/{schedule_id}/end", Act.PAUSE_SCHEDULE),
    Privilege(GET, "/webhooks", Act.MANAGE_WEBHOOKS),
    Privilege(POST, "/webhooks", Act.MANAGE_WEBHOOKS, {"label": "x", "url": "x", "events": "run.failed"}),
    Privilege(GET, "/webhooks/{webhook_id}", Act.MANAGE_WEBHOOKS),
    Privilege(POST, "/webhooks/{webhook_id}/secret", Act.MANAGE_WEBHOOKS),
    Privilege(POST, "/webhooks/{webhook_id}/state", Act.MANAGE_WEBHOOKS, {"state": "active"}),
    Privilege(POST, "/webhooks/{webhook_id}/test", Act.MANAGE_WEBHOOKS),
    Privilege(POST, "/deliveries/{delivery_id}/again", Act.MANAGE_WEBHOOKS),
    Privilege(GET, "/runs/{run_id}/decide", Act.SEE_OFFICER_REPORT),
    Privilege(POST, "/runs/{run_id}/decide", Act.SEE_OFFICER_REPORT, _DECISION),
    Privilege(GET, "/runs/{run_id}/officer/report.html", Act.SEE_OFFICER_REPORT),
    Privilege(GET, "/runs/{run_id}/public/report.html", Act.SEE_RUNS),
    Privilege(GET, "/runs/{run_id}/hand-out", Act.SEE_OFFERS),
    Privilege(POST, "/runs/{run_id}/publish", Act.PUBLISH, {"password": "p"}),
    Privilege(POST, "/runs/{run_id}/revoke", Act.REVOKE, {"reason": "r", "password": "p"}),
    Privilege(POST, "/runs/{run_id}/offers", Act.OFFER, {"recipient": "r", "terms": "t", "days": "1"}),
    Privilege(POST, "/offers/{offer_id}/withdraw", Act.OFFER),
    Privilege(GET, "/runs/{run_id}/edition.zip", Act.DOWNLOAD),
    Privilege(GET, "/api/v1/runs/{run_id}/edition", Act.DOWNLOAD),
    Privilege(GET, "/download/{secret}", Open.ANYBODY),
    Privilege(POST, "/download/{secret}/accept", Open.ANYBODY),
    Privilege(GET, "/download/{secret}/release.zip", Open.ANYBODY),
    Privilege(GET, "/verify.html", Open.ANYBODY),
    Privilege(GET, "/log/checkpoint", Open.ANYBODY),
    Privilege(GET, "/log/key", Open.ANYBODY),
    Privilege(GET, "/log/tile/{name:path}", Open.ANYBODY),
    Privilege(GET, "/keyring.json", Open.ANYBODY),
    Privilege(GET, "/revocations.json", Open.ANYBODY),
    Privilege(GET, "/my-key", Act.REVIEW),
    Privilege(POST, "/my-key", Act.REVIEW, {"passphrase": "x", "again": "y"}),
    Privilege(GET, "/my-key/challenge", Act.REVIEW),
    Privilege(POST, "/my-key/attach", Act.REVIEW, {"proof": "x"}),
    Privilege(POST, "/runs/{run_id}/decision-request", Act.REVIEW, {"meaning": "reviewed"}),
    Privilege(POST, "/runs/{run_id}/signed-decision", Act.REVIEW, {"signed": _SIGNED}),
    Privilege(GET, "/keys", Act.MANAGE_KEYS),
    Privilege(POST, "/keys/enter/{person_id}", Act.MANAGE_KEYS, {"told": "x"}),
    Privilege(POST, "/keys/revoke/{keyid}", Act.MANAGE_KEYS, {"reason": "x"}),
    Privilege(GET, "/api/v1/my-key", Act.REVIEW),
    Privilege(GET, "/api/v1/keys", Act.MANAGE_KEYS),
    Privilege(POST, "/api/v1/keys", Act.MANAGE_KEYS, {"person": 999, "told": "12345678"}),
    Privilege(POST, "/api/v1/keys/{keyid}/revocation", Act.MANAGE_KEYS, {"reason": "x"}),
    Privilege(POST, "/sign-out", Open.WHO_SIGNED_IN),  # the last of a browser's requests
    Privilege(GET, "/api/v1/me", Open.WHO_SIGNED_IN),
    Privilege(GET, "/api/v1/overview", Open.WHO_SIGNED_IN),
    Privilege(GET, "/api/v1/runs/{run_id}/decision", Act.SEE_OFFICER_REPORT),
    Privilege(POST, "/api/v1/runs/{run_id}/decision", Act.REVIEW, {"meaning": "reviewed"}),
    Privilege(POST, "/api/v1/runs/{run_id}/decision-request", Act.REVIEW, {"meaning": "reviewed"}),
    Privilege(POST, "/api/v1/runs/{run_id}/signed-decision", Act.REVIEW, {"signed": _SIGNED}),
    Privilege(GET, "/api/v1/runs/{run_id}/reports/officer", Act.SEE_OFFICER_REPORT),
    Privilege(GET, "/api/v1/runs/{run_id}/reports/public", Act.SEE_RUNS),
    Privilege(POST, "/api/v1/runs/{run_id}/publication", Act.PUBLISH, {"comments": "true"}),
    Privilege(POST, "/api/v1/runs/{run_id}/revocation", Act.REVOKE, {"reason": "r"}),
    Privilege(GET, "/api/v1/runs/{run_id}/offers", Act.SEE_OFFERS),
    Privilege(POST, "/api/v1/runs/{run_id}/offers", Act.OFFER, {"recipient": "r", "terms": "t", "days": "1"}),
    Privilege(POST, "/api/v1/offers/{offer_id}/withdrawal", Act.OFFER),
    Privilege(GET, "/api/v1/budgets", Act.SEE_BUDGET),
    Privilege(GET, "/api/v1/acts", Act.SEE_ACTS),
    Privilege(GET, "/api/v1/acts/check", Act.SEE_ACTS),
    Privilege(GET, "/api/v1/retention", Act.SEE_RETENTION),
    Privilege(POST, "/api/v1/retention/holds", Act.MANAGE_RETENTION, {"item": "x", "reason": "r"}),
    Privilege(POST, "/api/v1/retention/holds/{hold_id}/lift", Act.MANAGE_RETENTION, {"reason": "r"}),
    Privilege(POST, "/api/v1/retention/deletions", Act.MANAGE_RETENTION, {"item": "x", "reason": "r"}),
    Privilege(GET, "/api/v1/retention/certificates/{deletion_id}", Act.SEE_RETENTION),
    Privilege(GET, "/api/v1/erasure", Act.SEE_ERASURES),
    Privilege(POST, "/api/v1/erasure", Act.ANSWER_ERASURE, {"case": "x", "datasets": ["none of that name"]}),
    Privilege(GET, "/api/v1/erasure/{number}", Act.SEE_ERASURES),
    Privilege(GET, "/api/v1/sources", Act.SEE_SOURCES),
    Privilege(POST, "/api/v1/sources", Act.REGISTER_SOURCE, _SOURCE),
    Privilege(GET, "/api/v1/sources/{source_id}", Act.SEE_SOURCES),
    Privilege(GET, "/api/v1/sources/{source_id}/columns", Act.SEE_SOURCES),
    Privilege(PUT, "/api/v1/sources/{source_id}/columns", Act.REGISTER_SOURCE, {"columns": []}),
    Privilege(PUT, "/api/v1/sources/{source_id}/schema", Act.REGISTER_SOURCE, {"text": "x"}),
    Privilege(POST, "/api/v1/sources/{source_id}/retire", Act.RETIRE_SOURCE),
    Privilege(
        POST, "/api/v1/sources/upload", Act.REGISTER_SOURCE, query={"name": "x", "dataset": "d", "file_name": "a.exe"}
    ),
    Privilege(GET, "/api/v1/runs", Act.SEE_RUNS),
    Privilege(POST, "/api/v1/runs", Act.SUBMIT, {"source": 999, "request": {"epsilon": 1}, "purpose": "p"}),
    Privilege(POST, "/api/v1/plans", Act.PLAN, {"source": 999, "request": {"epsilon": 1}}),
    Privilege(GET, "/api/v1/runs/{run_id}", Act.SEE_RUNS),
    Privilege(POST, "/api/v1/runs/{run_id}/cancel", Act.CANCEL),
    Privilege(POST, "/api/v1/runs/{run_id}/answer", Act.ANSWER_CHANGES, {"comment": "c"}),
    Privilege(GET, "/api/v1/schedules", Act.SEE_SCHEDULES),
    Privilege(POST, "/api/v1/schedules", Act.SCHEDULE, {**_ASKED, "purpose": "p"}),
    Privilege(POST, "/api/v1/schedules/plan", Act.SCHEDULE, _ASKED),
    Privilege(GET, "/api/v1/schedules/{schedule_id}", Act.SEE_SCHEDULES),
    Privilege(POST, "/api/v1/schedules/{schedule_id}/pause", Act.PAUSE_SCHEDULE),
    Privilege(POST, "/api/v1/schedules/{schedule_id}/resume", Act.SCHEDULE),
    Privilege(POST, "/api/v1/schedules/{schedule_id}/end", Act.PAUSE_SCHEDULE),
    Privilege(GET, "/api/v1/yearly-budgets", Act.SEE_SCHEDULES),
    Privilege(PUT, "/api/v1/yearly-budgets", Act.SET_YEARLY_BUDGET, {"dataset": "d", "epsilon": 1, "delta": 0}),
    Privilege(GET, "/api/v1/webhooks", Act.MANAGE_WEBHOOKS),
    Privilege(POST, "/api/v1/webhooks", Act.MANAGE_WEBHOOKS, {"label": "x", "url": "x", "events": ["run.failed"]}),
    Privilege(GET, "/api/v1/webhooks/{webhook_id}", Act.MANAGE_WEBHOOKS),
    Privilege(POST, "/api/v1/webhooks/{webhook_id}/secret", Act.MANAGE_WEBHOOKS),
    Privilege(PUT, "/api/v1/webhooks/{webhook_id}/state", Act.MANAGE_WEBHOOKS, {"state": "active"}),
    Privilege(POST, "/api/v1/webhooks/{webhook_id}/test", Act.MANAGE_WEBHOOKS),
    Privilege(POST, "/api/v1/deliveries/{delivery_id}/again", Act.MANAGE_WEBHOOKS),
    Privilege(GET, "/api/v1/tokens", Act.MANAGE_OWN_TOKENS),
    Privilege(POST, "/api/v1/tokens/{token_id}/revoke", Act.MANAGE_OWN_TOKENS),
)


def flattened(routes) -> Iterator:
    """Yield what is served, also of routers that are kept as one."""
    for route in routes:
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        if inner is not None:
            yield from flattened(inner)
        else:
            yield route
