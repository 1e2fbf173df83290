"""What the policy of the service will say of a release, as far as its settings tell: before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privsynth.service.context import Service
from privsynth.service.runs.request import ReleaseRequest

if TYPE_CHECKING:
    from privsynth.policy.definition import Policy
    from privsynth.policy.files import LoadedPolicy

AGAINST = ". Who approves it all the same does so against the policy, and says why"
SAYS = {"fail": "will refuse", "review": "will ask for a look at", "insufficient": "will lack evidence for"}


def warned_of(service: Service, request: ReleaseRequest) -> list[str]:
    """Return what the policy will have against a release, a sentence each; what is measured first is not known yet.

    Raises:
      ConfigError: the policy cannot be read.
    """
    from privsynth.policy.definition import PROMISES
    from privsynth.policy.judge import judge

    loaded = _loaded(service)
    promise = {"promised_epsilon": request.epsilon, "promised_delta": request.delta}
    told = [
        f"{_named(loaded.policy)} {SAYS[one.verdict]} such a release: its {_word(one.metric)} is {one.value:g}, and "
        f"the policy asks for {one.demand}{AGAINST if one.verdict == 'fail' else ''}"
        for one in judge(loaded, (), promise=promise).outcomes
        if one.metric in PROMISES and one.verdict in SAYS
    ]
    exact = [check for check in loaded.policy.checks if check.visibility == "officer"]
    if request.audit == "none" and exact:
        many = "1 check looks" if len(exact) == 1 else f"{len(exact)} checks look"
        told.append(f"{_named(loaded.policy)} will lack evidence: {many} at exact figures, and there is no audit")
    return told


def demands_of(service: Service) -> str:
    """Return what the policy asks of the settings of a release, as "epsilon at most 2, delta at most 1e-06"; or "".

    Raises:
      ConfigError: the policy cannot be read.
    """
    from privsynth.policy.definition import PROMISES

    policy = _loaded(service).policy
    asks = ", ".join(f"{_word(check.metric)} {check.demand}" for check in policy.checks if check.metric in PROMISES)
    return f"{_named(policy)}, asks for {asks}" if asks else ""


def _loaded(service: Service) -> LoadedPolicy:
    from privsynth.policy.files import load_policy

    return load_policy(service.settings.policy)


def _named(policy: Policy) -> str:
    return f"the policy {policy.policy}, version {policy.version}"


def _word(metric: str) -> str:
    return metric.removeprefix("promised_")
