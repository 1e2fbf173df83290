"""ISO 8583: messages that pyiso8583 writes in all formats, a file of a site's own fields, and bytes that are none."""

from __future__ import annotations

import json
import struct
import sys

import iso8583
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso8583.specs import default, default_ascii

from privsynth.errors import ConfigError, MissingPackageError, SchemaError, SourceError
from privsynth.schema.definition import Column
from privsynth.sources import SkippedCells, SourceOptions, open_source
from privsynth.sources.iso8583.layout import COLUMNS, FORMATS, LENGTHS, Framing
from privsynth.sources.protocol import source_format_of, stated_types_of

CARD = "4111111111111111"
PAYMENT = {
    "t": "0100", "2": CARD, "3": "003000", "4": "000000001250", "7": "0229103000", "11": "000042", "12": "113000",
    "13": "0229", "14": "2812", "18": "5411", "19": "276", "22": "051", "25": "00", "35": f"{CARD}D2812",
    "37": "R00000000001", "38": "A1B2C3", "39": "00", "41": "TERM0001", "42": "MERCHANT0000001",
    "43": f"{'SECRET SHOP':<38}DE", "49": "978", "52": "0011223344556677", "55": "9F2608AABB", "102": "SECRET",
}  # fmt: skip
CELLS = {
    "card": CARD, "message": "0100", "transaction_type": "00", "from_account": "30", "to_account": "00",
    "amount": "1250", "currency": "978", "trace": "000042", "local_month": "2", "local_day": "29", "local_hour": "11",
    "mcc": "5411", "acquirer_country": "276", "entry_mode": "05", "pin_capability": "1", "condition": "00",
    "reference": "R00000000001", "authorization": "A1B2C3", "response": "00", "terminal": "TERM0001",
    "merchant": "MERCHANT0000001",
}  # fmt: skip


def message(form="ascii", **changes):
    fields = {**PAYMENT, **{name.removeprefix("f"): value for name, value in changes.items()}}
    spec = Framing.of(f"x?format={form}").fields()
    encoded, _ = iso8583.encode({name: value for name, value in fields.items() if value is not None}, spec)
    return bytes(encoded)


def framed(*messages, length="2"):
    prefix = {
        "2": lambda n: struct.pack(">H", n), "4": lambda n: struct.pack(">I", n), "ascii4": lambda n: b"%04d" % n,
    }  # fmt: skip
    if length == "line":
        return b"\n".join(messages)
    return b"".join(prefix[length](len(one)) + one for one in messages)


@pytest.fixture
def card_file(tmp_path):
    """Write a file of messages and return what names it."""

    def _write(content, query=""):
        (tmp_path / "auth.dat").write_bytes(content)
        return f"iso8583:{tmp_path}/auth.dat{query}"

    return _write


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("length", LENGTHS)
def test_every_format_and_length_gives_the_same_cells(form, length, card_file, read):
    query = f"?format={form}&length={length}"
    if length == "line" and form != "ascii":
        with pytest.raises(ConfigError, match=r"length=line .* needs format=ascii"):
            open_source(card_file(b"x", query))
        return
    content = framed(message(form), b"", message(form, f2="5500000000000004", f42=None), length=length)
    result = read(card_file(content, query))
    assert {name: cells[0] for name, cells in result.columns.items()} == CELLS
    assert (result.columns["card"][1], result.columns["merchant"][1]) == ("5500000000000004", None)
    assert result.skipped == {}
    assert not any(secret in str(result.columns) for secret in ("SECRET", "2812", "9F26", "0011223344556677"))


def test_formats_are_those_of_published_messages(card_file, read):
    """A message in hex as pyiso8583's own documentation gives it, and packed by hand as ISO 8583 says."""
    documented = b"02004010100000000000161234567890123456123456111"
    result = read(card_file(documented, "?length=line"), columns=("message", "card", "local_hour"))
    assert result.columns == {"message": ["0200"], "card": ["1234567890123456"], "local_hour": ["12"]}
    # Type 0800; bits 3, 4, 11; 6, 12 and 6 digits, two a byte.
    packed = bytes.fromhex("0800 3020000000000000 000000 000000001234 000042".replace(" ", ""))
    result = read(card_file(framed(packed), "?format=bcd"), columns=("message", "amount", "trace"))
    assert result.columns == {"message": ["0800"], "amount": ["1234"], "trace": ["000042"]}
    odd = bytes.fromhex("0100 4000000000000000 15 0378282246310005".replace(" ", ""))  # 15 digits, a 0 in front
    assert read(card_file(framed(odd), "?format=bcd")).columns["card"] == ["378282246310005"]


def test_the_specs_of_the_library_read_what_this_layout_reads(card_file, read):
    for form, spec in (("ascii", default_ascii), ("ascii-binary", default)):
        encoded, _ = iso8583.encode(dict(PAYMENT), spec)
        result = read(card_file(framed(bytes(encoded)), f"?format={form}"))
        assert {name: cells[0] for name, cells in result.columns.items()} == CELLS


def test_what_the_standard_says_is_stated(card_file):
    source = open_source(card_file(framed(message()), "?year=2024"))
    stated = stated_types_of(source).columns
    assert stated["card"] == stated["reference"] == Column(kind="id", roles=("identifier",))
    assert stated["mcc"].hierarchy.name == "mcc"
    assert stated["acquirer_country"].hierarchy.name == "iso3166_numeric"
    assert stated["currency"] == Column(kind="categorical")
    assert str(stated["transmitted"].maximum) == "2024-12-31 23:59:59"
    assert "amount" in source_format_of(source).whole_numbers
    assert set(source.names) == {*COLUMNS, "transmitted"}


def test_times_need_a_year(card_file, read):
    content = framed(message(), message(f7=None), message(f7="1331000000"))
    result = read(card_file(content, "?year=2024"))
    assert result.columns["transmitted"] == ["2024-02-29T10:30:00", None, None]
    assert result.skipped == {"unreadable_cells": 1}
    assert read(card_file(content, "?year=2023"), columns=("transmitted",)).columns["transmitted"][0] is None
    with pytest.raises(SchemaError, match="no column named 'transmitted'"):
        open_source(card_file(content), SourceOptions(columns=("transmitted",)))


def test_parts_of_fields(card_file, read):
    columns = read(card_file(framed(message(f3="123456", f12="235958", f13="1231", f22="901")))).columns
    found = {name: cells[0] for name, cells in columns.items()}
    assert (found["transaction_type"], found["from_account"], found["to_account"]) == ("12", "34", "56")
    assert (found["local_month"], found["local_day"], found["local_hour"]) == ("12", "31", "23")
    assert (found["entry_mode"], found["pin_capability"]) == ("90", "1")


def test_fields_of_a_site(tmp_path, card_file, read):
    spec = tmp_path / "site.json"
    spec.write_text(json.dumps({"11": {"max_len": 12}, "h": {"max_len": 5}}))
    fields = Framing.of(f"x?spec={spec}").fields()
    encoded, _ = iso8583.encode({**PAYMENT, "h": "ISO00", "11": "123456789012"}, fields)
    result = read(card_file(framed(bytes(encoded)), f"?spec={spec}"))
    assert (result.columns["trace"], result.columns["currency"]) == (["123456789012"], ["978"])
    for wrong in ("SECRET", "[1]", '{"300": {}}', '{"11": {"max_len": "x"}}', '{"11": {"other": 1}}', '{"11": 1}'):
        spec.write_text(wrong)
        with pytest.raises(ConfigError, match="is no file of fields") as caught:
            open_source(card_file(b"x", f"?spec={spec}"))
        assert "SECRET" not in str(caught.value)


def test_messages_that_cannot_be_taken_apart_are_left_out(card_file, read):
    broken = [b"0100", message()[:-1], message() + b"x", b"0100ZZZZ", b"0100" + b"F" * 32, bytes(range(200))]
    result = read(card_file(framed(message(), *broken, message())))
    assert (result.columns["card"], result.skipped) == ([CARD] * 2, {"unusable_records": len(broken)})


@pytest.mark.parametrize("n_broken", [1, 99])
def test_damaged_messages_at_the_beginning_refuse_no_file(n_broken, card_file, read):
    result = read(card_file(framed(*[b"\xff\xffSECRET"] * n_broken, message())))
    assert (result.columns["card"], result.skipped) == ([CARD], {"unusable_records": n_broken})


def test_files_before_the_first_whole_message_refuse_no_folder(tmp_path, read):
    (tmp_path / "a.dat").write_bytes(framed(b"SECRET"))
    (tmp_path / "b.dat").write_bytes(framed(message()))
    assert read(f"iso8583:{tmp_path}").columns["card"] == [CARD]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("n_bytes", [(1 << 16) + 1, (1 << 16) + 3, 3 << 16])
def test_a_line_that_is_too_long_is_left_out_and_counted(end, n_bytes, card_file, read):
    long = message().ljust(n_bytes, b"x")
    for lines in ([message(), long, message()], [long, message(), message()], [message(), message(), long]):
        result = read(card_file(end.join(lines), "?length=line"))
        assert (result.columns["card"], result.skipped) == ([CARD] * 2, {"long_lines": 1})
    result = read(card_file(end.join([message(), long[: 1 << 16], message()]), "?length=line"))
    assert result.skipped == {"unusable_records": 1}  # not too long, and no message


def test_cells_that_are_no_numbers_are_missing(card_file, read):
    result = read(card_file(framed(message(f4="00000000A250", f13="X229"))))
    assert (result.columns["amount"], result.columns["local_month"], result.columns["local_day"]) == (
        [None],
        [None],
        ["29"],
    )
    assert result.skipped == {"unreadable_cells": 2}


NOT_WHOLE = {
    "a message that ends too early": (framed(message())[:-5], "", "ends inside a message"),
    "a length that ends": (framed(message()) + b"\0", "", "ends inside a message"),
    "a length of no message": (b"0100SECRET", "?length=4", "has what is no message"),
    "no digits": (framed(message(), length="ascii4") + b"SECRET", "?length=ascii4", "has what is no message"),
    "a length below nought": (
        framed(message(), length="ascii4") + b"-001SECRET",
        "?length=ascii4",
        "what is no message",
    ),
    "one line": (b"0100" + b"0" * (1 << 17), "?length=line", "does not begin with a message in this format"),
    "damaged ones": (framed(*[b"SECRET"] * 3), "", "does not begin with a message in this format"),
    "another format": (framed(message("ascii")), "?format=ebcdic", "does not begin with a message in this format"),
    "packed": (framed(message("bcd")), "", "does not begin with a message in this format"),
    "text": (b"SECRET,1\n2,3\n", "?length=line", "does not begin with a message in this format"),
}


@pytest.mark.parametrize("what", NOT_WHOLE)
def test_what_is_no_file_of_messages_is_told(what, card_file):
    content, query, problem = NOT_WHOLE[what]
    with pytest.raises(SourceError, match=problem) as caught:
        list(open_source(card_file(content, query)).batches(SkippedCells()))
    assert "SECRET" not in str(caught.value)
    assert CARD not in str(caught.value)


@given(
    st.sampled_from([(form, length) for form in FORMATS for length in LENGTHS if form == "ascii" or length != "line"]),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=6),
)
def test_mutations_break_nothing_and_are_not_repeated(tmp_path_factory, kind, places):
    form, length = kind
    content = bytearray(framed(message(form), message(form, f2="5500000000000004"), length=length))
    for place, new in places:
        content[place : place + len(new)] = new
    path = tmp_path_factory.mktemp("fuzz") / "x.dat"
    path.write_bytes(bytes(content))
    problem = ""
    try:
        for batch in open_source(f"iso8583:{path}?format={form}&length={length}").batches(SkippedCells()):
            assert batch.schema.names == list(COLUMNS)
    except SourceError as error:
        problem = str(error)
    assert not any(secret in problem for secret in (CARD, "5500000000000004", "SECRET"))


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path, read):
    for name in ("b.dat", "a.dat", ".hidden"):
        (tmp_path / name).write_bytes(framed(message(f11=f"00000{ord(name[0]) % 10}")))
    assert read(f"iso8583:{tmp_path}").columns["trace"] == ["000007", "000008"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [("?colour=1", "'colour' is no key"), ("?format=x", "format=x is not known"),
     ("?length=3", "length=3 is not known"), ("?year=24", "needs a year")],
)  # fmt: skip
def test_absurd_keys_are_refused(query, problem, card_file):
    with pytest.raises(ConfigError, match=problem):
        open_source(card_file(framed(message()), query))


def test_what_is_missing_is_told(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="is a folder without files"):
        open_source(f"iso8583:{tmp_path}/empty")
    with pytest.raises(SourceError, match="does not exist"):
        open_source(f"iso8583:{tmp_path}/none.dat?format=bcd")
    for name in [name for name in sys.modules if name.startswith(("iso8583", "privsynth.sources.iso8583."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "iso8583", None)
    with pytest.raises(MissingPackageError, match=r"install privsynth\[iso8583\]"):
        open_source(f"iso8583:{tmp_path}/none.dat")
