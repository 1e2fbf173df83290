"""A model file may come from anybody: whatever is in it, it loads and draws, or ends in one sentence."""

from __future__ import annotations

import copy
import json
import random
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file
from saved_models import save_model

from privsynth.cli import main
from privsynth.errors import PrivsynthError, SourceError
from privsynth.generators.registry import GENERATORS
from privsynth.release.folder import write_rows
from privsynth.sampling.synthetic_model import SyntheticModel

PRIVATE = [name for name, info in GENERATORS.items() if info.private]


@pytest.fixture(scope="module", params=PRIVATE)
def saved(request, tmp_path_factory):
    """Return the folder of a model of each kind, fitted and saved as a release does."""
    folder = tmp_path_factory.mktemp("model")
    save_model(request.param, folder)
    return folder


def use(folder, out):
    """Load a model and do with it what `privsynth sample` does, in both forms of a file."""
    model = SyntheticModel.load(folder)
    rows, _ = model.draw_all(model.order(200), seed=1)
    for suffix in ("csv", "parquet"):
        write_rows(rows, out / f"rows.{suffix}")
    return rows


NASTY = (
    None, True, False, 0, 1, -1, 2, 7, 65_535, 65_536, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**40,
    0.0, -0.5, 0.1, 1e-310, 5e-324, 1e300, 1e308, -1e308, [], {}, [[]], [None], [0], {"x": 1},
    "", "x", "age", "ward", "in", "%", "%q", "\x00", "\ud800", "=1+1", "9" * 400, "age > abc", "in > 1e400",
    "in >= 2024-01-01T00:00:00+01:00", "ward > 5", "nosuch = 1",
)  # fmt: skip


def places(tree, found, path=()):
    """Gather the paths of all parts of a document; of a long list, some."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree[:6]) if isinstance(tree, list) else ()
    for key, child in children:
        found.append((*path, key))
        places(child, found, (*path, key))
    return found


def mutated(document, chance):
    """Return the document with one to three parts changed, taken away, doubled, or put in the place of another."""
    document = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        everywhere = places(document, [])
        *way, last = chance.choice(everywhere)
        parent = document
        for key in way:
            parent = parent[key]
        match chance.randrange(5):
            case 0 | 1:
                parent[last] = copy.deepcopy(chance.choice(NASTY))
            case 2:
                del parent[last]
            case 3:
                other = document
                for key in chance.choice(everywhere):
                    if not isinstance(other, dict | list) or not other:
                        break
                    other = other[key] if isinstance(other, dict) and key in other else next(iter(places(other, [])))
                    if isinstance(other, tuple):
                        break
                parent[last] = list(other) if isinstance(other, tuple) else copy.deepcopy(other)
            case 4:
                if isinstance(parent, list):
                    parent.insert(last, copy.deepcopy(parent[last]))
                else:
                    parent[f"{last}2"] = copy.deepcopy(parent[last])
    return document


def mutated_tensors(tensors, chance):
    """Return the tensors with one of them changed."""
    tensors = {name: array.copy() for name, array in tensors.items()}
    name = chance.choice(sorted(tensors))
    array = tensors[name]
    match chance.randrange(5):
        case 0 if array.size:
            array.flat[chance.randrange(array.size)] = chance.choice((np.nan, np.inf, -np.inf, -1, 3e38, 1e7, 0))
        case 1:
            tensors[name] = array * chance.choice((0, -1, 1e30))
        case 2:
            tensors[name] = array.ravel()[: array.size // 2]
        case 3:
            tensors[name] = np.zeros(array.shape, dtype=chance.choice((np.int64, np.bool_, np.float64, np.uint8)))
        case _:
            del tensors[name]
    return tensors


@pytest.fixture
def copied(saved, tmp_path):
    """Return a copy of the saved model that a test may spoil, and a folder to write into."""
    (tmp_path / "out").mkdir()
    return shutil.copytree(saved, tmp_path / "model"), tmp_path / "out"


def attempt(folder, out):
    """Use the model; say whether it was refused. Any other error than ours goes through."""
    try:
        use(folder, out)
    except PrivsynthError as error:
        return error.exit_code == 2 and len(str(error)) < 500
    return False


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_mutated_model_loads_and_draws_or_is_refused_in_a_sentence(copied):
    folder, out = copied
    assert attempt(folder, out) is False, "the model that the mutations change is sound"
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    chance, refused = random.Random(20261130), 0
    for _ in range(250):
        (folder / "model.json").write_text(json.dumps(mutated(document, chance)), encoding="utf-8")
        refused += attempt(folder, out)
    assert 60 < refused < 250, "most mutations matter, and some do not"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_mutated_tensors_load_and_draw_or_are_refused_in_a_sentence(copied):
    folder, out = copied
    tensors = load_file(folder / "model.safetensors")
    chance, refused = random.Random(20261201), 0
    for _ in range(80):
        save_file(mutated_tensors(tensors, chance), folder / "model.safetensors")
        refused += attempt(folder, out)
    assert refused > 30
    for _ in range(40):
        data = bytearray((folder / "model.safetensors").read_bytes())
        data[chance.randrange(min(len(data), 400))] ^= 1 << chance.randrange(8)
        (folder / "model.safetensors").write_bytes(bytes(data))
        attempt(folder, out)


def columns(document):
    return {column["name"]: column for column in document["codec"]}


def itself(d):
    columns(d)["peak"]["base"] = "peak"


def cycle(d):
    columns(d)["dose"]["base"] = "peak"


def missing(d):
    columns(d)["peak"]["base"] = "nosuch"


def another_kind(d):
    columns(d)["peak"]["base"] = "ward"


def of_an_identifier(d):
    columns(d)["stay"]["minuend"] = "id"


def many_rules(d):
    d["rules"] = ["age >= 0"] * 200_000


def long_format(d):
    columns(d)["in"]["format"] = "%Y" * 1_000_000


def endless_settings(d):
    d["settings"]["hidden"] = 10**9
    for name, setting in (("tilt", "oversample"), ("fit", "components")):
        if name in d["settings"]:
            d["settings"][name][setting] = 10**9


def zoned_rule(d):
    d["rules"] = ["in >= 2024-01-01T00:00:00+01:00"]


def text_rule(d):
    d["rules"] = ["age > abc"]


def place_beyond(d):
    columns(d)["site"]["places"] = [0, 1, 9]


def empty_cells(d):
    columns(d)["age"]["cells"] = {"lows": [], "seg_low": [], "seg_high": [], "seg_weight": []}


def no_precision(d):
    columns(d)["dose"]["precision"] = 0.0


def half_a_character(d):
    columns(d)["ward"]["values"][0] = "\ud800"


def other_sizes(d):
    columns(d)["ward"]["values"].append("more")


def two_of_a_name(d):
    columns(d)["dose"]["name"] = "age"


def not_a_number(d):
    columns(d)["age"]["cells"]["seg_weight"][0] = float("nan")


SPOILT = [
    itself, cycle, missing, another_kind, of_an_identifier, many_rules, long_format, endless_settings, zoned_rule,
    text_rule, place_beyond, empty_cells, no_precision, half_a_character, other_sizes, two_of_a_name, not_a_number,
]  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda f: f.__name__)
def test_what_attacks_found_ends_with_exit_2(copied, spoil, tmp_path, privsynth_home):
    folder, _ = copied
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    spoil(document)
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    done = CliRunner().invoke(main, ["sample", str(folder), "--rows", "5", "--out", str(tmp_path / "rows")])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"format": 1}', "[" * 200_000, '{"a":' * 200_000, "9" * 10_000, "\x00"]
)
def test_a_file_that_is_no_model_is_refused(copied, text):
    folder, _ = copied
    (folder / "model.json").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError):
        SyntheticModel.load(folder)


def test_a_file_that_is_too_big_is_not_read(copied):
    folder, _ = copied
    with (folder / "model.json").open("r+b") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(SourceError, match="beyond 64 MiB"):
        SyntheticModel.load(folder)
