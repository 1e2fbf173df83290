"""All documents of a release: path below the public folder -> text, and what each is."""

from __future__ import annotations

from privsynth.errors import Option
from privsynth.exports.cards import data_card, model_card
from privsynth.exports.catalogues.common import to_text
from privsynth.exports.catalogues.croissant import croissant
from privsynth.exports.catalogues.dcat import dcat
from privsynth.exports.catalogues.dp_registry import dp_registry
from privsynth.exports.catalogues.openlineage import openlineage
from privsynth.exports.catalogues.provenance import provenance
from privsynth.exports.dictionary import dictionary_csv
from privsynth.exports.document import to_html, to_markdown
from privsynth.exports.facts import DataFile, ReleaseFacts
from privsynth.exports.readme import readme

README = "README.txt"
# Path -> what it is, as README.txt lists them.
DOCUMENTS = {
    README: "this text",
    "data-dictionary.csv": "each column: meaning, type, unit, values, how they are known, missing or not, roles, codes",
    "cards/data-card.html": "the data card, to read; cards/data-card.md is the same in Markdown",
    "cards/data-card.md": "",
    "cards/model-card.html": "the model card, to read; cards/model-card.md is the same in Markdown",
    "cards/model-card.md": "",
    "croissant.json": "files and columns for data catalogues and loaders (Croissant 1.1)",
    "prov.json": "what the release was made of, how, and who answers for it (W3C PROV-JSON)",
    "openlineage.json": "the run that made the release, as an event for lineage stores (OpenLineage)",
    "dp-registry.json": "a draft entry for the Differential Privacy Deployments Registry",
}
DCAT = "dcat.jsonld"
_DCAT = {DCAT: "a record for data catalogues (DCAT-AP, or HealthDCAT-AP of the European Health Data Space)"}
NOISY = "tables/noisy-tables.parquet"
_NOISY = {
    NOISY: "the noisy tables that the budget bought, with the standard deviation of each cell, for statisticians: "
    'privsynth answer FOLDER "mean(age) by sex" computes from them, with intervals',
    "tables/noisy-tables.json": "what the cells of these tables count, and how they were made",
}
_BESIDE = {
    "report.html": "the report: the promise, the accuracy, what was not tested; report.json is the same for programs",
    "schema.yaml": "the columns for programs: what was declared or bought with the privacy budget",
    "model/": "draws more rows, at no cost in privacy: privsynth sample FOLDER/model "
    f"{Option('rows', 1000).in_shell()} {Option('out', 'more').in_shell()}",
    "manifest.json": "SHA-256 of every file; attestation.dsse.json is the signature over them",
}


def names_of_documents(*, catalogued: bool) -> tuple[str, ...]:
    """Return the paths of the documents that a release has.

    Args:
      catalogued: whether its schema declares what a record in a data catalogue needs.
    """
    return (*DOCUMENTS, DCAT) if catalogued else tuple(DOCUMENTS)


def documents(facts: ReleaseFacts) -> dict[str, str]:
    """Return path -> text of each of `names_of_documents`."""
    data, model = data_card(facts), model_card(facts)
    texts = {
        README: readme(facts, _listed(facts)),
        "data-dictionary.csv": dictionary_csv(facts),
        "cards/data-card.html": to_html(data),
        "cards/data-card.md": to_markdown(data),
        "cards/model-card.html": to_html(model),
        "cards/model-card.md": to_markdown(model),
        "croissant.json": to_text(croissant(facts)),
        "prov.json": to_text(provenance(facts)),
        "openlineage.json": to_text(openlineage(facts)),
        "dp-registry.json": to_text(dp_registry(facts)),
    }
    if facts.steward is not None:
        texts[DCAT] = to_text(dcat(facts, facts.steward))
    assert tuple(texts) == names_of_documents(catalogued=facts.steward is not None)
    return texts


def _listed(facts: ReleaseFacts) -> list[tuple[str, str]]:
    """Return what README.txt lists: the rows first."""
    rows = [(file.path, _rows(file)) for file in facts.data]
    noisy = _NOISY if NOISY in facts.report.files else {}
    record = {} if facts.steward is None else _DCAT
    return rows + [(path, what) for path, what in {**DOCUMENTS, **record, **noisy, **_BESIDE}.items() if what]


def _rows(file: DataFile) -> str:
    what = "a reference table, public and unchanged" if file.reference else "synthetic rows"
    return f"{what}: {file.rows:,} rows, {len(file.columns):,} columns"
