"""The screen for identifiers: check digits, shapes, names, and few false alarms."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from faker import Faker
from hypothesis import given
from hypothesis import strategies as st

from privsynth.audit.disclosure import pii_patterns
from privsynth.audit.disclosure.pii_patterns import HIPAA, SHAPES, kind_of_name, luhn, matches
from privsynth.audit.disclosure.pii_screen import FALSE_ALARM, pii, screen

BY_NAME = {shape.name: shape for shape in SHAPES}
VALID = {
    "e-mail address": ["a.b+c@example.org", "X@mail.example.co.uk"],
    "web address": ["https://example.org/a?b=1", "www.example.org/x"],
    "IP address": ["192.0.2.1", "2001:db8::1"],
    "MAC address": ["00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7"],
    "social security number": ["078-05-1120"],
    "telephone number": ["+44 20 7946 0958", "(555) 123-4567", "555-123-4567"],
    "UUID": ["123e4567-e89b-12d3-a456-426614174000"],
    "ZIP+4 code": ["02139-4307"],
    "date": ["2020-02-29", "1999-12-31T23:59:01"],
    "payment card number": ["4111 1111 1111 1111", "378282246310005", "5555-5555-5555-4444", "6011111111111117"],
    "IBAN": ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"],
    "NHS number": ["943 476 5919", "4010232137"],
    "National Provider Identifier": ["1234567893"],
    "IMEI": ["490154203237518", "35-209900-176148-1"],
    "vehicle identification number": ["1M8GDM9AXKP042788", "1HGCM82633A004352"],
    "DEA number": ["AB1234563"],
    "UK national insurance number": ["AB123456C", "AB 12 34 56 D"],
    "Dutch citizen service number": ["111222333"],
    "Polish PESEL number": ["44051401359", "02070803628"],
    "Spanish DNI or NIE": ["12345678Z", "X1234567L"],
    "French social security number": ["255081416802538", "1 85 05 78 006 084 91"],
    "Italian tax code": ["RSSMRA85T10A562S"],
    "Swedish personal number": ["811228-9874", "198112289874"],
    "German tax identification number": ["86095742719", "65 929 970 489"],
    "German health insurance number": ["A123456780"],
}
INVALID = {
    "e-mail address": ["a@b", "plain", "a b@example.org"],
    "IP address": ["999.1.1.1", "12:30:15"],
    "social security number": ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "078051120"],
    "telephone number": ["5551234567", "12-34", "2020-01-01"],
    "date": ["2020-13-01", "2020"],
    "payment card number": ["4111111111111112", "9111111111111111", "12345"],
    "IBAN": ["GB82WEST12345698765433"],
    "NHS number": ["9434765918"],
    "National Provider Identifier": ["1234567890", "3234567893"],
    "IMEI": ["490154203237517"],
    "vehicle identification number": ["1M8GDM9A1KP042788", "11111111111111111"],
    "DEA number": ["AB1234560"],
    "UK national insurance number": ["ZZ123456A", "AB123456E"],
    "Dutch citizen service number": ["111222334"],
    "Polish PESEL number": ["44051401358", "44131401359"],
    "Spanish DNI or NIE": ["12345678A", "X1234567Z"],
    "French social security number": ["255081416802539"],
    "Italian tax code": ["RSSMRA85T10A562T"],
    "Swedish personal number": ["811228-9875", "811328-9874"],
    "German tax identification number": ["86095742718", "06095742719"],
    "German health insurance number": ["A123456781"],
}
CASES = [(name, text, True) for name, texts in VALID.items() for text in texts]
CASES += [(name, text, False) for name, texts in INVALID.items() for text in texts]


@pytest.mark.parametrize(
    ("locale", "method", "name"),
    [("nl_NL", "ssn", "Dutch citizen service number"), ("pl_PL", "pesel", "Polish PESEL number"),
     ("es_ES", "nie", "Spanish DNI or NIE"), ("fr_FR", "ssn", "French social security number"),
     ("it_IT", "ssn", "Italian tax code"), ("sv_SE", "ssn", "Swedish personal number"),
     ("en_GB", "iban", "IBAN"), ("en_US", "credit_card_number", "payment card number")],
)  # fmt: skip
def test_numbers_that_faker_invents_pass(locale, method, name):
    fake = Faker(locale)
    fake.seed_instance(7)
    found = [matches(BY_NAME[name], str(getattr(fake, method)())) for _ in range(200)]
    assert found.count(True) > (150 if method == "credit_card_number" else 190)  # it knows kinds that few have


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.chance], ids=lambda shape: shape.name)
def test_a_wrong_check_digit_is_seen(shape):
    """Of texts that differ in the last sign alone at most one passes, as each check promises of a single error."""
    for text in VALID[shape.name]:
        signs = "0123456789" if text[-1].isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        others = [text[:-1] + sign for sign in signs if sign != text[-1]]
        if shape.name != "vehicle identification number":  # its check digit stands inside
            assert not any(matches(shape, other) for other in others)


def test_the_page_on_identifiers_lists_all_kinds():
    page = (Path(__file__).parents[3] / "docs" / "identifiers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-R]) \| ", page, flags=re.M)
    assert rows == [words[1] for words in HIPAA.values()]


def test_every_shape_has_an_example():
    assert set(VALID) == set(BY_NAME)
    assert {shape.kind for shape in SHAPES} <= set(HIPAA)
    assert len(HIPAA) == 18


@pytest.mark.parametrize(("name", "text", "valid"), CASES)
def test_shapes(name, text, valid):
    assert (matches(BY_NAME[name], text) is True) == valid


def naive_luhn(digits):
    total = 0
    for place, digit in enumerate(digits[::-1]):
        value = int(digit)
        if place % 2:
            value = value * 2
            value = value - 9 if value > 9 else value
        total += value
    return total % 10 == 0


@given(st.text("0123456789", min_size=1, max_size=19))
def test_luhn_against_the_textbook(digits):
    assert luhn(digits) == naive_luhn(digits)
    assert sum(luhn(digits + check) for check in "0123456789") == 1


@given(st.text(max_size=60))
def test_any_text_can_be_screened(text):
    for shape in SHAPES:
        matches(shape, text)


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.chance], ids=lambda s: s.name)
def test_the_stated_chance_is_the_chance(shape):
    """5,000 random cells of the form; five standard errors: a false alarm in 6e-7."""
    rng = np.random.default_rng(1)
    letters = np.array(list("ABCDEFGHJKLMNPRSTUVWXYZ"))

    def digits(k):
        return f"{rng.integers(0, 10**k):0{k}d}"

    make = {
        "payment card number": lambda: "4" + digits(15),
        "IBAN": lambda: "DE" + digits(10) + digits(10),
        "NHS number": lambda: digits(10),
        "National Provider Identifier": lambda: "1" + digits(9),
        "IMEI": lambda: "35" + digits(13),
        "vehicle identification number": lambda: (
            "".join(letters[rng.integers(0, 23, 8)]) + "0123456789X"[rng.integers(11)] + digits(8)
        ),
        "DEA number": lambda: "AB" + digits(7),
        "Dutch citizen service number": lambda: digits(9),
        "Polish PESEL number": lambda: "440514" + digits(5),
        "Spanish DNI or NIE": lambda: digits(8) + "TRWAGMYFPDXBNJZSQVHLCKE"[rng.integers(23)],
        "French social security number": lambda: "1" + digits(14),
        "Italian tax code": lambda: "RSSMRA85T10A" + digits(3) + chr(65 + rng.integers(26)),
        "Swedish personal number": lambda: "811228-" + digits(4),
        "German tax identification number": lambda: "8" + digits(10),
        "German health insurance number": lambda: "A" + digits(9),
    }[shape.name]
    passed = np.array([matches(shape, make()) for _ in range(5_000)], dtype=float)
    assert abs(passed.mean() - shape.chance) < 5 * np.sqrt(shape.chance / 5_000)


NAMES = {
    "first_name": "name", "patientName": "name", "Surname": "name", "name": "name", "zip_code": "geography",
    "home_address": "geography", "phone2": "phone", "faxNumber": "fax", "E-Mail": "email", "ssn": "ssn",
    "social_security_no": "ssn", "MRN": "record", "medical_record_number": "record", "health_plan_id": "plan",
    "account_no": "account", "driver_license": "licence", "license_plate": "vehicle", "device_id": "device",
    "serial-number": "device", "website": "url", "ip_address": "ip", "fingerprint_hash": "biometric",
    "photo": "photo", "uuid": "other", "date_of_birth": "date", "dob": "date",
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), NAMES.items())
def test_names(name, kind):
    assert kind_of_name(name) == kind


@pytest.mark.parametrize(
    "name",
    ["country_name", "product_name", "filename", "age", "income", "education_num", "cell_count", "state", "sex",
     "vintage", "shipping", "hospital_name", "capital_gain", "native_country", "contact", "plate_count", "emailed"],
)  # fmt: skip
def test_names_that_promise_nothing(name):
    assert kind_of_name(name) is None


def found(frame, kinds=None, visibility="officer"):
    return {f.group: f for f in screen(frame.items(), kinds or {}, visibility=visibility) if f.group}


def cards(n, rng):
    bodies = [f"4{rng.integers(0, 10**14):014d}" for _ in range(n)]
    return [next(body + check for check in "0123456789" if luhn(body + check)) for body in bodies]


def test_ordinary_numbers_are_no_cards():
    """A tenth of them passes. 10 tables of 5 columns, none named: at 1e-6 a test a false alarm in 5e-5."""
    rng = np.random.default_rng(2)
    for _ in range(10):
        frame = pd.DataFrame(
            {
                "a": rng.integers(4 * 10**15, 5 * 10**15, 300).astype(float),
                "b": rng.integers(10**9, 3 * 10**9, 300).astype(float),
                "c": rng.integers(35 * 10**13, 36 * 10**13, 300).astype(float),
                "d": np.arange(1_000_000_000, 1_000_000_300).astype(float),
                "e": np.full(300, 4_111_111_111_111_111.0),
            }
        )
        assert found(frame, dict.fromkeys("abcde", "integer")) == {}
    assert FALSE_ALARM <= 1e-6


def test_cards_among_other_numbers_are_found():
    rng = np.random.default_rng(3)
    numbers = cards(60, rng) + [f"4{rng.integers(0, 10**15):015d}" for _ in range(240)]
    hit = found(pd.DataFrame({"x": [float(n) for n in numbers]}), {"x": "integer"})["x (payment card number)"]
    assert (hit.verdict, hit.baseline, hit.detail["kind"]) == ("review", 0.1, "account")
    assert 0.2 < hit.value < 0.4
    assert found(pd.DataFrame({"x": numbers}))["x (payment card number)"].value == hit.value
    with_name = found(pd.DataFrame({"card_number": cards(3, rng)}))
    assert "card_number (payment card number)" in with_name, "three of three need the name's support"
    assert "x (payment card number)" not in found(pd.DataFrame({"x": cards(3, rng)}))


def test_isbn_is_no_nhs_number():
    rng = np.random.default_rng(4)
    books = []
    for _ in range(200):
        body = "".join(map(str, rng.integers(0, 10, 9)))
        rest = -sum(int(d) * w for d, w in zip(body, range(10, 1, -1), strict=True)) % 11
        books.append(body + ("X" if rest == 10 else str(rest)))
    frame = pd.DataFrame({"book": books})
    assert "book (NHS number)" not in found(frame)
    digits = [text for text in books if text[-1] != "X"]
    assert "patient (NHS number)" in found(pd.DataFrame({"patient": digits}))
    assert "isbn (NHS number)" not in found(pd.DataFrame({"isbn": digits}))


def test_dates_ages_and_postal_codes():
    dates = pd.to_datetime(["2020-01-01", "2021-01-01", "2021-06-03", None])
    frame = pd.DataFrame({"seen": dates, "age": [30.0, 89, 90, 101], "zip": ["021", "02139", "10001", None]})
    kinds = {"seen": "date", "age": "integer", "zip": "categorical"}
    hits = found(frame, kinds)
    assert hits["seen (dates finer than a year)"].value == pytest.approx(1 / 3)
    assert hits["age (ages over 89)"].value == 0.5
    assert hits["zip (postal codes finer than three digits)"].value == pytest.approx(2 / 3)
    assert {f.verdict for f in hits.values()} == {"info"}, "indirect: a person decides, nothing alarms"
    years = found(pd.DataFrame({"seen": dates[:2]}), {"seen": "date"})
    assert years == {}


def test_names_of_columns_need_cells_that_can_be_it():
    n = 100
    frame = pd.DataFrame(
        {
            "first_name": [f"Ann{chr(97 + i % 26)}" for i in range(n)],
            "email": np.arange(n, dtype=float),
            "phone": ["yes", "no"] * (n // 2),
            "badge": [f"K{i:05d}" for i in range(n)],
            "word": [f"{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(n)],
        }
    )
    hits = found(frame, {"email": "integer"})
    assert set(hits) == {"first_name", "badge (a code of its own for every row)"}
    assert hits["first_name"].detail["by"] == "name"


def test_no_cell_is_ever_shown(tables_of):
    needle = "zq.needle@example.org"
    frame = pd.DataFrame({"note": [needle] + ["plain"] * 99, "code": cards(100, np.random.default_rng(5))})
    tables = tables_of(frame, None, frame, kinds={}, targets=(), protected=())
    findings = pii(tables, rng=np.random.default_rng(0), context=None)
    assert {f.group for f in findings} >= {"note (e-mail address)", "code (payment card number)"}
    shown = str([f.to_json() for f in findings])
    assert "needle" not in shown
    assert not any(card in shown for card in frame["code"])


def test_the_synthetic_side_is_public_and_knows_no_real_row(people, tables_of):
    train, holdout, fresh = people
    one = pii(tables_of(train, holdout, fresh), rng=None, context=None)
    two = pii(tables_of(train.assign(region="x@example.org"), None, fresh), rng=None, context=None)
    public = [[f.to_json() for f in findings if f.visibility == "public"] for findings in (one, two)]
    assert public[0] == public[1]
    assert {f["name"] for f in public[0]} == {"pii_synthetic_columns", "pii_synthetic_column"}
    assert [f.value for f in two if f.name == "pii_columns"] == [1.0]
    assert [f.verdict for f in one if f.name.endswith("columns")] == ["info", "info"]


def test_empty_columns_and_tables():
    assert found(pd.DataFrame({"email": [None, None]})) == {}
    assert screen([], {}, visibility="public")[0].value == 0.0
    assert pii_patterns.words_of("homePhone_2") == ["home", "phone"]
