"""Answers from a release: the command `privsynth answer`, called from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from privsynth import _validate
from privsynth.extras import needs

if TYPE_CHECKING:
    from privsynth.release.noisy.answer import AnswerResult


@needs("sample")
def answer(
    release: str | Path,
    question: str,
    *,
    table: str | None = None,
    confidence: float = 0.95,
    sampling: bool = False,
) -> AnswerResult:
    """Answer a question about the real rows of a release from the noisy tables that it paid for, with intervals.

    Everything that it reads was published: it costs no budget, and everybody gets the same answer.

    Args:
      release: its public folder, or the folder that holds it.
      question: such as "mean(age) by ward where sex = F"; statistics are count, share, mean, sum, median and quantile.
      table: of linked tables, the one that is asked; None for the one that has the columns.
      confidence: of each interval by itself.
      sampling: whether intervals also cover that the rows are a sample of more people like them.
    Returns:
      The figures, with what their intervals cover and what not; `to_frame()` for pandas.
    Raises:
      ConfigError: the question cannot be read, or no paid table holds its answer; the message says what is nearest.
      SourceError: the folder holds no noisy tables.
    """
    from privsynth.release.noisy.answer import answer as run

    _validate.paths(release=release)
    _validate.texts(question=question, table=table)
    _validate.flags(sampling=sampling)
    _validate.inside(0, 1, confidence=confidence)
    return run(release, question, table=table, confidence=confidence, sampling=sampling)
