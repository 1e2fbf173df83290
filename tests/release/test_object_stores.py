"""Rows written to object stores: by fsspec's own file systems, and by one that fails as the drivers of stores do."""

from __future__ import annotations

import json

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from saved_models import save_model

import privsynth
import privsynth.release.parts.object_store as object_store
import privsynth.sampling.draw as draw_module
import privsynth.sampling.synthetic_model as model_module
from privsynth.errors import ConfigError, MissingPackageError, OutputError
from privsynth.workspace import privsynth_home

PART = 70
SECRET = "hunter2-AKIA"


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


@pytest.fixture(autouse=True)
def empty_memory():
    MemoryFileSystem.store.clear()
    yield
    MemoryFileSystem.store.clear()


class Faulty(MemoryFileSystem):
    """A store that fails when it is told to, as drivers do: with credentials in its message."""

    protocol = "faulty"
    cachable = False
    put_files: list[str] = []  # noqa: RUF012  # of the class, as fsspec makes the instances
    after = 10**6
    error: BaseException = OSError()

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("faulty://", "memory://"))

    def put_file(self, lpath, rpath, **more):
        if len(self.put_files) >= self.after:
            raise self.error
        self.put_files.append(rpath)
        super().put_file(lpath, rpath, **more)

    def pipe_file(self, path, value, **more):
        self.put_files.append(path)
        super().pipe_file(path, value, **more)


@pytest.fixture
def faulty(monkeypatch):
    """Register the store, and let it work until told otherwise."""
    monkeypatch.setattr(Faulty, "put_files", [])
    fsspec.register_implementation("faulty", Faulty, clobber=True)
    monkeypatch.setattr(object_store, "_BUCKETS", {*object_store._BUCKETS, "faulty"})
    return Faulty


def draw(model, out, **more):
    return privsynth.sample(model, out=out, **{"rows": 330, "seed": 3, **more})


def stored(root: str = "/bucket/out") -> dict[str, bytes]:
    return {
        path[len(root) + 1 :]: file.getvalue()
        for path, file in MemoryFileSystem.store.items()
        if path.startswith(f"{root}/")
    }


def content(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("more", [{}, {"partition_by": "ward", "rows_per_file": 2 * PART}, {"format": "csv"}])
def test_a_store_has_the_bytes_of_a_folder(model, tmp_path, more):
    made = draw(model, "memory://bucket/out/", **more)
    draw(model, tmp_path / "out", **more)
    assert stored() == content(tmp_path / "out")
    assert made.place == "memory://bucket/out"
    assert set(made.files) == {f"memory://bucket/out/{name}" for name in json.loads(stored()["_label.json"])["files"]}
    assert list((privsynth_home() / "work").glob("run-*")) == []


def test_a_store_with_folders_gets_them(model, tmp_path):
    fsspec.register_implementation("disk", type("Disk", (LocalFileSystem,), {"protocol": "disk"}), clobber=True)
    draw(model, f"disk://{tmp_path}/a/b", partition_by="ward")
    draw(model, tmp_path / "out", partition_by="ward")
    assert content(tmp_path / "a" / "b") == content(tmp_path / "out")


def test_the_label_comes_last(model, faulty):
    draw(model, "faulty://bucket/out", workers=2)
    names = [path.removeprefix("/bucket/out/") for path in faulty.put_files]
    assert names[0] == "_unfinished/plan.json"
    assert names[-1] == "_label.json"
    for part in range(5):
        assert names.index(f"part-{part:05d}.parquet") < names.index(f"_unfinished/{part:05d}.json")


def test_a_stopped_run_is_resumed(model, tmp_path, faulty, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(faulty, "after", 6)  # the plan, and two files with their notes
        patch.setattr(faulty, "error", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            draw(model, "faulty://bucket/out", resume=True, workers=1)
    kept = set(stored())
    assert {"part-00000.parquet", "part-00001.parquet"} <= kept
    assert "_label.json" not in kept
    with pytest.raises(OutputError, match=r"go on with resume=True, or remove all below faulty://bucket/out"):
        draw(model, "faulty://bucket/out")
    with pytest.raises(ConfigError, match="another seed"):
        draw(model, "faulty://bucket/out", seed=4, resume=True)
    assert set(stored()) == kept
    faulty.put_files.clear()
    draw(model, "faulty://bucket/out", resume=True, seed=None)
    assert "/bucket/out/part-00000.parquet" not in faulty.put_files
    draw(model, tmp_path / "out")
    assert stored() == content(tmp_path / "out")


def test_a_stopped_run_leaves_nothing_unless_it_may_be_resumed(model, faulty, monkeypatch):
    monkeypatch.setattr(faulty, "after", 4)
    with pytest.raises(OutputError):
        draw(model, "faulty://bucket/out", workers=1)
    assert stored() == {}


def test_what_is_there_is_never_overwritten(model):
    MemoryFileSystem().pipe_file("/bucket/out/mine.txt", b"mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match="there are files at memory://bucket/out already"):
            draw(model, "memory://bucket/out", resume=resume)
    assert stored() == {"mine.txt": b"mine"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, f"no bucket for {SECRET}"), "bucket or folder does not exist"),
        (PermissionError(13, f"denied to {SECRET}"), "check the credentials"),
        (type("NoCredentialsError", (Exception,), {})(SECRET), "check the credentials"),
        (OSError(28, f"no space for {SECRET}"), "no room left"),
        (RuntimeError(f"https://{SECRET}@host"), r"its driver failed \(RuntimeError\)"),
    ],
)
def test_a_failing_store_is_told_of_without_what_its_driver_says(model, faulty, monkeypatch, error, words):
    monkeypatch.setattr(faulty, "after", 0)
    monkeypatch.setattr(faulty, "error", error)
    with pytest.raises(OutputError, match=words) as found:
        draw(model, "faulty://bucket/out")
    assert SECRET not in str(found.value)
    assert str(found.value).startswith("nothing can be written to faulty://bucket/out: ")
    assert found.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"s3://key:{SECRET}@bucket/out", "plain address"),
        (f"abfs://bucket/out?sig={SECRET}", "plain address"),
        (f"simplecache::s3://{SECRET}/out", "plain address"),
        ("memory://", "names no bucket"),
        ("nothing-of-the-kind://bucket/out", "nothing that is installed writes to nothing-of-the-kind://"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_what_it_hides(model, url, words):
    with pytest.raises(ConfigError, match=words) as found:
        draw(model, url)
    assert SECRET not in str(found.value)


def test_a_driver_that_is_missing_is_named(model, monkeypatch):
    def missing(_scheme):
        raise ImportError(f"Install s3fs {SECRET}")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(MissingPackageError, match="driver that writes to s3:// is not installed") as found:
        draw(model, "s3://bucket/out")
    assert SECRET not in str(found.value)
