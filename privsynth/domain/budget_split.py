"""How the domain's budget is cut: between texts, frequent values of numbers, and trees; for `synthesize` and `plan`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from privsynth.privacy.unit_weights import Look

# Where values as frequent as this come out if all get about as much, all do, and one look at texts is enough.
EVEN = 0.02
FIRST_LOOK = 0.3  # of the price of texts otherwise, and of their δ


@dataclass(frozen=True)
class Prices:
    """How much of the domain's μ² is for a column of texts, a line's frequent values, and its tree; to each other."""

    text: float
    atoms: float
    tree: float


# What a tree misses of a number is less than what a column of texts loses whose categories do not come out.
SCARCE, AMPLE = Prices(2.0, 0.25, 0.75), Prices(1.0, 1.0, 0.75)


def domain_prices(*, texts: int, keyed: int, lines: int, mu_squared: float, each: Prices) -> tuple[float, float, float]:
    """Return the μ² of the texts, of frequent values of numbers, and of the trees; from public and paid facts.

    Args:
      texts: number of open columns of texts.
      keyed, lines: number of lines whose frequent values are looked for, and of all lines.
      each: weights of one of them.
    """
    wanted = [each.text * texts, each.atoms * keyed, each.tree * lines]
    whole = mu_squared * (1 - 1e-9) / max(math.fsum(wanted), 1e-12)
    return wanted[0] * whole, wanted[1] * whole, wanted[2] * whole


def choose_prices(
    look: Look, *, texts: int, keyed: int, lines: int, mu_squared: float, delta_of_values: float, n_rows: float
) -> Prices:
    """Return the weights that suit the number of rows.

    Args:
      look: how rows are counted.
      texts, keyed, lines, mu_squared: see `domain_prices`.
      delta_of_values: for the threshold of frequent values.
      n_rows: the paid number of rows, or a guess.
    """
    of_values = domain_prices(texts=texts, keyed=keyed, lines=lines, mu_squared=mu_squared, each=AMPLE)[1]
    return AMPLE if keyed and look.least(keyed, of_values, delta_of_values) <= EVEN * n_rows else SCARCE
