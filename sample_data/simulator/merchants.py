"""The code book of card payments: countries, categories and merchants. All merchants are invented."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from simulator.draws import pick, zipf_weights

COUNTRY_CODES = (  # by how often cards of this bank are used there
    *("DE", "FR", "NL", "AT", "IT", "ES", "GB", "LU", "CH", "IE", "US", "BE", "PL", "DK"),
    *("CZ", "GR", "PT", "SE", "TR", "HR", "HU", "NO", "RO", "CN", "JP", "FI", "TH", "AE"),
    *("CA", "EE", "LT", "BG", "MX", "BR", "ZA", "SG", "AU", "HK", "IN", "CY", "MT", "IS"),
)
_NOT_EURO = "GBP CHF USD PLN DKK CZK SEK TRY HUF NOK RON CNY JPY THB AED CAD BGN MXN BRL ZAR SGD AUD HKD INR ISK"
_CURRENCIES = {currency[:2]: currency for currency in _NOT_EURO.split()}
CURRENCY_OF = np.array([_CURRENCIES.get(country, "EUR") for country in COUNTRY_CODES])
CURRENCIES = tuple(dict.fromkeys(CURRENCY_OF.tolist()))
HOMES = {"DE": 0.80, "AT": 0.07, "NL": 0.06, "FR": 0.04, "LU": 0.03}
CHANNELS = ("chip", "contactless", "online", "atm")
AGE_BANDS = ("18-25", "26-35", "36-45", "46-55", "56-65", "66-75", "76+")
AGE_SHARES = (0.12, 0.20, 0.19, 0.18, 0.15, 0.10, 0.06)
N_MERCHANTS = 300

SHOP = (1, 0, 0, 0, 0, 1, 4, 14, 30, 42, 52, 58, 55, 46, 46, 50, 58, 66, 62, 44, 20, 6, 2, 1)
MEAL = (5, 2, 1, 0, 0, 1, 5, 14, 16, 12, 14, 34, 62, 52, 22, 16, 18, 34, 56, 66, 54, 36, 22, 12)
WEB = (20, 12, 7, 5, 4, 4, 6, 14, 22, 28, 32, 32, 34, 32, 30, 30, 32, 36, 42, 52, 62, 62, 48, 30)
RIDE = (6, 4, 2, 1, 2, 10, 30, 56, 58, 32, 24, 24, 28, 28, 30, 38, 54, 58, 42, 28, 22, 20, 18, 12)
BATCH = (10, 22, 44, 54, 48, 34, 22, 14, 10, 9, 8, 8, 8, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, 6)


@dataclass(frozen=True)
class Category:
    """How people pay for something.

    Attributes:
      weight: relative number of payments.
      median, spread: of the amount in euros, log-normal.
      style: how prices are written: cents, ninety_nine, round, notes, list or gift.
      online: share paid on the web, for a person of 46 to 55.
      hours: relative number of payments in each hour of the day.
      ages: slope of the weight over the age bands; above 0 older people pay more often.
      abroad: relative weight on a trip.
    """

    weight: float
    median: float
    spread: float
    style: str
    online: float
    hours: tuple[int, ...]
    ages: float = 0.0
    abroad: float = 0.0


CATEGORIES = {
    "groceries": Category(23, 27, 0.85, "cents", 0.02, SHOP, 0.05, 10),
    "restaurants": Category(13, 19, 0.75, "cents", 0.06, MEAL, -0.10, 40),
    "online_retail": Category(9, 33, 0.95, "ninety_nine", 1.0, WEB, -0.06),
    "fuel": Category(7, 52, 0.45, "round", 0.0, RIDE, 0.04, 7),
    "cash": Category(6, 90, 0.75, "notes", 0.0, SHOP, 0.16, 12),
    "subscriptions": Category(6, 10, 0.5, "list", 1.0, BATCH, -0.14),
    "public_transport": Category(6, 6, 0.9, "round", 0.25, RIDE, -0.12, 14),
    "clothing": Category(4.5, 44, 0.75, "ninety_nine", 0.4, SHOP, -0.05, 8),
    "pharmacy": Category(4, 14, 0.7, "cents", 0.08, SHOP, 0.14, 4),
    "home_and_garden": Category(3.5, 34, 0.95, "ninety_nine", 0.15, SHOP, 0.04),
    "entertainment": Category(3, 18, 0.7, "round", 0.45, MEAL, -0.10, 10),
    "utilities": Category(2.4, 66, 0.6, "cents", 1.0, BATCH, 0.05),
    "gaming": Category(2.2, 12, 0.9, "list", 1.0, WEB, -0.45),
    "electronics": Category(2, 110, 1.1, "ninety_nine", 0.5, SHOP, -0.05, 1),
    "health": Category(2, 42, 0.9, "cents", 0.1, SHOP, 0.15, 1),
    "travel": Category(1.8, 190, 0.95, "cents", 0.85, WEB, 0.0, 6),
    "hotels": Category(1.6, 145, 0.7, "round", 0.55, WEB, 0.04, 14),
    "charity": Category(0.9, 22, 0.9, "gift", 0.8, WEB, 0.14),
    "money_transfer": Category(0.9, 120, 1.0, "gift", 1.0, WEB, -0.08),
    "jewellery": Category(0.4, 150, 1.2, "ninety_nine", 0.25, SHOP, 0.02, 1),
}
CATEGORY_NAMES = tuple(CATEGORIES)
PRICE_LIST = np.array([0.99, 1.99, 2.99, 4.99, 5.99, 7.99, 9.99, 12.99, 14.99, 17.99, 19.99, 29.99, 49.99, 99.99])
PRICE_WEIGHTS = (3, 5, 5, 12, 6, 8, 22, 12, 8, 7, 6, 4, 2, 0.7)
GIFTS = np.array([1, 5, 10, 15, 20, 25, 30, 50, 100, 150, 200, 250, 300, 500, 1000, 2000])


BIG_RANK, NEAR_BY = 4, 12


def _merchants_of_categories() -> tuple[np.ndarray, np.ndarray]:
    """Return category and rank of each merchant: more merchants where people pay more often."""
    shares = np.sqrt([category.weight for category in CATEGORIES.values()])
    counts = np.floor(shares / shares.sum() * N_MERCHANTS).astype(int)
    counts[0] += N_MERCHANTS - counts.sum()
    return np.repeat(np.arange(len(counts)), counts), np.concatenate([np.arange(1, n + 1) for n in counts])


_CATEGORY, _RANK = _merchants_of_categories()
MERCHANT_NAMES = tuple(f"{CATEGORY_NAMES[at]}_{rank:02d}" for at, rank in zip(_CATEGORY, _RANK, strict=True))


@dataclass(frozen=True)
class Merchants:
    """The merchants of the code book; every field is (n,).

    Attributes:
      category: index of the category.
      weight: how often chosen within its category.
      seat: index of the country from which it sells on the web.
      price: index of the price that its list begins with.
    """

    category: np.ndarray
    weight: np.ndarray
    seat: np.ndarray
    price: np.ndarray


def merchant_book(rng: RandomState) -> Merchants:
    """Return the merchants, a few of them far bigger than the rest; the big ones sit in countries near by."""
    seats = zipf_weights(len(COUNTRY_CODES), 1.35)
    seats[0] *= 3
    seat = pick(rng, seats, N_MERCHANTS)
    return Merchants(
        category=_CATEGORY,
        weight=zipf_weights(N_MERCHANTS, 1.05)[_RANK - 1],
        seat=np.where(_RANK <= BIG_RANK, seat % NEAR_BY, seat),
        price=pick(rng, PRICE_WEIGHTS, N_MERCHANTS),
    )


def written_price(rng: RandomState, amount: np.ndarray, category: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Return euros with two decimals, as the merchants of a category write them: 9.99, 50.00, 37.42."""
    n, luck = len(amount), rng.random_sample(len(amount))
    cents = np.round(amount, 2)
    nines = np.where(luck < 0.62, np.floor(amount) + np.where(luck < 0.47, 0.99, 0.95), cents)
    step = np.select([amount < 8, amount < 30], [0.5, 1.0], 5.0)
    rounded = np.where(luck < 0.55, np.maximum(1, np.round(amount / step)) * step, cents)
    note = np.select([amount < 75, amount < 260], [10.0, 50.0], 100.0)
    notes = np.clip(np.round(amount / note), 1, None) * note
    listed = PRICE_LIST[np.clip(price + pick(rng, (8, 2, 1), n), 0, len(PRICE_LIST) - 1)]
    gifts = GIFTS[np.abs(np.log(GIFTS)[None, :] - np.log(amount)[:, None]).argmin(axis=1)]
    styles = np.array([kind.style for kind in CATEGORIES.values()])[category]
    kinds = ("ninety_nine", "round", "notes", "list", "gift")
    return np.round(np.select([styles == kind for kind in kinds], [nines, rounded, notes, listed, gifts], cents), 2)
