"""Sentences that several documents share, each in one place."""

from __future__ import annotations

from privsynth.errors import Option
from privsynth.exports.facts import ReleaseFacts
from privsynth.report.format_numbers import interval, number
from privsynth.report.sheet.nouns import unit_noun
from privsynth.wording.words import words

SYNTHETIC = (
    "The rows in this folder are synthetic: a model invented them. No row describes a real person, and a row that "
    "looks like somebody's says nothing about them."
)
GOOD_FOR = (
    "to write and test software, queries and analysis plans before you see real data;",
    "to teach, and to explore which questions the real table could answer;",
    "to estimate counts, shares and means within the errors that the report states.",
)
NOT_FOR = (
    "to decide about a person, or to look for one;",
    "to publish a finding that was not confirmed on the real rows;",
    "to study groups that the report calls too small, or columns that it calls noise;",
    "to conclude that data are anonymous or that a law is met: that is for people to judge.",
)
ZEROS = (
    "Codes of digits, such as postcodes, may begin with 0. Spreadsheets, pandas, R and DuckDB take them for numbers in "
    "a CSV file and drop that zero, unless you have them read the column as text."
)


def promise(facts: ReleaseFacts) -> str:
    """Return the guarantee in a sentence; reference tables are excepted, which are public and have none."""
    g = facts.guarantee
    whose = unit_noun(g)
    public = [file.table for file in facts.data if file.reference]
    tables = f"reference {'table' if len(public) == 1 else 'tables'} {words().listed(public)}"
    apart = f", apart from the public {tables}, passed through unchanged," if public else ""
    rows = f" ({rows_of_unit(g.max_rows_per_unit)})" if g.max_rows_per_unit else ""
    return (
        f"Everything in this folder together{apart} is ({g.epsilon:g}, {g.delta:g})-differentially private for each "
        f"{whose}{rows}: it would have come out about as likely, within the bounds of epsilon = {g.epsilon:g} and "
        f"delta = {g.delta:g}, had that {whose} not been in the data. Whatever anyone does with it changes nothing "
        "about that."
    )


def rows_of_unit(most: int) -> str:
    """Return how many rows of a unit are used."""
    return "one row of each is used" if most == 1 else f"at most {most:,} rows of each are used"


def size(facts: ReleaseFacts) -> str:
    """Return how much there is."""
    rows = sum(file.rows for file in facts.data if not file.reference)
    written = sum(entry.written for entry in facts.entries)
    tables = sum(not file.reference for file in facts.data)
    of = f" in {tables} tables" if tables > 1 else ""
    return f"{rows:,} synthetic rows{of}, {written} {'column' if written == 1 else 'columns'}"


def accuracy(facts: ReleaseFacts) -> tuple[str, ...]:
    """Return what is worth something, and the mean distances from the real table."""
    found = []
    if (judged := facts.report.usability) is not None:
        found += [f"{name}: {text}." for name, text in judged.lines()]
    of = {"tvd_1way_mean": "single columns", "tvd_2way_mean": "pairs of columns", "tvd_3way_mean": "triples of columns"}
    for finding in facts.report.findings:
        if finding.name in of and finding.value is not None:
            where = f" of {finding.group}" if finding.group else ""
            found.append(
                f"Mean distance from the real table, {of[finding.name]}{where}: {number(finding.value)} "
                f"(95 % interval {interval(finding.low, finding.high)}; 0 is the same, 1 is nothing in common)."
            )
    return tuple(found)


def how_to_verify() -> str:
    """Return how a recipient checks the signature."""
    return (
        "With the signer's public key, which must reach you by another way than this folder: "
        f"privsynth verify FOLDER {Option('keyring', 'keyring.json').in_shell()} {Option('kind', 'public').in_shell()}"
    )
