"""PROV-JSON (W3C member submission, 2013): what a release was made of, how, and who answers for it."""

from __future__ import annotations

from typing import Any

from privsynth.exports.catalogues.common import TERMS, privacy_facts, release_id, tool_id, what_it_is
from privsynth.exports.facts import ReleaseFacts


def provenance(facts: ReleaseFacts) -> dict[str, Any]:
    """Return the document. Of the source it has the name of the dataset, and nothing else."""
    report = facts.report
    entities: dict[str, Any] = {
        "release:release": _labelled(f"{report.dataset}, a synthetic copy", "prov:Collection"),
        "release:source": {"prov:label": report.dataset},
    }
    used = {"_:used-source": {"prov:activity": "release:synthesize", "prov:entity": "release:source"}}
    derived = {"_:from-source": _derivation("release:release", "release:source")}
    if report.prior is not None:
        entities["release:prior"] = {"prov:label": report.prior.name, "privsynth:sha256": report.prior.digest}
        used["_:used-prior"] = {"prov:activity": "release:synthesize", "prov:entity": "release:prior"}
        derived["_:from-prior"] = _derivation("release:release", "release:prior")
    members = {}
    for number, file in enumerate(facts.data, 1):
        entities[f"release:file-{number}"] = {
            "prov:label": file.path,
            "prov:value": what_it_is(file),
            "privsynth:sha256": file.sha256,
        }
        members[f"_:member-{number}"] = {
            "prov:collection": "release:release",
            "prov:entity": f"release:file-{number}",
        }
    return {
        "prefix": {"release": f"{release_id(facts).urn}#", "privsynth": TERMS},
        "entity": entities,
        "activity": {
            "release:synthesize": {
                "prov:label": "Synthesis with differential privacy",
                "prov:endTime": report.created,
                "privsynth:generator": f"{report.generator.name} {report.generator.version}",
                **{f"privsynth:{name}": _typed(value) for name, value in privacy_facts(facts).items()},
            }
        },
        "used": used,
        "wasGeneratedBy": {
            "_:generated": {
                "prov:entity": "release:release",
                "prov:activity": "release:synthesize",
                "prov:time": report.created,
            }
        },
        "wasDerivedFrom": derived,
        "hadMember": members,
        **_agents(facts),
    }


def _agents(facts: ReleaseFacts) -> dict[str, Any]:
    """Return the tool and, of a signed release, the signer, with what each did."""
    tool = _labelled(f"privsynth {facts.report.tool_version}", "prov:SoftwareAgent")
    agents = {"release:tool": tool | {"privsynth:package": tool_id(facts)}}
    found: dict[str, Any] = {
        "agent": agents,
        "wasAssociatedWith": {"_:tool": {"prov:activity": "release:synthesize", "prov:agent": "release:tool"}},
    }
    if facts.report.signer:
        agents["release:signer"] = {"prov:label": facts.report.signer}
        found["wasAttributedTo"] = {"_:signer": {"prov:entity": "release:release", "prov:agent": "release:signer"}}
        found["actedOnBehalfOf"] = {
            "_:on-behalf": {"prov:delegate": "release:tool", "prov:responsible": "release:signer"}
        }
    return found


def _labelled(label: str, kind: str) -> dict[str, Any]:
    return {"prov:label": label, "prov:type": {"$": kind, "type": "prov:QUALIFIED_NAME"}}


def _derivation(made: str, used: str) -> dict[str, str]:
    return {"prov:generatedEntity": made, "prov:usedEntity": used, "prov:activity": "release:synthesize"}


def _typed(value: float | str) -> Any:
    return {"$": repr(value), "type": "xsd:double"} if isinstance(value, float) else value
