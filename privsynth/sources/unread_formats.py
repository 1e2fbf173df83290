"""What to do with a source that privsynth does not read: a sentence for each format and place that people try."""

from __future__ import annotations

from pathlib import Path

_PANDAS = "read it with pandas.{} and give the DataFrame, or write it as Parquet"
_UNPACK = "unpack it and name the table inside"
_SAVE = "save it as .xlsx, .csv or .parquet"

# Ends of names of files -> what such a file is, and what to do with it.
_SUFFIXES = {
    ".json": (
        "one JSON text",
        "write one object a line (.jsonl), as pandas' to_json(orient='records', lines=True) or jq -c '.[]' do",
    ),
    ".sas7bdat": ("a SAS table", _PANDAS.format("read_sas")),
    ".xpt": ("a SAS transport file", _PANDAS.format("read_sas")),
    ".dta": ("a Stata table", _PANDAS.format("read_stata")),
    ".sav": ("an SPSS table", _PANDAS.format("read_spss")),
    ".feather": ("a Feather file", _PANDAS.format("read_feather")),
    ".arrow": ("an Arrow file", _PANDAS.format("read_feather")),
    ".orc": ("an ORC file", _PANDAS.format("read_orc")),
    ".pkl": ("a pickle, which may run code", "write the table as Parquet where it was made"),
    ".rds": ("an R object", "write it as CSV or Parquet in R"),
    ".rdata": ("an R workspace", "write the table as CSV or Parquet in R"),
    ".xls": ("an old Excel workbook", _SAVE),
    ".xlsb": ("a binary Excel workbook", _SAVE),
    ".xlsm": ("an Excel workbook with macros", _SAVE),
    ".ods": ("an OpenDocument spreadsheet", _SAVE),
    ".zip": ("an archive", _UNPACK),
    ".tar": ("an archive", _UNPACK),
    ".7z": ("an archive", _UNPACK),
    ".gz": ("compressed", "give it the suffix of what is inside as well, such as .csv.gz, or unpack it"),
    ".bz2": ("compressed", _UNPACK),
    ".xz": ("compressed", _UNPACK),
    ".zst": ("compressed", _UNPACK),
    ".hl7": ("HL7 messages", "HL7 v2 is read as hl7:PATH"),
    ".xml": ("XML", "write the fields that you need as a table; payments in ISO 20022 are read as iso20022:PATH"),
}
_ELSEWHERE = {"http", "https", "ftp", "sftp", "s3", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "file"}


def advice_for_file(path: Path) -> str:
    """Return what a path that has no known suffix is, and what to do instead; "" if there is nothing to be said."""
    name = path.name.lower()
    if name == "-":
        return "standard input can be read only once, and privsynth reads a table more often; write it into a file"
    fitting = [suffix for suffix in _SUFFIXES if name.endswith(suffix)]
    if fitting:
        what, instead = _SUFFIXES[max(fitting, key=len)]
        return f"{path} is {what}, which privsynth does not read; {instead}"
    return ""


def advice_for_pattern(path: Path) -> str:
    """Return what to do with a path that was meant to name several files; "" for any other."""
    if any(sign in path.name for sign in "*?[") and not path.exists():
        return f"{path} is a pattern; join them into one, or read Parquet files as parquet:PATTERN"
    return ""


def advice_for_scheme(scheme: str) -> str:
    """Return what to do with a URL that is no database; "" for any other. `scheme` is what stands before ://."""
    if scheme.lower() in _ELSEWHERE:
        return f"privsynth opens no {scheme.lower()}:// URL, only databases; copy the table to a file and give its path"
    return ""
