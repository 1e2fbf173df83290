"""The hazards of a differential privacy claim, and what was done about each.

The list follows the themes of NIST SP 800-226 (2025); the wording is ours. A function of public facts only.
"""

from __future__ import annotations

from privsynth.report.model import Hazard


def hazards(generator: str, *, holdout: bool) -> tuple[Hazard, ...]:
    """Return the hazard table of a release.

    Args:
      generator: its name; the table of a network differs from that of noisy tables.
      holdout: whether units were held out for the audit.
    """
    trained = generator not in ("marginal",)
    return (
        Hazard(
            name="Whose privacy, against which change",
            addressed="The unit and the neighbouring relation stand next to epsilon; the unit has no default.",
            evidence="The guarantee section; each mechanism states its sensitivity for all rows of a unit.",
            residual="People linked to a unit (relatives, colleagues) are protected only as far as their own rows are.",
            status="addressed",
        ),
        Hazard(
            name="Many rows of one person",
            addressed="At most a declared number of rows of a unit is used, drawn at random before anything looks.",
            evidence="Noise is scaled to all rows of a unit; replay tests on tables without a whole unit.",
            residual="A person who appears under two identifiers is two units.",
            status="addressed",
        ),
        Hazard(
            name="Large or incomparable epsilon",
            addressed="Epsilon is total and end to end; its meaning is translated into odds in this report.",
            evidence="The section on what epsilon means; the list of every paid release.",
            residual="Which epsilon is acceptable is a decision of people, not of this tool.",
            status="partly",
        ),
        Hazard(
            name="Bounds, categories and bins read off the data",
            addressed="They are declared by a person, or bought with noise and thresholds from the same budget.",
            evidence="The table of columns names the provenance of each; the stub test compares every public byte.",
            residual="A declaration that was copied from the data is outside the promise.",
            status="addressed",
        ),
        Hazard(
            name="The number of rows",
            addressed="Bought once with noise, or declared public; the synthetic table has the noisy number.",
            evidence="The list of paid releases.",
            residual="None known.",
            status="addressed",
        ),
        Hazard(
            name="Composition and repeated releases",
            addressed="A ledger adds up every release of a dataset and refuses beyond its cap, failed runs included.",
            evidence="The officer's report shows the account; the whole budget is reserved before the first look.",
            residual="The same people in datasets of other names, or in other tools, are not known to the ledger.",
            status="partly",
        ),
        Hazard(
            name="Figures about real rows in the report",
            addressed="The public report holds paid releases and figures of synthetic rows only.",
            evidence="The report's types refuse an officer's finding; stub and needle tests.",
            residual="The officer's report holds exact figures and must stay inside.",
            status="addressed",
        ),
        Hazard(
            name="Tuning, early stopping, trying again",
            addressed="Steps, sampling rate and noise are fixed by public facts before the first look; one attempt.",
            evidence="Nothing in training or selection reads an exact loss; no row is filtered against real rows.",
            residual="Running again until a result pleases costs the budget of every run, and the ledger shows it.",
            status="addressed",
        ),
        Hazard(
            name="Memorisation by a model",
            addressed="Training gradients are clipped a unit, summed and noised (Opacus, Poisson sampling of units)."
            if trained
            else "There is no trained network: the model is a function of noisy tables.",
            evidence="Accounting by privacy loss distributions, checked by a second accountant in the tests."
            if trained
            else "The model file holds nothing but what was paid for.",
            residual="The guarantee covers the model file too; sampling from it is free.",
            status="addressed",
        ),
        Hazard(
            name="Random numbers",
            addressed="Noise, samples and coins come from ChaCha20 and AES keyed by the operating system, without a "
            "seed.",
            evidence="The seed in this report is of the synthetic rows alone.",
            residual="The operating system's generator is trusted.",
            status="addressed",
        ),
        Hazard(
            name="Finite precision",
            addressed="Counts are integers and get exactly rounded Gaussian noise; fractions are put on a grid first, "
            "with slack for the rounding.",
            evidence="The distribution of the noise is tested against exact probabilities.",
            residual="Clipped gradients are computed in floating point; the slack covers their rounding, which is "
            "argued and not proven."
            if trained
            else "None known for counts; distances of tables are put on a grid with slack.",
            status="partly" if trained else "addressed",
        ),
        Hazard(
            name="Timing and other side channels",
            addressed="Durations stay with the officer; sampling is offline.",
            evidence="No duration is in the public folder.",
            residual="Whoever can watch the machine while it runs is outside the promise.",
            status="open",
        ),
        Hazard(
            name="What counts as a record",
            addressed="A damaged cell becomes missing and never stops a run; one record spans a bounded part of a file.",
            evidence="Tests with stray quotes, NUL bytes, ragged and undecodable rows.",
            residual="Records are what the parser makes of the file: a stray quote can merge a record with the next.",
            status="partly",
        ),
        Hazard(
            name="People held out for the audit" if holdout else "No independent rows for the audit",
            addressed="A fair coin sends units of the pool to training or holdout; both are protected by the same promise."
            if holdout
            else "No units were held out, so membership could not be judged against people who were not in the data.",
            evidence="Figures on both parts are charged by their sum.",
            residual="None known." if holdout else "The audit of membership says 'insufficient evidence'.",
            status="addressed" if holdout else "open",
        ),
        Hazard(
            name="Bias",
            addressed="Shares, rates and errors of protected groups are shown with intervals, small groups included.",
            evidence="The section on bias; 'insufficient evidence' is never left out.",
            residual="Noise weighs heavier on small groups; a synthetic table can under-represent them.",
            status="partly",
        ),
        Hazard(
            name="The decision to publish",
            addressed="It is a person's, recorded by hand at the end of this report.",
            evidence="The decision block.",
            residual="A decision that looks at the officer's figures is itself outside epsilon.",
            status="open",
        ),
    )
