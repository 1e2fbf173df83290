"""ISO 20022: statements that the package mock-bank writes, transfers, and XML that is hostile or not whole."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import sys

import pytest

from privsynth.errors import ConfigError, MissingPackageError, SourceError
from privsynth.schema.definition import Column
from privsynth.sources import SkippedCells, SourceOptions, open_source
from privsynth.sources.iso20022 import messages
from privsynth.sources.protocol import stated_types_of

# A folder of sample messages of pacs.008, such as those in the package pacs008; they are not part of this repository.
SAMPLES = os.environ.get("PRIVSYNTH_PACS008_SAMPLES")
DAY = dt.date(2024, 2, 29)
NOW = dt.datetime(2024, 2, 29, 18, 0, tzinfo=dt.UTC)
ACCOUNT = {"iban": "DE89370400440532013000", "currency": "EUR", "name": "SECRET & Sons"}
TRANSFER = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08"><FIToFICstmrCdtTrf>
<GrpHdr><MsgId>m</MsgId><IntrBkSttlmDt>2024-03-01+01:00</IntrBkSttlmDt><PmtTpInf><SvcLvl><Cd>SEPA</Cd></SvcLvl></PmtTpInf>
</GrpHdr>{transfers}</FIToFICstmrCdtTrf></Document>"""
ONE = """<CdtTrfTxInf><PmtId><EndToEndId>e</EndToEndId></PmtId><PmtTpInf><CtgyPurp><Cd>SALA</Cd></CtgyPurp></PmtTpInf>
<IntrBkSttlmAmt Ccy="EUR">{amount}</IntrBkSttlmAmt><IntrBkSttlmDt>{date}</IntrBkSttlmDt><ChrgBr>SLEV</ChrgBr>
<Dbtr><Nm>SECRET</Nm><PstlAdr><Ctry>DE</Ctry></PstlAdr></Dbtr><DbtrAcct><Id><IBAN>DE1</IBAN></Id></DbtrAcct>
<CdtrAcct><Id><Othr><Id>77</Id></Othr></Id></CdtrAcct></CdtTrfTxInf>"""


def payment(number, **more):
    """Return a row as mock-bank keeps payments."""
    empty = dict.fromkeys(("pmt_inf_id", "instruction_id", "creditor_name", "creditor_iban", "creditor_bic"), "")
    row = {"id": number, "amount": 1_250 * number, "currency": "EUR", "msg_id": "m", "end_to_end_id": f"e{number}"}
    return {**empty, **row, "creditor_name": "SECRET", "return_reason": "AC04", **more}


@pytest.fixture
def statements(tmp_path):
    """Return a folder with a statement and a notification that mock-bank wrote."""
    from mockbank import messages as bank

    folder = tmp_path / "statements"
    folder.mkdir()
    rows = [payment(1), payment(2, credit=True), payment(3)]
    statement = bank.write_camt053(ACCOUNT, DAY, 7, 100_000, 97_500, rows, "M1", NOW, dt.UTC)
    notification = bank.write_camt054(ACCOUNT, rows[:1], DAY, "M2", NOW)
    (folder / "a.xml").write_bytes(statement)
    (folder / "b.xml.gz").write_bytes(gzip.compress(notification))
    (folder / "notes.txt").write_text("x")
    return folder


@pytest.fixture
def transfers(tmp_path):
    """Write transfers of (amount, date) and return what names them."""

    def _write(*pairs):
        path = tmp_path / "t.xml"
        path.write_text(TRANSFER.format(transfers="".join(ONE.format(amount=a, date=d) for a, d in pairs)))
        return f"iso20022:{path}"

    return _write


def test_entries_of_statements_and_notifications(statements, read):
    result = read(f"iso20022:{statements}", table="entry")
    columns = result.columns
    assert columns["account"] == [ACCOUNT["iban"]] * 4
    assert columns["amount"] == ["12.50", "25.00", "37.50", "12.50"]
    assert columns["credit_debit"] == ["DBIT", "CRDT", "DBIT", "DBIT"]
    assert columns["booking_date"] == columns["value_date"] == ["2024-02-29"] * 4
    assert set(columns["currency"]) == set(columns["account_currency"]) == {"EUR"}
    assert set(columns["status"]) == {"BOOK"}
    assert set(columns["domain"]) == {"PMNT"}
    assert columns["return_reason"] == [None, "AC04", None, None]
    assert "SECRET" not in str(columns)
    assert result.skipped == {}


def test_transfers_with_what_holds_for_all_of_a_message(transfers, read):
    result = read(transfers(("10.00", "2024-02-29Z"), ("7", "")), table="transfer")
    cells = [{name: column[row] for name, column in result.columns.items()} for row in range(2)]
    assert [cell["settlement_date"] for cell in cells] == ["2024-02-29", "2024-03-01"]
    assert {name for name, cell in cells[0].items() if cell is None} == {
        "instructed_amount", "instructed_currency", "local_instrument", "purpose", "debtor_agent", "creditor_agent",
        "creditor_country",
    }  # fmt: skip
    assert (cells[0]["debtor_account"], cells[0]["creditor_account"], cells[0]["debtor_country"]) == ("DE1", "77", "DE")
    assert (cells[0]["service_level"], cells[0]["category_purpose"]) == ("SEPA", "SALA")
    assert "SECRET" not in str(cells)


@pytest.mark.skipif(not SAMPLES, reason="PRIVSYNTH_PACS008_SAMPLES names no folder of sample messages")
def test_sample_messages_of_all_versions(read):
    result = read(f"iso20022:{SAMPLES}", table="transfer")
    assert result.table.n_rows >= 13
    for name in ("amount", "currency", "charge_bearer", "debtor_agent", "creditor_agent"):
        assert None not in result.columns[name]


def test_what_the_messages_define_is_stated(statements):
    stated = stated_types_of(open_source(f"iso20022:{statements}", SourceOptions(table="entry"))).columns
    assert stated["account"] == Column(kind="id", roles=("identifier",))
    assert stated["amount"] == Column(kind="numeric", minimum=0.0)
    assert stated["credit_debit"].categories == ("CRDT", "DBIT")
    assert stated["value_date"] == Column(kind="date")
    assert stated["family"] == Column(kind="categorical")


def test_the_account_of_one_statement_is_not_that_of_the_next(tmp_path, read):
    entry = '<Ntry><Amt Ccy="EUR">1</Amt></Ntry>'
    account = "<Acct><Id><IBAN>{}</IBAN></Id></Acct>"
    inside = f"<Stmt>{account.format('A')}{entry}</Stmt><Stmt>{entry}</Stmt><Stmt>{account.format('B')}{entry}</Stmt>"
    (tmp_path / "s.xml").write_text(f"<Document><BkToCstmrStmt>{inside}</BkToCstmrStmt></Document>")
    assert read(f"iso20022:{tmp_path / 's.xml'}", table="entry").columns["account"] == ["A", None, "B"]


def test_a_date_that_is_none_is_missing(transfers, read):
    result = read(transfers(("1", "29.02.2024"), ("x" * 20_000, "2024-02-29T10:00:00.5+01:00")), table="transfer")
    assert result.columns["settlement_date"] == [None, "2024-02-29"]
    assert result.columns["amount"] == ["1", None]
    assert result.skipped == {"unreadable_cells": 1, "long_cells": 1}


HOSTILE = {
    "a document type": '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    "an entity of a file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "a billion laughs": '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a>&y;</a>',
}


@pytest.mark.parametrize("what", HOSTILE)
def test_entities_are_refused(what, tmp_path):
    (tmp_path / "x.xml").write_text(HOSTILE[what])
    with pytest.raises(SourceError, match=r"x\.xml has a document type or entities"):
        list(open_source(f"iso20022:{tmp_path}", SourceOptions(table="entry")).batches(SkippedCells()))


@pytest.mark.parametrize("content", ["", "SECRET", "<a><b>SECRET</a>", "<a>\n<Ntry>", "<a/><b/>"])
def test_a_file_that_is_not_whole_is_named_with_its_line(content, tmp_path):
    (tmp_path / "x.xml").write_text(content)
    with pytest.raises(SourceError, match=r"line \d+ of .*x\.xml is no XML") as caught:
        list(open_source(f"iso20022:{tmp_path}", SourceOptions(table="entry")).batches(SkippedCells()))
    assert "SECRET" not in str(caught.value)


def test_depth_and_size_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(messages, "MAX_HELD_BYTES", 1 << 18)
    for name, content in (("deep", "<a>" * 50_000), ("large", "<a><Ntry>" + "x" * (1 << 19))):
        (tmp_path / f"{name}.xml").write_text(content)
        source = open_source(f"iso20022:{tmp_path}/{name}.xml", SourceOptions(table="entry"))
        with pytest.raises(SourceError, match="nested too deeply, or has a record that is too large"):
            list(source.batches(SkippedCells()))


def test_memory_does_not_hold_what_was_read(tmp_path, monkeypatch):
    monkeypatch.setattr(messages, "MAX_HELD_BYTES", 1 << 18)
    entry = '<Ntry><Amt Ccy="EUR">1</Amt></Ntry><Bal>x</Bal>\n'
    (tmp_path / "x.xml").write_text("<Document><Stmt>" + entry * 10_000 + "</Stmt></Document>")
    source = open_source(f"iso20022:{tmp_path}", SourceOptions(table="entry", batch_rows=1_000))
    assert [batch.num_rows for batch in source.batches(SkippedCells())] == [1_000] * 10


def test_what_is_not_there_is_told(tmp_path, statements, monkeypatch):
    with pytest.raises(ConfigError, match="has several tables: entry, transfer"):
        open_source(f"iso20022:{statements}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="is a folder without"):
        open_source(f"iso20022:{tmp_path / 'empty'}", SourceOptions(table="entry"))
    for name in [name for name in sys.modules if name.startswith(("defusedxml", "privsynth.sources.iso20022.m"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "defusedxml", None)
    with pytest.raises(MissingPackageError, match=r"install privsynth\[iso20022\]"):
        open_source(f"iso20022:{statements}", SourceOptions(table="entry"))
