"""HL7 v2: messages that hl7apy writes, its copy of the standard's tables, batches, and bytes that are hostile."""

from __future__ import annotations

import gzip
import os
import re

import pytest
from click.testing import CliRunner
from hl7apy.core import Message
from hl7apy.v2_5_1.fields import FIELDS
from hl7apy.v2_5_1.tables import TABLES
from hypothesis import given
from hypothesis import strategies as st

from privsynth.cli import main
from privsynth.errors import ConfigError, SourceError
from privsynth.schema.definition import Column
from privsynth.sources import SkippedCells, SourceOptions, open_source, open_tables, read_tables
from privsynth.sources.hl7 import tables
from privsynth.sources.hl7.layouts import LAYOUTS
from privsynth.sources.hl7.messages import Delimiters
from privsynth.sources.hl7.presets import PRESETS
from privsynth.sources.linked import Link
from privsynth.sources.protocol import stated_types_of

# A folder of messages, such as those in FHIR-Converter's data/SampleData/Hl7v2; they are not part of this repository.
SAMPLES = os.environ.get("PRIVSYNTH_HL7_SAMPLES")
HEADER = r"MSH|^~\&|HIS|H|LAB|H|20240229103000||ADT^A01^ADT_A01|1|P|2.5.1"


def written(kind, version="2.5.1", **fields):
    """Return a message that hl7apy writes, from the standard's names of fields: PID_8="F"."""
    message = Message(kind, version=version)
    segments = {name: message.add_segment(name) for name in dict.fromkeys(field[:3] for field in fields)}
    for name, value in fields.items():
        segment = segments[name[:3]]
        for repetition in [value] if isinstance(value, str) else value:
            segment.add_field(name.lower()).value = repetition
    return message.to_er7()


def admission(patient, visit, **more):
    fields = {
        "PID_3": [f"X{patient}^^^H^PI", f"{patient}^^^H^MR"],
        "PID_7": "19800131",
        "PID_8": "F",
        "PID_5": "SECRET^JANE",
    }
    fields |= {"PV1_2": "I", "PV1_19": visit, "PV1_44": "202402291030+0100"}
    return written("ADT_A01", **(fields | more))


@pytest.fixture
def messages(tmp_path):
    """Write bytes or texts as a file of messages and return what names it."""

    def _write(*content, name="m.hl7"):
        parts = [part if isinstance(part, bytes) else part.encode() for part in content]
        (tmp_path / name).write_bytes(b"\r".join(parts))
        return f"hl7:{tmp_path / name}"

    return _write


def rows_of(result):
    return [dict(zip(result.names, cells, strict=True)) for cells in zip(*result.columns.values(), strict=True)]


def test_fields_of_an_admission(messages, read):
    origin = messages(admission("7", "V1", PID_11="SECRET 1^^SECRET^MI^48001^USA", PV1_3="4E^SECRET^1^H", PID_30="N"))
    (patient,) = rows_of(read(origin, table="patient"))
    assert patient["patient"] == "7"  # the medical record number, not the first identifier
    assert (patient["sex"], patient["birth_date"], patient["state"], patient["country"]) == (
        "F",
        "1980-01-31",
        "MI",
        "USA",
    )
    (visit,) = rows_of(read(origin, table="visit"))
    assert (visit["visit"], visit["patient"], visit["patient_class"], visit["ward"]) == ("V1", "7", "I", "4E")
    assert (visit["admitted"], visit["discharged"]) == ("2024-02-29T10:30:00", None)  # as the message says it
    assert "SECRET" not in str(patient) + str(visit)


def test_results_with_their_panel_visit_and_value(messages, read):
    head = HEADER.replace("ADT^A01^ADT_A01", "ORU^R01^ORU_R01")
    lines = [head, "PID|1||7^^^H^MR", "PV1|1|I|||||||||||||||||V1", "OBR|1||F1|CBC^Count^L|||20240301"]
    lines += ["OBX|1|NM|718-7^Hb^LN||13.5|g/dL^^UCUM|12-16|N|||F|||202403010800"]
    lines += ["OBX|2|SN|GLU^x^L||=^5.5|mmol/L|||||F", "OBX|3|SN|GLU^x^L||>^5.5||||||F", "OBX|4|CE|ABO||A+^pos^L||||||C"]
    lines += ["OBX|5|TX|NOTE||SECRET 5||||||F", "OBX|6|NM|K||<5||||||F", "OBX|7|ST|K||4.1~9||||||F"]
    lines += ["OBR|2||F2|BMP", "OBX|1|NM|K||4||||||F"]
    result = read(messages("\r".join(lines)), table="observation")
    assert result.columns["value"] == ["13.5", "5.5", None, None, None, None, "4.1", "4"]
    assert result.columns["value_code"] == [None, None, None, "A+", None, None, None, None]
    assert result.columns["panel"] == ["CBC"] * 7 + ["BMP"]
    assert set(result.columns["visit"]) == {"V1"}
    assert result.columns["observed"][:2] == ["2024-03-01T08:00:00", "2024-03-01"]
    assert result.columns["observed"][-1] is None  # the time of the order before it is not its own
    assert (result.columns["unit"][0], result.columns["flag"][0]) == ("g/dL", "N")
    assert result.skipped == {"unreadable_cells": 1}
    assert "SECRET" not in str(result.columns)


def test_of_several_messages_about_a_visit_the_last_value_counts(messages, read):
    origin = messages(
        admission("7", "V1", PV1_10="MED", PV1_14="7"),
        admission("8", "V1"),  # a number is one visit of one patient
        admission("7", "V2"),
        admission("7", "V1", PV1_45="202403021200", PV1_10="SUR", PV1_14='""', PID_8="U"),
        admission("7", "V1", PV1_44=""),
    )
    visits = rows_of(read(origin, table="visit"))
    assert [(visit["patient"], visit["visit"]) for visit in visits] == [("7", "V1"), ("8", "V1"), ("7", "V2")]
    assert visits[0]["discharged"] == "2024-03-02T12:00:00"
    assert visits[0]["admitted"] == "2024-02-29T10:30:00"  # what a message leaves out stays
    assert (visits[0]["service"], visits[0]["admit_source"]) == ("SUR", None)  # '""' deletes
    patients = rows_of(read(origin, table="patient"))
    assert [(patient["patient"], patient["sex"]) for patient in patients] == [("7", "F"), ("8", "F")]


def test_a_patients_rows_depend_on_that_patients_messages_alone(messages, read):
    """What makes a person the unit: without one patient's messages the rows of all others are the same."""
    all_of_them = [admission(str(n % 3), f"V{n % 4}", PV1_10=f"S{n}") for n in range(24)]
    without = [message for n, message in enumerate(all_of_them) if n % 3 != 1]
    for table in ("patient", "visit"):
        with_all = [row for row in rows_of(read(messages(*all_of_them), table=table)) if row["patient"] != "1"]
        assert with_all == rows_of(read(messages(*without), table=table))


def test_rows_without_a_key_stay_rows_of_their_own(messages, read):
    nobody = [HEADER, "PID|1", "PV1|1|I", HEADER, "PID|1||7", "PV1|1|O", "PV1|2|E"]
    assert [row["patient_class"] for row in rows_of(read(messages("\r".join(nobody)), table="visit"))] == [
        "I",
        "O",
        "E",
    ]


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.6", "2.7", "2.8.2"])
def test_fields_keep_their_numbers_in_all_versions(version, messages, read):
    message = written("ADT_A01", version, PID_3="7", PID_8="M", PV1_2="O", PV1_19="V1", PV1_44="20240102")
    (visit,) = rows_of(read(messages(message), table="visit"))
    assert (visit["patient"], visit["visit"], visit["patient_class"]) == ("7", "V1", "O")
    assert visit["admitted"] == "2024-01-02"


@pytest.mark.parametrize("name", LAYOUTS)
def test_paths_and_codes_are_those_of_the_standard(name):
    """As hl7apy repeats them from HL7 2.5.1: tables, dates, and which codes each table lists."""
    for column in LAYOUTS[name].columns.values():
        fields = [FIELDS[re.sub(r"\..*", "", path).replace("-", "_")] for path in column.paths]
        if column.table:
            assert {field[4] for field in fields} == {f"HL7{column.table}"}
            listed = set(TABLES[f"HL7{column.table}"][1]) - {"null", "..."}
            more = {"CWE", "DR", "DTM", "ID", "IS"} if column.table == "0125" else set()  # types of later versions
            assert set(column.stated().categories) == listed | more
        elif column.meaning in ("date", "time"):
            assert {field[2] for field in fields} <= {"TS", "DT"}
        elif column.meaning == "flag":
            assert {field[4] for field in fields} == {"HL70136"}
        elif column.meaning == "key":
            assert {field[2] for field in fields} == {"CX"}


def test_what_the_standard_says_is_stated(messages):
    stated = stated_types_of(open_source(messages(admission("7", "V1")), SourceOptions(table="visit"))).columns
    assert stated["patient"] == Column(kind="id", roles=("identifier",))
    assert stated["patient_class"].categories == tuple("BCEINOPRU")
    assert (stated["admitted"].kind, stated["admitted"].precision) == ("datetime", 60)
    assert stated["ward"] == Column(kind="categorical")


def test_delimiters_of_a_message_are_its_own(messages, read):
    other = HEADER.replace("|", "#").replace(r"^~\&", "*!?%")
    text = f"{other}\rPID#1##7*X*?S?&y^z%q\rPV1#1#I#W?F?1?E??T??R?2*B"
    assert read(messages(text), table="visit").columns["ward"] == ["W#1?%!2"]
    short = "MSH|^\rPID|1||7\rPV1|1|I|A\\T\\B"
    assert read(messages(short), table="visit").columns["ward"] == ["A&B"]


@pytest.mark.parametrize("n", range(2, 30))
def test_a_header_may_have_any_number_of_fields(n, messages, read):
    header = "|".join(["MSH", r"^~\&", *"x" * (n - 2)])
    assert read(messages(f"{header}\rPID|1||7"), table="patient").columns["patient"] == ["7"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"A\F\B\S\C\R\D\E\E\T\F", "A|B^C~D\\E&F"),
        (r"\H\bold\N\ x\.br\y\.sp+2\z", "bold x\ny" + "z"),
        (r"\X4142C3A9\ \XZZ\ ", "ABé \\XZZ\\"),
        (r"C:\temp\F\x", r"C:\temp|x"),
        ("\\", "\\"),
        ("a\\", "a\\"),
        (r"\C2842\a\Zsite\b", "ab"),
    ],
)
def test_escapes(written, meant):
    assert Delimiters("|", "^", "~", "\\", "&", "utf-8").unescaped(written).strip() == meant


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("8859/1", "latin-1"), ("8859/15", "iso8859-15"), ("UNICODE UTF-8", "utf-8"), ("", "utf-8"), ("ASCII", "utf-8"),
     ("GB 18030-2000", "gb18030"), ("BIG-5", "big5"), ("ISO IR87", "iso2022-jp"), ("KS X 1001~ASCII", "euc-kr")],
)  # fmt: skip
def test_character_sets(charset, encoding, messages, read):
    word = {"gb18030": "病房", "big5": "病房", "iso2022-jp": "病棟", "euc-kr": "병동"}.get(encoding, "Süd")
    text = f"{HEADER}||||||{charset}\rPID|1||7\rPV1|1|I|{word}"
    assert read(messages(text.encode(encoding)), table="visit").columns["ward"] == [word]
    # An encoding that is chosen holds whatever the message says.
    assert read(messages(text.encode("utf-16")), table="visit", encoding="utf-16").columns["ward"] == [word]


def test_bytes_of_another_encoding_are_missing(messages, read):
    result = read(messages(f"{HEADER}\rPID|1||7\rPV1|1|I|".encode() + b"S\xfcd"), table="visit")
    assert (result.columns["ward"], result.skipped) == ([None], {"undecodable_cells": 1})


def test_batches_frames_and_packed_files_hold_the_same(tmp_path, messages, read):
    one, two = admission("7", "V1"), admission("8", "V2")
    expected = rows_of(read(messages(one, two), table="visit"))
    batch = ["FHS|^~\\&|HIS", "BHS|^~\\&|HIS", one.strip(), two.strip(), "BTS|2", "FTS|1"]
    framed = b"".join(b"\x0b" + text.encode() + b"\x1c\r" for text in (one, two))
    for content in ("\r".join(batch), "\r\n".join(batch), "\n".join(batch).replace("\r", "\n"), framed):
        assert rows_of(read(messages(content), table="visit")) == expected
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "1.hl7").write_text(one)
    (folder / "2.hl7.gz").write_bytes(gzip.compress(two.encode()))
    (folder / "notes.md").write_text("SECRET")
    assert rows_of(read(f"hl7:{folder}", table="visit")) == expected


def test_line_breaks_in_texts_begin_no_segment(messages, read):
    text = f"{HEADER}\nPID|1||7\nOBX|1|TX|N||first\nsecond\n\nthe|third|||||F\nOBX|2|NM|K||4||||||F"
    result = read(messages(text), table="observation")
    assert (result.columns["value"], result.columns["status"]) == ([None, "4"], ["F", "F"])


@pytest.mark.parametrize(
    "text", ["BHS|^~\\&", "FHS|^~\\&|x", "\x0bMSHx", "a\x0bb", "\x0b", "\x1c", "BTS|1", "FTS|1", "MSHA"]
)
def test_no_text_stops_the_run_or_changes_other_messages(text, messages, read):
    """Unescaped line breaks bring parts of a text to the beginning of a line."""
    noisy = f"{HEADER}\nPID|1||7\nOBX|1|TX|N||a\n{text}\nb||||||F"
    quiet = f"{HEADER}\nPID|1||8\nPV1|1|I|W\nOBX|1|NM|K||4||||||F"
    for content in (f"{noisy}\n{quiet}", f"{quiet}\n{noisy}"):
        result = read(messages(content), table="observation")
        kept = [row for row in rows_of(result) if row["patient"] == "8"]
        assert [(row["value"], row["status"]) for row in kept] == [("4", "F")]
    batch = f"FHS|^~\\&\nBHS|^~\\&\n{noisy}\n{quiet}\nBTS|2\nBHS|^~\\&\n{quiet}\nBTS|1\nFTS|2"
    assert [row["patient"] for row in rows_of(read(messages(batch), table="patient"))] == ["7", "8"]
    framed = "".join(f"\x0b{one}\x1c\r" for one in (noisy, quiet, noisy))
    assert [row["patient"] for row in rows_of(read(messages(framed), table="patient"))] == ["7", "8"]


# Lines of a person's text. The words are no headers, of whatever comes after their names; the others look like some.
WORDS = ["BHS consult tomorrow", "FHS 120/min", "MSH2 pending", "MSH pending", "MSH: 3.2", "MSH:", "BTSx", "FTS 1"]
HEADERS = ["BTS|1\nBHS|^~\\&|\nend", "FTS|1\nFHS|^~\\&|", "BHS#^~\\&#", "FTS|1", "MSH#^~\\&#x", "MSH|^^^^|"]
BATCH = "FHS|^~\\&|A\nBHS|^~\\&|A\n{}\nBTS|3\nFTS|1\n"


@pytest.mark.parametrize("text", [*WORDS, *HEADERS])
@pytest.mark.parametrize("whole", ["{}", BATCH, "BHS|^~\\&\n{}\nBTS|3"])
def test_batches_are_not_told_from_lines_of_a_text(text, whole, messages, read):
    """Wherever the person's message is in a file, the others' rows are as without it, and none stops the run."""
    noisy = f"{HEADER}\nPID|1||7\nOBX|1|TX|N||note:\n{text}"
    quiet = [f"{HEADER}\nPID|1||{n}\nOBX|1|NM|K||4||||||F" for n in ("8", "9")]
    expected = rows_of(read(messages(whole.format("\n".join(quiet))), table="observation"))
    assert [(row["patient"], row["value"]) for row in expected] == [("8", "4"), ("9", "4")]
    for place in range(3):
        content = messages(whole.format("\n".join([*quiet[:place], noisy, *quiet[place:]])))
        found = rows_of(read(content, table="observation"))
        assert [row for row in found if row["patient"] != "7"] == expected


@pytest.mark.parametrize("text", [*WORDS, *HEADERS[:4]])
def test_what_comes_after_such_a_line_in_its_message_is_read(text, messages, read):
    message = f"{HEADER}\nPID|1||7\nOBX|1|TX|N||note:\n{text}\nb||||||F\nOBX|2|NM|K||4||||||F"
    assert read(messages(message), table="observation").columns["value"] == [None, "4"]


def test_a_message_that_is_cut_at_its_limit_stops_no_run(messages, read):
    long = f"\x0b{HEADER}\rPID|1||7\rOBX|1|ED|PDF||{'x' * 1_100_000}\x1c\r"
    result = read(messages(long), table="observation")
    assert (result.columns["patient"], result.skipped) == (["7"], {"long_lines": 1})


CUT = {
    "a batch": ("BHS|^~\\&\r" + HEADER + "\rPID|1||SECRET", r"begins a batch \(BHS\) that does not end"),
    "a file": ("FHS|^~\\&\rBHS|^~\\&\r" + HEADER + "\rBTS|1", r"begins a batch \(FHS\) that does not end"),
    "a frame": ("\x0b" + HEADER + "\rPID|1||SECRET", "ends inside a message"),
    "no messages": ("SECRET,1\n2,3", r"does not begin with a message header"),
}


@pytest.mark.parametrize("what", CUT)
def test_what_is_not_whole_is_named(what, messages):
    content, message = CUT[what]
    with pytest.raises(SourceError, match=f"m\\.hl7 {message}") as caught:
        list(open_source(messages(content), SourceOptions(table="patient")).batches(SkippedCells()))
    assert "SECRET" not in str(caught.value)


def test_messages_without_delimiters_are_left_out_and_counted(messages, read):
    broken = ["MSH|^^^^|", "PID|1||9", "MSH|^~\\\\&|", "PID|1||9", "MSH|a~b&", "PID|1||9", HEADER, "PID|1||7"]
    result = read(messages("\r".join(broken)), table="patient")
    assert (result.columns["patient"], result.skipped) == (["7"], {"unusable_records": 3})


def test_dates_of_which_a_part_is_unknown_are_missing(messages, read):
    texts = ["1980", "198001", "19800132", "00000000", "SECRET", "19800131", "198001312359", "19800131235960"]
    lines = [f"{HEADER}\rPID|1||{n}||||{text}" for n, text in enumerate(texts)]
    result = read(messages(*lines), table="patient")
    assert result.columns["birth_date"] == [None] * 5 + ["1980-01-31"] * 2 + [None]
    assert result.skipped == {"unreadable_cells": 6}


def test_long_segments_are_cut_and_memory_is_bounded(messages, read, monkeypatch):
    long = f"{HEADER}\rPID|1||7\rOBX|1|ED|PDF||{'x' * 3_000_000}||||||F\rOBX|2|NM|K||4||||||F"
    result = read(messages(long), table="observation")
    assert (result.columns["status"], result.skipped) == ([None, "F"], {"long_lines": 1})
    many = f"{HEADER}\rPID|1||{'~' * 900_000}7\rPV1|1|I|{'^' * 900_000}"
    assert read(messages(many), table="visit").columns["ward"] == [None]
    monkeypatch.setattr(tables, "MAX_HELD", 2)
    with pytest.raises(SourceError, match="more than 2 rows to be merged; read it in parts"):
        read(messages(*(f"{HEADER}\rPID|1||{n}" for n in range(3))), table="patient")


@given(st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=6), st.binary(max_size=40))
def test_mutations_break_nothing_and_are_not_repeated(tmp_path_factory, places, tail):
    """Bytes in any place: what comes out is a table, or an error that quotes nothing."""
    content = bytearray((admission("SECRET7", "V1") + f"\rOBX|1|NM|K||4||||||F\r{HEADER}\rPID|1||8").encode())
    for place, new in places:
        content[place : place + len(new)] = new
    path = tmp_path_factory.mktemp("fuzz") / "m.hl7"
    path.write_bytes(bytes(content) + tail)
    for name in LAYOUTS:
        problem = str(path)
        try:
            for batch in open_source(f"hl7:{path}", SourceOptions(table=name)).batches(SkippedCells()):
                assert batch.schema.names == list(LAYOUTS[name].columns)
        except SourceError as error:
            problem = str(error)
        assert "SECRET" not in problem
        assert str(path) in problem


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0\x0b\x1c", exclude_categories=("Cs",))))
def test_what_is_escaped_comes_back(text):
    signs = Delimiters("|", "^", "~", "\\", "&", "utf-8")
    coded = text
    for sign, name in (("\\", "E"), ("|", "F"), ("^", "S"), ("~", "R"), ("&", "T")):
        coded = coded.replace(sign, f"\\{name}\\")
    assert signs.unescaped(coded) == text


def test_tables_are_linked_to_patients(messages, workspace):
    linked = open_tables(messages(admission("7", "V1")))
    assert next(iter(linked.tables())) == "patient"
    assert Link("observation", ("visit",), "visit", ("visit",)) in linked.links()
    read = read_tables(linked, workspace, may_be_empty=True)
    assert {name: table.n_rows for name, (table, _) in read.items()} == {
        "patient": 1, "visit": 1, "allergy": 0, "diagnosis": 0, "observation": 0,
    }  # fmt: skip


@pytest.mark.skipif(not SAMPLES, reason="PRIVSYNTH_HL7_SAMPLES names no folder of messages")
def test_messages_of_others(read):
    patients = read(f"hl7:{SAMPLES}", table="patient")
    assert patients.table.n_rows >= 20
    assert None not in patients.columns["patient"]
    assert read(f"hl7:{SAMPLES}", table="observation").table.n_rows >= 200


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_schemas_of_the_tables(name):
    schema = PRESETS[name]
    assert schema.root == "patient"
    for table, declared in schema.tables.items():
        assert set(declared.columns) <= set(LAYOUTS[table].columns)


def test_a_preset_makes_a_release_of_which_keys_resolve(messages, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    texts = [admission(f"P{n}", f"V{n}", PV1_10=("MED", "SUR")[n % 2]) for n in range(40)]
    texts += [
        f"{HEADER}\rPID|1||P{n}\rPV1|1|I|||||||||||||||||V{n}\rOBX|1|NM|K||{4 + n % 3}|mmol/L|||||F|||20240301"
        for n in range(40)
    ]
    words = ["synthesize", messages(*texts), "--preset", "hl7-results", "--epsilon", "3", "--audit", "none", "--anyway"]
    result = CliRunner().invoke(main, [*words, "--format", "csv", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    import pandas as pd

    data = {path.stem: pd.read_csv(path, dtype=str) for path in (tmp_path / "out/public/data").glob("*.csv")}
    assert set(data) == {"patient", "visit", "observation"}
    assert "patient" not in data["observation"]
    assert set(data["visit"]["patient"]) <= set(data["patient"]["patient"])
    assert set(data["observation"]["visit"]) <= set(data["visit"]["visit"])
    assert not set(data["patient"]["patient"]) & {f"P{n}" for n in range(40)}


def test_what_is_not_there_is_told(tmp_path, messages):
    with pytest.raises(ConfigError, match="has several tables: patient, visit, diagnosis, allergy, observation"):
        open_source(messages(HEADER))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"is a folder without \.hl7"):
        open_tables(f"hl7:{tmp_path / 'empty'}")
    with pytest.raises(SourceError, match="HL7 v2 is read as hl7:PATH"):
        open_source(tmp_path / "m.hl7")
