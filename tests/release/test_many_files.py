"""Rows in many files: cut by size or by a column, the same for any number of workers, and resumed after kill -9."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from saved_models import save_model

import privsynth
import privsynth.release.parts.writing as writing_module
import privsynth.sampling.draw as draw_module
import privsynth.sampling.synthetic_model as model_module
from privsynth.errors import ConfigError, OutputError
from privsynth.release.parts.journal import Journal
from privsynth.release.parts.places import FolderDestination
from privsynth.release.parts.writing import by_value
from privsynth.sources import SourceOptions
from privsynth.sources.protocol import SkippedCells
from privsynth.sources.registry import open_source
from privsynth.workspace import privsynth_home

ROOT = Path(__file__).parents[2]
PART = 70


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the folder of a model with a column of every kind."""
    folder = tmp_path_factory.mktemp("model")
    save_model("marginal", folder)
    return folder


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(draw_module, "PART_ROWS", PART)
    monkeypatch.setattr(model_module, "PART_ROWS", PART)


def draw(model, out, **more):
    return privsynth.sample(model, out=out, **{"rows": 330, "seed": 3, **more})


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def label_of(folder: Path) -> dict:
    return json.loads((folder / "_label.json").read_text(encoding="utf-8"))


def all_rows(folder: Path, pattern: str = "part-*.parquet") -> pa.Table:
    return pa.concat_tables([pq.ParquetFile(path).read() for path in sorted(folder.glob(pattern))])


def test_files_of_another_size_hold_the_same_rows_in_order(model, tmp_path):
    draw(model, tmp_path / "single", rows_per_file=5 * PART)
    made = draw(model, tmp_path / "several", rows_per_file=2 * PART)
    assert [path.name for path in made.files] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert [pq.ParquetFile(path).metadata.num_rows for path in made.files] == [140, 140, 50]
    assert pq.ParquetFile(made.files[0]).metadata.num_row_groups == 2
    draw(model, tmp_path / "usual")
    rows = all_rows(tmp_path / "single")
    assert len(list((tmp_path / "single").glob("part-*"))) == 1
    assert rows.equals(all_rows(tmp_path / "several"))
    assert rows.equals(all_rows(tmp_path / "usual"))


def test_the_label_has_rows_size_and_digest_of_each_file(model, tmp_path):
    draw(model, tmp_path / "out", partition_by="ward")
    label, files = label_of(tmp_path / "out"), content(tmp_path / "out")
    assert set(label["contents"]) == set(label["files"]) == set(files) - {"_label.json"}
    for name, said in label["contents"].items():
        assert said["sha256"] == hashlib.sha256(files[name]).hexdigest()
        assert said["bytes"] == len(files[name])
        found = pq.ParquetFile(tmp_path / "out" / name)
        assert found.metadata.num_rows == said["rows"]
        assert found.metadata.metadata[b"privsynth.label"] == b"SYNTHETIC"
    assert sum(said["rows"] for said in label["contents"].values()) == 330
    assert label["partition_by"] == "ward"


@pytest.mark.parametrize("column", ["ward", "note", "urgent"])
def test_folders_of_a_column_hold_its_rows_in_order(model, tmp_path, column):
    draw(model, tmp_path / "plain")
    draw(model, tmp_path / "out", partition_by=column, rows_per_file=2 * PART)
    rows = all_rows(tmp_path / "plain")
    cells = rows.column(column).cast(pa.string()).to_pylist()
    assert len(set(cells)) > 1
    for value in set(cells):
        wanted = [at for at, cell in enumerate(cells) if cell == value]
        folder = f"{column}={value if value is not None else '__HIVE_DEFAULT_PARTITION__'}"
        found = all_rows(tmp_path / "out", f"{folder}/part-*.parquet")
        assert found.equals(rows.take(wanted).drop_columns([column]).combine_chunks().cast(found.schema))


def test_folders_of_a_column_are_read_as_one_table(model, tmp_path):
    draw(model, tmp_path / "out", partition_by="ward")
    read = pq.read_table(tmp_path / "out", partitioning="hive")
    assert read.num_rows == 330
    assert "ward" in read.column_names
    source = open_source(f"parquet:{tmp_path / 'out'}", SourceOptions())
    assert sum(batch.num_rows for batch in source.batches(SkippedCells())) == 330
    assert "ward" in source.names


def test_values_become_names_that_hive_reads_back():
    cells = ["a/b", "50 %", "c=d", None, "..", "ä", "a/b"]
    table = pa.table({"n": range(7), "k=1": pa.array(cells)})
    found = by_value(iter([table, table.slice(0, 1)]), "k=1")
    assert {place: pa.concat_tables(rows).column("n").to_pylist() for place, rows in found.items()} == {
        "k%3D1=a%2Fb": [0, 6, 0],
        "k%3D1=50 %25": [1],
        "k%3D1=c%3Dd": [2],
        "k%3D1=__HIVE_DEFAULT_PARTITION__": [3],
        "k%3D1=..": [4],
        "k%3D1=%C3%A4": [5],
    }
    numbers = by_value(iter([pa.table({"n": [1, 2], "k": pa.array([7, -1], pa.int16())})]), "k")
    assert set(numbers) == {"k=7", "k=-1"}


@pytest.mark.parametrize("more", [{"partition_by": "ward"}, {"rows_per_file": 2 * PART}, {"format": "csv"}])
def test_the_bytes_do_not_depend_on_workers(model, tmp_path, more):
    for workers in (1, 3):
        draw(model, tmp_path / str(workers), workers=workers, **more)
    assert content(tmp_path / "1") == content(tmp_path / "3")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"rows_per_file": 100}, "multiple of 70"),
        ({"rows_per_file": 0}, "multiple of 70"),
        ({"partition_by": "wardd"}, "did you mean 'ward'"),
        ({"partition_by": "age"}, "no list of values"),
        ({"partition_by": "ward", "format": "csv"}, "files of Parquet"),
        ({"partition_by": "ward", "out": None, "to": "rows.sqlite"}, "means nothing to a database"),
    ],
)
def test_what_cannot_be_cut_is_refused_and_leaves_nothing(model, tmp_path, more, words):
    with pytest.raises(ConfigError, match=words):
        draw(model, **{"out": tmp_path / "out", **more})
    assert list(tmp_path.iterdir()) == []


def test_a_column_of_too_many_values_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(writing_module, "MOST_VALUES", 2)
    with pytest.raises(ConfigError, match="has 3 values, more than 2"):
        draw(model, tmp_path / "out", partition_by="ward")


# --- resumed runs

# Everything is imported once; each line on stdin forks a run, before any thread is there.
RUNS = """
import os
import sys
import privsynth
import privsynth.sampling.draw as draw_module
import privsynth.sampling.synthetic_model as model_module
from privsynth.generators.marginal import fitted
from privsynth.release import sample
draw_module.PART_ROWS = model_module.PART_ROWS = 70
model, out, column = sys.argv[1:]
for _ in sys.stdin:
    if not (child := os.fork()):
        privsynth.sample(model, out=out, rows=4_000, seed=3, resume=True, workers=2, partition_by=column or None)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize("column", ["", "ward"])
def test_runs_that_are_killed_at_any_moment_end_with_the_same_bytes(model, tmp_path, column):
    moments = random.Random(f"killed {column}")
    out, kept, ended = tmp_path / "out", [], [9]
    with subprocess.Popen(
        [sys.executable, "-c", RUNS, str(model), str(out), column],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as runs:  # fmt: skip
        for kills in range(5, -1, -1):
            runs.stdin.write("\n")
            child = int(runs.stdout.readline())
            killer = threading.Timer(moments.uniform(0.02, 0.6), kill, (child,))
            if kills:
                killer.start()
            ended.append(int(runs.stdout.readline()))
            killer.cancel()
            if out.exists():  # also where it was killed after that
                break
            kept.append(len(list(tmp_path.glob(".out.*/_unfinished/0*.json"))))
    assert set(ended[:-1]) == {9}
    assert kept == sorted(kept)  # nothing that was finished is lost
    draw(model, tmp_path / "whole", rows=4_000, partition_by=column or None)
    assert content(out) == content(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


@pytest.fixture
def stopped(model, tmp_path, monkeypatch):
    """Return the partial folder of a run that was stopped after three of its five files."""
    finished = Journal.finished

    def failing(self, number, files):
        if number == 3:
            raise KeyboardInterrupt
        finished(self, number, files)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "finished", failing)
        with pytest.raises(KeyboardInterrupt):
            draw(model, tmp_path / "out", resume=True, workers=1)
    return tmp_path / ".out.privsynth-partial"


def drawn_parts(monkeypatch) -> list[int]:
    """Return a list to which the numbers of parts are added when they are drawn."""
    found, plain = [], model_module.SyntheticModel.draw

    def draw_and_tell(self, order, *, seed, part=0, **more):
        found.append(part)
        return plain(self, order, seed=seed, part=part, **more)

    monkeypatch.setattr(model_module.SyntheticModel, "draw", draw_and_tell)
    return found


def test_finished_files_are_kept_and_half_written_ones_made_again(model, tmp_path, stopped, monkeypatch):
    assert not (tmp_path / "out").exists()
    redrawn = drawn_parts(monkeypatch)
    made = draw(model, tmp_path / "out", resume=True, seed=None, workers=1)  # with the seed of the stopped run
    assert redrawn == [3, 4]
    assert made.seed == 3
    draw(model, tmp_path / "whole")
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert not stopped.exists()


def change_a_byte(partial: Path) -> None:
    path = partial / "whole" / "part-00001.parquet"
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 1
    path.write_bytes(held)


def tear_a_note(partial: Path) -> None:
    path = partial / "_unfinished" / "00001.json"
    path.write_text(path.read_text()[:-9])


def lose_a_file(partial: Path) -> None:
    (partial / "whole" / "part-00001.parquet").unlink()


def lose_a_note(partial: Path) -> None:
    (partial / "_unfinished" / "00001.json").unlink()


@pytest.mark.parametrize("damage", [change_a_byte, tear_a_note, lose_a_file, lose_a_note])
def test_what_is_damaged_meanwhile_is_made_again(model, tmp_path, stopped, monkeypatch, damage):
    damage(stopped)
    redrawn = drawn_parts(monkeypatch)
    draw(model, tmp_path / "out", resume=True)
    assert sorted(redrawn) == [1, 3, 4]
    draw(model, tmp_path / "whole")
    assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"seed": 4}, "another seed"),
        ({"rows": 331}, "another number of rows"),
        ({"given": "ward = ICU"}, "other conditions"),
        ({"balance": "ward"}, "other shares"),
        ({"format": "csv"}, "another format"),
        ({"rows_per_file": 140}, "another number of rows per file"),
        ({"partition_by": "ward"}, "another column of partitions"),
    ],
)
def test_other_options_are_refused_and_what_is_finished_stays(model, tmp_path, stopped, more, words):
    before = content(stopped)
    with pytest.raises(ConfigError, match=words):
        draw(model, tmp_path / "out", resume=True, **more)
    assert content(stopped) == before


def test_another_model_is_refused(model, tmp_path, stopped):
    save_model("arn", (other := tmp_path / "other").mkdir() or other)
    with pytest.raises(ConfigError, match="another model"):
        draw(other, tmp_path / "out", resume=True)


def test_without_resume_a_stopped_run_is_told_of_and_stays(model, tmp_path, stopped):
    before = content(stopped)
    with pytest.raises(OutputError, match=r"go on with resume=True, or remove .*out\.privsynth-partial"):
        draw(model, tmp_path / "out")
    assert content(stopped) == before


def test_what_is_finished_stays_where_other_runs_clean_up(model, tmp_path, stopped):
    before = content(stopped)
    draw(model, tmp_path / "another")
    assert content(stopped) == before
    assert list((privsynth_home() / "work").glob("*-*")) == []


def test_a_finished_folder_is_never_resumed(model, tmp_path):
    draw(model, tmp_path / "out", resume=True)
    with pytest.raises(OutputError, match="exists already"):
        draw(model, tmp_path / "out", resume=True)


def test_a_full_disk_is_said_in_a_sentence_and_what_is_finished_stays(model, tmp_path, monkeypatch):
    put = FolderDestination.put

    def failing(self, path, name):
        if name == "part-00002.parquet":
            monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        put(self, path, name)

    monkeypatch.setattr(FolderDestination, "put", failing)
    with pytest.raises(OutputError, match=r"out: the disk is full; free some space"):
        draw(model, tmp_path / "out", resume=True, workers=1)
    monkeypatch.undo()
    monkeypatch.setattr(draw_module, "PART_ROWS", PART)
    monkeypatch.setattr(model_module, "PART_ROWS", PART)
    redrawn = drawn_parts(monkeypatch)
    draw(model, tmp_path / "out", resume=True, workers=1)
    assert redrawn == [2, 3, 4]


def test_a_file_url_is_a_folder(model, tmp_path):
    draw(model, f"file://{tmp_path}/out")
    draw(model, tmp_path / "whole")
    assert content(tmp_path / "out") == content(tmp_path / "whole")
