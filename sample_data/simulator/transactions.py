"""The table of card transactions: what people buy, and what thieves do with their cards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState

from simulator.draws import happens, pick, pick_rows, shuffled_ids, zipf_weights
from simulator.merchants import (
    AGE_BANDS,
    AGE_SHARES,
    CATEGORIES,
    CATEGORY_NAMES,
    CHANNELS,
    COUNTRY_CODES,
    CURRENCY_OF,
    HOMES,
    MERCHANT_NAMES,
    Merchants,
    merchant_book,
    written_price,
)

N_ACCOUNTS = 4_000
N_TRANSACTIONS = 50_000
FRAUD_SHARE = 0.004
START = np.datetime64("2024-01-01T00:00:00")
N_DAYS = 182
DAY, HOUR = 86_400, 3_600  # seconds
WEEKDAYS = (0.92, 0.94, 0.96, 1.02, 1.2, 1.26, 0.78)  # 2024-01-01 was a Monday
CONTACTLESS_LIMIT = 50.0  # euros; above it the card asks for chip and PIN, a phone does not
CHIP, CONTACTLESS, ONLINE, ATM = range(len(CHANNELS))
LARGEST = 14_000.0


@dataclass(frozen=True)
class Accounts:
    """What stays the same for an account; (n,), `favourites` is (n, categories) merchant indices."""

    ids: np.ndarray
    age: np.ndarray
    home: np.ndarray
    activity: np.ndarray
    wealth: np.ndarray
    trip_start: np.ndarray
    trip_end: np.ndarray
    trip_to: np.ndarray
    favourites: np.ndarray


@dataclass(frozen=True)
class Payments:
    """Transactions before they are written down; every field is (n,)."""

    account: np.ndarray
    second: np.ndarray
    amount: np.ndarray
    merchant: np.ndarray
    country: np.ndarray
    channel: np.ndarray
    fraud: np.ndarray


def simulate_transactions(
    *, seed: int, n_accounts: int = N_ACCOUNTS, n_transactions: int = N_TRANSACTIONS
) -> dict[str, np.ndarray]:
    """Return the columns of the table, by time."""
    rng = RandomState(seed)
    merchants = merchant_book(rng)
    accounts = _accounts(rng, n_accounts, merchants)
    n_fraud = round(FRAUD_SHARE * n_transactions)
    honest = _honest(rng, accounts, merchants, n_transactions - n_fraud)
    stolen = _stolen(rng, accounts, merchants, n_fraud)
    paid = Payments(*(np.concatenate(pair) for pair in zip(vars(honest).values(), vars(stolen).values(), strict=True)))
    order = np.lexsort((paid.account, paid.second))
    paid = Payments(*(values[order] for values in vars(paid).values()))
    return {
        "transaction_id": shuffled_ids(rng, "T", n_transactions, 8),
        "account": accounts.ids[paid.account],
        "time": (START + paid.second.astype("timedelta64[s]")).astype(str),
        "amount": paid.amount,
        "currency": CURRENCY_OF[paid.country],
        "merchant_category": np.array(CATEGORY_NAMES)[merchants.category[paid.merchant]],
        "merchant": np.array(MERCHANT_NAMES)[paid.merchant],
        "country": np.array(COUNTRY_CODES)[paid.country],
        "channel": np.array(CHANNELS)[paid.channel],
        "card_present": paid.channel != ONLINE,
        "age_band": np.array(AGE_BANDS)[accounts.age[paid.account]],
        "is_fraud": paid.fraud,
    }


def _accounts(rng: RandomState, n: int, merchants: Merchants) -> Accounts:
    home = np.array([COUNTRY_CODES.index(code) for code in HOMES])[pick(rng, list(HOMES.values()), n)]
    age = pick(rng, AGE_SHARES, n)
    trip_start = np.where(rng.random_sample(n) < 0.55, rng.randint(0, N_DAYS, n), N_DAYS)
    away = zipf_weights(len(COUNTRY_CODES), 0.7)
    trip_to = pick(rng, away, n)
    trip_to = np.where(trip_to == home, (trip_to + 4) % len(COUNTRY_CODES), trip_to)
    favourites = np.empty((n, len(CATEGORIES)), dtype=int)
    for at in range(len(CATEGORIES)):
        of_category = np.flatnonzero(merchants.category == at)
        favourites[:, at] = of_category[pick(rng, merchants.weight[of_category], n)]
    return Accounts(
        ids=shuffled_ids(rng, "A", n, 6),
        age=age,
        home=home,
        activity=np.exp(0.66 * rng.standard_normal(n) - 0.08 * np.maximum(0, age - 3)),
        wealth=0.3 * rng.standard_normal(n) + np.array((-0.35, -0.05, 0.08, 0.12, 0.1, 0.0, -0.12))[age],
        trip_start=trip_start,
        trip_end=trip_start + rng.randint(3, 17, n),
        trip_to=trip_to,
        favourites=favourites,
    )


def _honest(rng: RandomState, accounts: Accounts, merchants: Merchants, n: int) -> Payments:
    """Return n honest payments; every account has at least one."""
    n_accounts = len(accounts.ids)
    more = pick(rng, accounts.activity, n - n_accounts)
    account = np.concatenate([np.arange(n_accounts), more])
    days = np.arange(N_DAYS)
    day = pick(rng, np.array(WEEKDAYS)[days % 7], n)
    travelling = (day >= accounts.trip_start[account]) & (day < accounts.trip_end[account])
    category = _category(rng, accounts.age[account], travelling)
    merchant = _merchant(rng, accounts.favourites[account, category], category, merchants)
    amount = _amount(rng, category, merchants.price[merchant], accounts.wealth[account])
    channel = _channel(rng, category, accounts.age[account], amount)
    here = np.where(travelling, accounts.trip_to[account], accounts.home[account])
    country = np.where(channel == ONLINE, _web_country(rng, merchants.seat[merchant], accounts.home[account]), here)
    amount = _converted(rng, amount, country)
    hour = _hour(rng, category, accounts.age[account], channel)
    second = day * DAY + hour * HOUR + rng.randint(0, HOUR, n)
    return Payments(account, second, amount, merchant, country, channel, np.zeros(n, dtype=bool))


def _category(rng: RandomState, age: np.ndarray, travelling: np.ndarray) -> np.ndarray:
    kinds = CATEGORIES.values()
    slope = np.array([kind.ages for kind in kinds])
    usual = np.array([kind.weight for kind in kinds]) * np.exp(np.outer(age - 3, slope))
    abroad = np.array([kind.abroad for kind in kinds])
    on_the_web = 0.25 * usual * np.array([kind.online == 1.0 for kind in kinds])
    return pick_rows(rng, np.where(travelling[:, None], abroad + on_the_web, usual))


def _merchant(rng: RandomState, favourite: np.ndarray, category: np.ndarray, merchants: Merchants) -> np.ndarray:
    """Return the account's favourite more often than not, else any merchant of the category."""
    result = favourite.copy()
    other = rng.random_sample(len(result)) < 0.45
    for at in range(len(CATEGORIES)):
        of_category = np.flatnonzero(merchants.category == at)
        chosen = other & (category == at)
        result[chosen] = of_category[pick(rng, merchants.weight[of_category], int(chosen.sum()))]
    return result


def _amount(rng: RandomState, category: np.ndarray, price: np.ndarray, wealth: np.ndarray) -> np.ndarray:
    median = np.array([kind.median for kind in CATEGORIES.values()])[category]
    spread = np.array([kind.spread for kind in CATEGORIES.values()])[category]
    amount = median * np.exp(spread * rng.standard_normal(len(category)) + wealth)
    return written_price(rng, amount.clip(0.5, LARGEST), category, price)


def _converted(rng: RandomState, amount: np.ndarray, country: np.ndarray) -> np.ndarray:
    """Return the euros billed: prices in another currency lose their round figures."""
    foreign_currency = CURRENCY_OF[country] != "EUR"
    rate = np.exp(0.25 * rng.standard_normal(len(amount)))
    return np.round(np.where(foreign_currency, amount * rate, amount), 2).clip(0.01, LARGEST)


def _channel(rng: RandomState, category: np.ndarray, age: np.ndarray, amount: np.ndarray) -> np.ndarray:
    online = np.array([kind.online for kind in CATEGORIES.values()])[category]
    online = np.where(online < 1, online * np.array((1.3, 1.25, 1.15, 1.0, 0.85, 0.65, 0.45))[age], online)
    tap = np.array((0.92, 0.9, 0.84, 0.77, 0.68, 0.56, 0.42))[age]
    tap = np.where(amount > CONTACTLESS_LIMIT, 0.35 * tap**2, tap)
    by_card = np.where(happens(rng, tap), CONTACTLESS, CHIP)
    paid = np.where(happens(rng, online), ONLINE, by_card)
    return np.where(category == CATEGORY_NAMES.index("cash"), ATM, paid)


def _web_country(rng: RandomState, seat: np.ndarray, home: np.ndarray) -> np.ndarray:
    """Return where the web merchant sells from: often its branch in the customer's country."""
    return np.where(rng.random_sample(len(seat)) < 0.45, home, seat)


def _hour(rng: RandomState, category: np.ndarray, age: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """Return the hour of the day; the young pay later at night, cash machines never close."""
    hours = np.array([kind.hours for kind in CATEGORIES.values()], dtype=float)[category]
    late = np.isin(np.arange(24), (21, 22, 23, 0, 1, 2, 3))
    hours *= np.where(late[None, :], np.exp(0.25 * (2 - age))[:, None], 1.0)
    hours[channel == ATM] += 2.0
    web = np.array(CATEGORIES["online_retail"].hours, dtype=float)
    shop_on_the_web = (channel == ONLINE) & (np.array([kind.online < 1 for kind in CATEGORIES.values()])[category])
    hours[shop_on_the_web] = web
    return pick_rows(rng, hours)


def _stolen(rng: RandomState, accounts: Accounts, merchants: Merchants, n: int) -> Payments:
    """Return n fraudulent payments: mostly large, on the web, abroad and at night."""
    rows: list[tuple[int, int, float, int, int, int]] = []
    while len(rows) < n:
        victim = int(pick(rng, accounts.activity, 1)[0])
        crime = (_spree_abroad, _skimmed_card, _stolen_wallet, _takeover)[int(pick(rng, (58, 14, 14, 14), 1)[0])]
        rows += crime(rng, victim, int(accounts.home[victim]), merchants)
    account, second, amount, merchant, country, channel = (np.array(values) for values in zip(*rows[:n], strict=True))
    return Payments(account, second, np.round(amount, 2), merchant, country, channel, np.ones(n, dtype=bool))


Row = tuple[int, int, float, int, int, int]  # account, second, amount, merchant, country, channel


def _spree_abroad(rng: RandomState, victim: int, home: int, merchants: Merchants) -> list[Row]:
    """A stolen card number on foreign web shops, mostly at night; a test of a euro may come first."""
    at_night = rng.random_sample() < 0.75
    second = rng.randint(0, N_DAYS) * DAY + (rng.randint(0, 4 * HOUR) if at_night else rng.randint(6 * HOUR, DAY))
    country = _foreign(rng, home, (1, 2, 6, 7, 9, 10, 10, 12, 18, 20, 22, 23, 26, 33))
    rows: list[Row] = []
    if rng.random_sample() < 0.3:
        rows.append(
            (
                victim,
                second,
                float(rng.choice((0.0, 1.0))) + 1.0,
                _any(rng, merchants, "gaming"),
                country,
                ONLINE,
            )
        )
    for _ in range(1 + int(rng.randint(0, 4))):
        second += 90 + int(rng.exponential(700))
        kind = ("electronics", "jewellery", "online_retail", "travel", "money_transfer", "gaming")
        merchant = _any(rng, merchants, str(kind[int(pick(rng, (34, 14, 20, 12, 14, 6), 1)[0])]))
        amount = float(np.exp(5.35 + 0.85 * rng.standard_normal()))
        if rng.random_sample() < 0.25:
            amount = float(rng.choice((100.0, 199.99, 200.0, 250.0, 499.0, 500.0, 999.0)))
        rows.append((victim, second, min(amount, LARGEST), merchant, country, ONLINE))
    return rows


def _skimmed_card(rng: RandomState, victim: int, home: int, merchants: Merchants) -> list[Row]:
    """A copied card at a foreign cash machine, before and after midnight because limits are per day."""
    second = rng.randint(0, N_DAYS - 1) * DAY + 23 * HOUR + rng.randint(1800, 3500)
    country = _foreign(rng, home, (10, 18, 22, 26, 32, 33))
    rows: list[Row] = []
    for part in range(1 + int(rng.random_sample() < 0.6)):
        amount = float(100 * rng.randint(2, 7)) * float(np.exp(0.05 * rng.standard_normal()))
        rows.append(
            (
                victim,
                second + part * rng.randint(1800, 4000),
                amount,
                _any(rng, merchants, "cash"),
                country,
                ATM,
            )
        )
    return rows


def _stolen_wallet(rng: RandomState, victim: int, home: int, merchants: Merchants) -> list[Row]:
    """A stolen card in the shops of the town, just below the limit of contactless payments."""
    second = rng.randint(0, N_DAYS) * DAY + rng.randint(12, 21) * HOUR
    rows: list[Row] = []
    for _ in range(1 + int(rng.randint(0, 4))):
        second += 240 + int(rng.exponential(900))
        amount = CONTACTLESS_LIMIT - float(rng.gamma(1.2, 4.0)) % 30
        kind = ("fuel", "groceries", "pharmacy", "clothing", "electronics")[int(pick(rng, (3, 4, 2, 2, 2), 1)[0])]
        rows.append((victim, second, amount, _any(rng, merchants, kind), home, CONTACTLESS))
    return rows


def _takeover(rng: RandomState, victim: int, home: int, merchants: Merchants) -> list[Row]:
    """One large payment on the web at home, by somebody who has the password."""
    second = rng.randint(0, N_DAYS) * DAY + rng.randint(8 * HOUR, 23 * HOUR)
    kind = ("money_transfer", "electronics", "travel")[int(pick(rng, (5, 3, 2), 1)[0])]
    amount = float(np.exp(6.1 + 0.7 * rng.standard_normal()))
    if kind == "money_transfer":
        amount = max(50.0, 50 * round(amount / 50))
    return [(victim, second, min(amount, LARGEST), _any(rng, merchants, kind), home, ONLINE)]


def _foreign(rng: RandomState, home: int, often: tuple[int, ...]) -> int:
    """Return a country that is not the home, most often one of these."""
    country = int(rng.choice(often)) if rng.random_sample() < 0.75 else int(rng.randint(0, len(COUNTRY_CODES)))
    return country if country != home else often[0]


def _any(rng: RandomState, merchants: Merchants, kind: str) -> int:
    of_category = np.flatnonzero(merchants.category == CATEGORY_NAMES.index(kind))
    return int(of_category[pick(rng, np.sqrt(merchants.weight[of_category]), 1)[0]])
