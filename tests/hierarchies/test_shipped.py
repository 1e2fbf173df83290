"""Well-known codes are where their classification puts them."""

from __future__ import annotations

import pickle

import pytest

from privsynth.hierarchies import SHIPPED, hierarchy_data, hierarchy_from

KNOWN = {
    "icd10": {
        "O36.4": ("O00-O99", "O30-O48", "O36"),
        "o364": ("O00-O99", "O30-O48", "O36"),
        "C61": ("C00-D48", "C60-C63", "C61"),
        "N40": ("N00-N99", "N40-N51", "N40"),
        "D48": ("C00-D48", "D37-D48", "D48"),
        "D50": ("D50-D89", "D50-D53", "D50"),
        "H59": ("H00-H59", "H55-H59", "H59"),
        "H60": ("H60-H95", "H60-H62", "H60"),
        "E11.9": ("E00-E90", "E10-E14", "E11"),
        "I21.0": ("I00-I99", "I20-I25", "I21"),
        "T81.4": ("S00-T98", "T80-T88", "T81"),
        "X59": ("V01-Y98", "X58-X59", "X59"),
        "U07.1": ("U00-U99", "U00-U49", "U07"),
        "Z3A": ("Z00-Z99", "Z30-Z39", "Z3A"),
        "M54.5-": ("M00-M99", "M50-M54", "M54"),
        "O30-O48": ("O00-O99", "O30-O48", "O30-O48"),
        "O00-O99": ("O00-O99",) * 3,
        "250.83": None,
        "ICD": None,
        "": None,
    },
    "icd9cm": {
        "250.83": ("240-279", "249-259", "250"),
        "25083": ("240-279", "249-259", "250"),
        "8": ("001-139", "001-009", "008"),
        "042": ("001-139", "042", "042"),
        "428": ("390-459", "420-429", "428"),
        "648": ("630-679", "640-649", "648"),
        "746.5": ("740-759", "740-759", "746"),
        "V27.0": ("V01-V91", "V20-V29", "V27"),
        "E909": ("E000-E999", "E900-E909", "E909"),
        "V00": None,
        "000": None,
        "I21": None,
    },
    "atc": {
        "A10BA02": ("A", "A10", "A10B", "A10BA"),
        "C09AA": ("C", "C09", "C09A", "C09AA"),
        "J01": ("J", "J01", "J01", "J01"),
        "E01": None,
        "A1": None,
    },
    "omop": {"4112343": ("0",), "0": ("0",), " 8507": ("0",), "OTHER": None, "": None, "-1": None, "12345678901": None},
    "mcc": {
        "5411": ("5000-5599", "54"),
        "3058": ("3000-3299", "30"),
        "6011": ("6000-6999", "60"),
        "742": ("0001-1499", "07"),
        "54": None,
        "54110": None,
    },
    "nace": {
        "62.01": ("J", "62", "62.0"),
        "J62.01": ("J", "62", "62.0"),
        "6201": ("J", "62", "62.0"),
        "10": ("C", "10", "10"),
        "Q": ("Q", "Q", "Q"),
        "K62": None,
        "34": None,
    },
    "nace_sections": {"A": ("primary",), "F": ("secondary",), "Q": ("services",), "Z": None},
    "iso3166": {
        "DE": ("Europe", "Western Europe"),
        "jp": ("Asia", "Eastern Asia"),
        "US": ("Americas", "Northern America"),
        "NG": ("Africa", "Western Africa"),
        "AQ": ("Antarctica", "Antarctica"),
        "XX": None,
    },
    "iso3166_alpha3": {"DEU": ("Europe", "Western Europe"), "DE": None},
    "iso3166_numeric": {"276": ("Europe", "Western Europe"), "004": ("Asia", "Southern Asia")},
}


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, codes in KNOWN.items() for code in codes])
def test_a_code_is_in_its_groups(name, code):
    assert SHIPPED[name].path(code) == KNOWN[name][code]


def test_every_hierarchy_that_ships_has_codes_to_test():
    assert SHIPPED.keys() == KNOWN.keys()


@pytest.mark.parametrize("name", SHIPPED)
def test_groups_lie_inside_groups_and_stand_for_themselves(name):
    hierarchy = SHIPPED[name]
    for group, path in hierarchy.tree.items():
        assert path[-1] == group
        assert hierarchy.path(group)[: len(path)] == path
        for depth, above in enumerate(path):
            assert hierarchy.tree[above] == path[: depth + 1]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_code_has_a_parent_on_each_level(name):
    hierarchy = SHIPPED[name]
    for level in hierarchy.levels:
        parents = set(hierarchy.parents(level))
        for code in [code for code, path in KNOWN[name].items() if path] + list(hierarchy.codes):
            if code not in hierarchy.tree:
                assert parents.intersection(hierarchy.path(code))


def test_every_category_of_icd10_is_between_the_ends_of_its_chapter():
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        for number in range(100):
            chapter, block, category = SHIPPED["icd10"].path(f"{letter}{number:02d}")
            assert category == f"{letter}{number:02d}"
            assert block[0] == letter or chapter == "V01-Y98"
            first, last = chapter.split("-")
            assert first[0] <= letter <= last[0]


def test_a_chapter_may_be_called_by_its_letter_where_it_is_all_of_it():
    assert SHIPPED["icd10"].group("chapter", "O") == SHIPPED["icd10"].group("chapter", "o") == "O00-O99"
    for letter in "ACDHST":
        with pytest.raises(ValueError, match=f"icd10 has no chapter '{letter}'; it has A00-B99, C00-D48"):
            SHIPPED["icd10"].group("chapter", letter)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_name_is_what_is_saved(name):
    assert hierarchy_data(SHIPPED[name]) == name
    assert hierarchy_from(name.upper()) is SHIPPED[name]
    assert pickle.loads(pickle.dumps(SHIPPED[name])) == SHIPPED[name]  # noqa: S301


def test_an_unknown_name_lists_those_that_ship():
    with pytest.raises(ValueError, match="'icd11' is no hierarchy that ships; those are icd10, icd9cm, atc"):
        hierarchy_from("icd11")
