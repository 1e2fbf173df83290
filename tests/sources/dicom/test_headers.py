"""DICOM headers: pydicom's own test files, among them damaged ones, and values that are not as they should be."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from privsynth.errors import ConfigError, MissingPackageError, SourceError
from privsynth.schema.definition import Column
from privsynth.sources import SkippedCells, SourceOptions, open_source
from privsynth.sources.dicom.headers import USUAL
from privsynth.sources.protocol import source_format_of, stated_types_of

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def write(path, syntax=ExplicitVRLittleEndian, **values):
    """Write a file of DICOM with these attributes, whatever they hold."""
    header = Dataset()
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = "1.2.3"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in values.items():
            setattr(header, name, value)
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = syntax
        header.file_meta.MediaStorageSOPClassUID = CTImageStorage
        header.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        header.save_as(path, enforce_file_format=True)


@pytest.fixture
def folder(tmp_path):
    """Return an empty folder, in which the workspace of the test is not."""
    made = tmp_path / "images"
    made.mkdir()
    return made


def test_the_files_of_pydicom_are_read_and_none_ends_it(read):
    result = read(f"dicom:{TEST_FILES}")
    files = [path for path in TEST_FILES.rglob("*") if path.is_file() and path.name.upper() != "DICOMDIR"]
    assert result.table.n_rows + result.skipped["unusable_records"] == len(files)
    assert result.table.n_rows > 100
    assert result.names == list(USUAL)
    modalities = set(result.columns["Modality"])
    assert {"CT", "MR", "OT", "RTDOSE", "SR"} <= modalities
    assert set(result.columns["PatientSex"]) == {"F", "M", "O", None}


def test_a_file_gives_what_pydicom_says_of_it(read):
    result = read(f"dicom:{TEST_FILES / 'MR_small.dcm'}")
    cells = {name: column[0] for name, column in result.columns.items()}
    assert {name: cells[name] for name in ("Modality", "StudyDate", "PatientSex", "PatientAge", "Rows")} == {
        "Modality": "MR",
        "StudyDate": "2004-08-26",
        "PatientSex": "F",
        "PatientAge": None,
        "Rows": "64",
    }
    assert float(cells["SliceThickness"]) == 0.8
    assert result.skipped == {}


def test_what_the_standard_says_is_stated():
    source = open_source(f"dicom:{TEST_FILES}")
    stated = stated_types_of(source)
    assert stated.columns["PatientID"] == Column(kind="id", roles=("identifier",))
    assert stated.columns["PatientSex"].categories == ("F", "M", "O")
    assert stated.columns["StudyDate"] == Column(kind="date")
    assert stated.columns["KVP"] == Column(kind="numeric")
    assert stated.families["Rows"] == "integer"
    assert "Rows" in source_format_of(source).whole_numbers


def test_values_that_are_not_as_they_should_be_are_missing(folder, read):
    ages = ["034Y", "018M", "090D", "010W", "34", "SECRET"]
    for number, age in enumerate(ages):
        write(folder / f"{number}.dcm", PatientAge=age, StudyDate="2024.02.29", SliceThickness="1.50")
    write(folder / "7.dcm", StudyDate="20241", SliceThickness=["1", "2"], PatientID=" a ", Modality=["CT", "MR"])
    write(folder / "8.dcm", PatientID="x" * 20_000)
    names = ("PatientAge", "StudyDate", "SliceThickness", "PatientID", "Modality")
    result = read(f"dicom:{folder}", columns=names)
    assert result.columns["PatientAge"] == ["34", "1", "0", "0", None, None, None, None]
    assert result.columns["StudyDate"] == ["2024-02-29"] * 6 + [None, None]
    assert result.columns["SliceThickness"] == ["1.5"] * 6 + [None, None]
    assert result.columns["PatientID"] == [None] * 6 + ["a", None]
    assert result.skipped == {"unreadable_cells": 3, "nested_cells": 2, "long_cells": 1}


def test_files_that_are_no_dicom_or_may_unfold_are_left_out(folder, read, caplog):
    (folder / "deep").mkdir()
    write(folder / "deep" / "a.dcm", PatientID="a")
    write(folder / "b.dcm", DeflatedExplicitVRLittleEndian, PatientID="b")
    (folder / "c.dcm").write_bytes(b"SECRET" * 100)
    (folder / "d.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 400)
    (folder / "e.dcm").write_bytes((folder / "deep" / "a.dcm").read_bytes()[:200])
    (folder / "DICOMDIR").write_bytes(b"x")
    (folder / ".hidden").write_bytes(b"x")
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as told:
        result = read(f"dicom:{folder}", columns=("PatientID",))
    assert "a" in result.columns["PatientID"]
    assert "b" not in result.columns["PatientID"]
    assert result.table.n_rows + result.skipped["unusable_records"] == 5
    assert not told
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("PixelData", "holds pixels, bulk data or a sequence"),
        ("OverlayData", "is no keyword|holds pixels"),
        ("RequestAttributesSequence", "holds pixels, bulk data or a sequence"),
        ("PixelSpacing", "has several values"),
        ("Secret", "is no keyword of DICOM"),
    ],
)
def test_pixels_and_what_is_no_attribute_are_refused(column, message):
    with pytest.raises(ConfigError, match=message):
        open_source(f"dicom:{TEST_FILES}", SourceOptions(columns=(column,)))


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(SourceError, match="is a folder without files"):
        open_source(f"dicom:{tmp_path}")
    with pytest.raises(SourceError, match="does not exist"):
        open_source(f"dicom:{tmp_path / 'x'}")
    with pytest.raises(ConfigError, match=r"option table means nothing to DICOM files \(dicom:\)"):
        open_source(f"dicom:{TEST_FILES}", SourceOptions(table="x"))


def test_batches_can_be_read_again_in_any_size():
    source = open_source(f"dicom:{TEST_FILES}", SourceOptions(batch_rows=7, columns=("PatientID", "Modality")))
    first, second = ([batch.num_rows for batch in source.batches(SkippedCells())] for _ in range(2))
    assert first == second
    assert max(first) == 7


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name == "pydicom" or name.startswith("privsynth.sources.dicom.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingPackageError, match=r"install privsynth\[dicom\]"):
        open_source(f"dicom:{tmp_path}")
