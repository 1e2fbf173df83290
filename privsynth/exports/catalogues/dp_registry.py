"""An entry for the Differential Privacy Deployments Registry (OpenDP and NIST, 2025), as a draft for its curator.

The fields are those of the schema in github.com/opendp/deployments-registry-data.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from privsynth.exports.catalogues.common import description, release_id
from privsynth.exports.facts import ReleaseFacts
from privsynth.exports.sentences import GOOD_FOR, rows_of_unit
from privsynth.report.sheet.nouns import capital, unit_noun

TIER = 2  # the registry's: whom epsilon protects is stated; what a curator decided and why is not known here
REGION = "Not stated by the release; its curator knows it."


def dp_registry(facts: ReleaseFacts) -> dict[str, Any]:
    """Return the entry. JSON is YAML, in which the registry keeps its entries."""
    report, g = facts.report, facts.guarantee
    published = datetime.fromisoformat(report.created).date()
    unprotected = ", ".join(file.table for file in facts.data if file.reference)
    return {
        "url_slug": _slug(report.dataset, f"{published.year}-{str(release_id(facts))[:8]}"),
        "status": "Draft",
        "tier": TIER,
        "deployment": {
            "basic": {
                "name": f"{report.dataset}, a synthetic copy",
                "data_curators": [facts.signer],
                "description": description(facts),
                "intended_use": capital(" ".join(GOOD_FOR)),
                "data_product_type": "Synthetic data",
                "data_product_region": REGION,
                "publication_date": published.isoformat(),
            },
            "dp_variant": {
                "variant_name": "Approximate DP" if g.delta else "Pure DP",
                "unprotected_quantities": f"Public reference tables: {unprotected}." if unprotected else "None.",
            },
            "privacy_loss": {
                "privacy_unit": _unit(facts),
                "privacy_unit_details": f"{capital(g.neighbours)}.",
                "privacy_parameters": {"epsilon": g.epsilon, "delta": g.delta},
            },
            "deployment_model": _model(facts),
            "accounting": {
                "composition": f"{capital(g.accountant)}.",
                "post_processing": "The synthetic rows and every document are functions of noisy figures.",
            },
            "implementation": {"mechanisms": _mechanisms(facts)},
            "administrative": {
                "registry_authors": [f"privsynth {report.tool_version}, from the public report {report.report_id}"]
            },
        },
    }


def _slug(name: str, end: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "-".join([*words, end])


def _unit(facts: ReleaseFacts) -> str:
    g = facts.guarantee
    noun = capital(unit_noun(g))
    return noun if g.max_rows_per_unit is None else f"{noun} ({rows_of_unit(g.max_rows_per_unit)})"


def _model(facts: ReleaseFacts) -> dict[str, str]:
    """Return how the data are held and queried; how often they are released is known where a ledger was asked."""
    earlier = facts.report.earlier
    known = {} if earlier is None else {"release_type": "Many releases" if earlier.releases else "One release"}
    return {"model_name": "Central", "data_source_type": "Static", "access_type": "Non-interactive", **known}


def _mechanisms(facts: ReleaseFacts) -> str:
    generator = facts.report.generator
    bought = [f"{spend.mechanism}: {spend.what}" for spend in facts.guarantee.spends]
    return " ".join([f"Generator {generator.name} {generator.version} of privsynth.", *dict.fromkeys(bought)])
