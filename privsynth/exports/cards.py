"""The model card (after Mitchell et al. 2019) and the data card (after Pushkarna et al. 2022)."""

from __future__ import annotations

from privsynth.exports.dictionary import KNOWN_HOW, values_of
from privsynth.exports.document import Bullets, CardDocument, CardSection, CardTable
from privsynth.exports.facts import ReleaseFacts
from privsynth.exports.sentences import GOOD_FOR, NOT_FOR, SYNTHETIC, accuracy, how_to_verify, promise, size
from privsynth.report.format_numbers import number, share


def model_card(facts: ReleaseFacts) -> CardDocument:
    """Return what a user of the model has to know."""
    report = facts.report
    details = (
        ("Generator", f"{report.generator.name}, version {report.generator.version}"),
        ("Tool", f"privsynth {report.tool_version}"),
        ("Made", report.created),
        ("Report", report.report_id),
        ("Signed by", facts.signer),
    )
    return CardDocument(
        f"Model card: {report.dataset}",
        "The model in model/ drew the synthetic rows beside it, and draws more; that costs no privacy.",
        (
            CardSection("Model", (CardTable(("Fact", "Value"), details),)),
            CardSection("Intended use", (Bullets(GOOD_FOR),)),
            CardSection("Out of scope", (Bullets(NOT_FOR),)),
            CardSection("Training data", _training_data(facts)),
            CardSection(
                "Privacy",
                (promise(facts), CardTable(("Part", "Share of the budget", "What was bought"), _spends(facts))),
            ),
            CardSection("Accuracy", (Bullets((*accuracy(facts), "report.html has every figure with its interval.")),)),
            CardSection("Known limits", (Bullets(_limits(facts)),)),
            CardSection("Check the signature", (how_to_verify(),)),
        ),
    )


def data_card(facts: ReleaseFacts) -> CardDocument:
    """Return what a user of the rows has to know."""
    report = facts.report
    files = tuple((f.path, number(f.rows), number(len(f.columns)), f.sha256) for f in facts.data)
    sections = [
        CardSection("Summary", (f"{size(facts)}. Signed by: {facts.signer}.",)),
        CardSection("Files", (CardTable(("File", "Rows", "Columns", "SHA-256"), files),)),
        CardSection("Privacy", (promise(facts),)),
        CardSection("Where it comes from", _training_data(facts)),
        CardSection(
            "Columns", (CardTable(("Column", "Type", "Values", "Known how", "Missing", "Meaning"), _columns(facts)),)
        ),
    ]
    if report.rules:
        sections.append(CardSection("Rules that hold in every row", (Bullets(report.rules),)))
    sections += [
        CardSection("Accuracy", (Bullets(accuracy(facts)),)),
        CardSection("Good for", (Bullets(GOOD_FOR),)),
        CardSection("Not for", (Bullets(NOT_FOR),)),
        CardSection("Known limits", (Bullets(_limits(facts)),)),
    ]
    return CardDocument(f"Data card: {report.dataset}", SYNTHETIC, tuple(sections))


def _training_data(facts: ReleaseFacts) -> tuple[str | Bullets, ...]:
    """Return what is known of the table that was learned from, which is not here."""
    g, report = facts.guarantee, facts.report
    said = [f"The table '{report.dataset}', which stays with its holder."]
    if g.n_rows_noisy is not None:
        what = "people" if report.tables else "rows"
        said.append(f"It has about {number(g.n_rows_noisy)} {what} (a noisy or a declared number).")
    if g.holdout_fraction:
        said.append(f"{share(g.holdout_fraction)} of the units were held out for the audit and not learned from.")
    if g.left_out is not None:
        said.append(g.left_out.sentences(g.unit, g.max_rows_per_unit or 1))
    if report.prior is not None:
        said.append(f"The release started from '{report.prior.name}', which was public before.")
    return tuple(said)


def _spends(facts: ReleaseFacts) -> tuple[tuple[str, ...], ...]:
    return tuple((spend.label, share(spend.share), spend.what) for spend in facts.guarantee.spends)


def _columns(facts: ReleaseFacts) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            f"{entry.table}: {entry.name}" if entry.table else entry.name,
            entry.record.kind + (f", {entry.record.unit}" if entry.record.unit else ""),
            values_of(entry),
            KNOWN_HOW[entry.record.provenance],
            "possible" if entry.record.nullable else "never",
            entry.record.note,
        )
        for entry in facts.entries
        if entry.written
    )


def _limits(facts: ReleaseFacts) -> tuple[str, ...]:
    """Return what the report's hazards leave open."""
    return tuple(f"{h.name}: {h.residual}" for h in facts.report.hazards if h.status != "addressed")
