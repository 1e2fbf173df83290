"""The files of a log, by their names."""

import pytest

from privsynth.transparency.merkle import leaf_hash
from privsynth.transparency.tiles import is_fixed, names_of, write_tiles

SIZES = (0, 1, 255, 256, 257, 600)


@pytest.mark.parametrize("size", SIZES)
def test_the_names_of_a_log_are_those_of_the_files_that_it_has(tmp_path, size):
    entries = [str(n).encode() for n in range(size)]
    write_tiles(tmp_path, entries, [leaf_hash(entry) for entry in entries], 0)
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert set(names_of(size)) == there


def test_a_file_is_fixed_once_the_log_speaks_of_it_and_stays_so():
    known = {name: size for size in reversed(range(700)) for name in names_of(size)}  # first size that has it
    for name, first in known.items():
        assert not is_fixed(name, first - 1), name
        assert is_fixed(name, first), name
        assert is_fixed(name, 10**9), name


def test_far_tiles_are_named_in_groups_of_three_digits():
    assert is_fixed("tile/entries/x001/x234/067", 1234068 * 256)
    assert not is_fixed("tile/entries/x001/x234/067", 1234068 * 256 - 1)
    assert is_fixed("tile/2/000", 256**3)
    for name in ("tile/entries/1", "tile/entries/x000/001", "tile/-1/000", "tile/1/000/", "tile/entries/000\n"):
        assert not is_fixed(name, 10**9), name
