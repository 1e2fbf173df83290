"""Hazards of a differential privacy claim, and what was done about each.

The list follows the themes of NIST SP 800-226 (2025); the wording is ours. A function of public facts only.
"""

from __future__ import annotations

from privsynth.report.records.judgement import Hazard

ELSEWHERE = "a table from elsewhere"
UNTRAINED = ("marginal",)


def hazards(generator: str, *, holdout: bool, package: str = "") -> tuple[Hazard, ...]:
    """Return the hazard table of a release, or of the audit of a table that was made elsewhere.

    Args:
      generator: its name, or `ELSEWHERE`; the table of a network differs from that of noisy tables.
      holdout: whether units were held out for the audit.
      package: the distribution of a generator that is not part of privsynth; "" for ours.
    """
    if generator == ELSEWHERE or generator.startswith("sdv:"):
        return (*_without_promise(), _holdout(holdout), _FAITH, _BIAS, _RECORDS, _PUBLISH)
    trained = generator not in UNTRAINED
    return (
        *_CLAIM,
        *([_outside(generator, package)] if package else []),
        *_PROCESS,
        *_mechanism(trained),
        _precision(trained),
        *_MACHINE,
        _holdout(holdout),
        _FAITH,
        _BIAS,
        _RECORDS,
        _PUBLISH,
    )


_CLAIM = (
    Hazard(
        name="Whose privacy, against which change",
        addressed="The unit and the neighbouring relation stand next to epsilon; the unit has no default.",
        evidence="The guarantee section; each mechanism states its sensitivity for all rows of a unit.",
        residual="People linked to a unit (relatives, colleagues) are protected only as far as their own rows are.",
        status="addressed",
    ),
    Hazard(
        name="Many rows of one person",
        addressed="At most a declared number of rows of a unit is used, chosen at random before any value is read.",
        evidence="Noise is scaled to all rows of a unit; replay tests on tables without a whole unit.",
        residual="A person with two identifiers is two units. Where the unit is a row, only single rows are protected.",
        status="addressed",
    ),
    Hazard(
        name="Large or incomparable epsilon",
        addressed="Epsilon is total and end to end; this report translates it into odds.",
        evidence="The section on what it means for one person; the list of every noisy release.",
        residual="Which epsilon is acceptable is for people to decide, not for this tool.",
        status="partly",
    ),
    Hazard(
        name="Delta too large",
        addressed="Delta is a constant of the run, by default one in a million; it never depends on the rows.",
        evidence="It stands next to epsilon; the list of noisy releases shows how much of it each of them takes.",
        residual="Delta should be far below one over the number of people; with more people, choose a smaller one.",
        status="addressed",
    ),
)


def _outside(generator: str, package: str) -> Hazard:
    return Hazard(
        name="A generator that is not part of privsynth",
        addressed=f"The generator {generator} is from the package {package}; it passed the shipped contract tests.",
        evidence="On made-up rows it learned only through mechanisms and kept to its declared sensitivities.",
        residual="The guarantee rests on that package's own proof: it sees coded rows, and no test rules out a leak.",
        status="open",
    )


_PROCESS = (
    Hazard(
        name="Bounds, categories and bins read off the data",
        addressed="They are declared by a person, or bought with noise and thresholds from the same budget.",
        evidence="The table of columns says how each is known; tests compare every public byte between neighbours.",
        residual="A declaration that was copied from the data is outside the promise.",
        status="addressed",
    ),
    Hazard(
        name="The number of rows",
        addressed="Bought once with noise, or declared public; by default the synthetic table has that many rows.",
        evidence="The list of noisy releases.",
        residual="None known.",
        status="addressed",
    ),
    Hazard(
        name="Averages and other derived figures",
        addressed="Sums are released with noise and divided afterwards by the noisy number of rows.",
        evidence="The list of noisy releases gives their sensitivity, or the documentation of the guarantee does.",
        residual="Ratios of small noisy numbers are imprecise; their intervals say so.",
        status="addressed",
    ),
    Hazard(
        name="Composition and repeated releases",
        addressed="A ledger adds up every release of a dataset, failed runs included, and refuses to exceed its cap.",
        evidence="The officer's report shows the account; the whole budget is reserved before the first row is read.",
        residual="The ledger does not know the same people in datasets of other names, or in other tools.",
        status="partly",
    ),
    Hazard(
        name="Figures about real rows in the report",
        addressed="The public report holds only noisy releases and figures of synthetic rows.",
        evidence="The public report refuses an officer's finding; tests on neighbouring tables and planted values.",
        residual="The officer's report holds exact figures and must stay inside.",
        status="addressed",
    ),
    Hazard(
        name="Tuning, early stopping, trying again",
        addressed="Steps, sampling rate and noise are set beforehand from public facts; there is one attempt.",
        evidence="Training and selection read no exact loss; no synthetic row is filtered against real rows.",
        residual="Running again until the result pleases costs the budget of every run, and the ledger shows it.",
        status="addressed",
    ),
)

_MACHINE = (
    Hazard(
        name="Mistakes in the implementation",
        addressed="Noise is added in one place, costs are charged before noise is drawn, and the code is open to read.",
        evidence="The project's tests: whole runs on neighbouring tables, planted values, seeded faults, attacks.",
        residual="Tests find faults but cannot prove that there are none. No outside party has certified this version.",
        status="partly",
    ),
    Hazard(
        name="Random numbers",
        addressed="Noise, samples and coins come from ChaCha20 and AES keyed by the operating system, without a seed.",
        evidence="The seed in this report is for the synthetic rows only.",
        residual="The operating system's random number generator is trusted.",
        status="addressed",
    ),
    Hazard(
        name="Timing and other side channels",
        addressed="Durations stay with the officer; sampling is offline.",
        evidence="No duration is in the public folder.",
        residual="The promise does not cover somebody who can watch the machine while it runs.",
        status="open",
    ),
    Hazard(
        name="People and machines that hold the raw rows",
        addressed="Raw rows stay where they are; temporary files are private and are wiped.",
        evidence="Rows are sent nowhere; the public folder is written separately from the officer's.",
        residual="Whoever could read the source still can: this is the central model of privacy, not the local one.",
        status="partly",
    ),
)

_BIAS = Hazard(
    name="Bias",
    addressed="Shares, rates and errors of protected groups are shown with intervals, small groups included.",
    evidence="The section on bias; 'insufficient evidence' is never left out.",
    residual="Noise affects small groups more; a synthetic table can under-represent them.",
    status="partly",
)

_RECORDS = Hazard(
    name="What counts as a record",
    addressed="A damaged cell becomes missing and never stops a run; one record spans a bounded part of a file.",
    evidence="Tests with stray quotes, NUL bytes, and ragged and undecodable rows.",
    residual="Records are what the parser makes of the file: a stray quote can merge one record with the next.",
    status="partly",
)

_PUBLISH = Hazard(
    name="The decision to publish",
    addressed="A person decides, and records it by hand at the end of this report.",
    evidence="The section 'Decision'.",
    residual="A decision based on the officer's figures is itself outside epsilon.",
    status="open",
)

_FAITH = Hazard(
    name="Synthetic rows mistaken for facts, or for private by nature",
    addressed="Privacy comes from the noise, not from the rows being synthetic; fidelity is measured and shown.",
    evidence="The sections on fidelity and utility, with intervals; the label SYNTHETIC at the foot of the page.",
    residual="A use that was not tested here may fail without warning. Validate conclusions on real rows.",
    status="partly",
)


def _mechanism(trained: bool) -> tuple[Hazard, ...]:
    if not trained:
        return (
            Hazard(
                name="Memorisation by a model",
                addressed="There is no trained network: the model is a function of noisy contingency tables.",
                evidence="The model files hold only what was declared, or released with noise, and functions of it.",
                residual="None known: the guarantee covers the model files too; sampling from them is free.",
                status="addressed",
            ),
        )
    return (
        Hazard(
            name="Memorisation by a model",
            addressed="Training gradients are clipped per unit, summed, and noise is added; units are Poisson sampled. "
            "No public data is used for pre-training.",
            evidence="Accounting by privacy loss distributions, checked by a second accountant in the tests.",
            residual="None known: the guarantee covers the model files too; sampling from them is free.",
            status="addressed",
        ),
    )


def _precision(trained: bool) -> Hazard:
    if trained:
        residual = "Gradients are computed in floating point; the slack for their rounding is argued, not proven."
    else:
        residual = "Noisy tables are integers; what is computed from them afterwards costs nothing, exact or not."
    return Hazard(
        name="Finite precision",
        addressed="Counts are integers and get exactly rounded Gaussian noise; other sums are put on a grid first, "
        "with slack for the rounding.",
        evidence="The distribution of the noise is tested against exact probabilities.",
        residual=residual,
        status="partly" if trained else "addressed",
    )


def _holdout(holdout: bool) -> Hazard:
    if holdout:
        return Hazard(
            name="People held out for the audit",
            addressed="They are compared with the training rows, to tell what was memorised from what is common.",
            evidence="In a release, fair coins choose them, and one promise protects them and the training rows alike.",
            residual="With few held-out people an audit can see only gross leaks; its ceiling is printed beside it.",
            status="addressed",
        )
    return Hazard(
        name="No independent rows for the audit",
        addressed="No units were held out, so membership cannot be judged against people who were not in the data.",
        evidence="The membership audit says 'insufficient evidence'.",
        residual="Only the guarantee, where there is one, says anything about membership.",
        status="open",
    )


def _without_promise() -> tuple[Hazard, ...]:
    return (
        Hazard(
            name="No promise that this tool can vouch for",
            addressed="The report claims no epsilon for this table, whatever its maker claims.",
            evidence="There is no section on what was promised.",
            residual="Privacy rests on what the maker can show. Failed attacks are no substitute.",
            status="open",
        ),
        Hazard(
            name="Attacks stand in for proof",
            addressed="Attacks are reported with intervals and baselines.",
            evidence="The sections on membership, disclosure and alarms.",
            residual="A better attack may exist, or be found later.",
            status="open",
        ),
        Hazard(
            name="Exact figures about real people",
            addressed="The report is marked INTERNAL and never offered for publication.",
            evidence="The banner at its top; its findings are the officer's.",
            residual="Every figure in it is personal data.",
            status="open",
        ),
    )
