"""`Schema` and `Column`: frozen, validated, and public by definition.

What a schema declares is free: it is a person's statement about the table (a code book, a form, a law), not a
measurement of it. What it leaves out is bought with noisy votes and thresholds, or stays unknown.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import UTC, date, datetime
from itertools import combinations
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    field_validator,
    model_validator,
)

from privsynth.errors import meant
from privsynth.hierarchies import Hierarchy, hierarchy_data, hierarchy_from
from privsynth.schema.booleans import usual_booleans
from privsynth.schema.catalogue import Catalogue, CoveredPeriod, covered_period
from privsynth.schema.identifier_format import identifier_format
from privsynth.schema.rule_parser import Vocabulary, parse_rule
from privsynth.schema.rules import Rule

PersonalKind = Literal["name", "first_name", "last_name", "email", "phone", "address", "national_id"]
# One list and not a union, so that a kind that there is not gets one sentence.
Kind = Literal["numeric", "integer", "categorical", "boolean", "datetime", "date", "id", "text", PersonalKind]
# Where invented names and addresses seem to come from: languages in Latin letters, whose names can stand in an e-mail.
Locale = Literal["de_DE", "en_GB", "en_US", "es_ES", "fr_FR", "it_IT", "nl_NL", "pl_PL", "pt_PT", "sv_SE"]
Role = Literal["identifier", "quasi_identifier", "sensitive", "protected", "target"]

NUMERIC_KINDS = ("numeric", "integer")
TIME_KINDS = ("datetime", "date")
PERSONAL_KINDS: tuple[str, ...] = get_args(PersonalKind)
IDENTIFIER_KINDS = ("id", "national_id")  # no two rows have the same value
INVENTED_KINDS = ("id", *PERSONAL_KINDS)  # values are made fresh when rows are written
UNMODELLED_KINDS = ("text", *INVENTED_KINDS)  # nothing is learned of their cells
MAX_CATEGORIES = 50_000  # of a column (own): with OTHER and NULL they fit the 65,536 codes of an attribute
MAX_PARENTS = 1_000  # groups of the coarsest level (own): each becomes a category where the codes are bought
MAX_ENDINGS, MAX_ENDING = 32, 9  # of a column, and characters of each (own): more than a price list has
MAX_RULES, MAX_RULE_TEXT = 1_000, 10_000  # rules, and characters of one (own): people write them by hand
MAX_COLUMNS = 2_000  # of a schema (own): more than a generator can be fitted to in a day


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _hierarchy(value: Any) -> Any:
    return value if value is None or isinstance(value, Hierarchy) else hierarchy_from(value)


Roles = Annotated[tuple[Role, ...], BeforeValidator(_as_tuple)]
_WRITTEN = PlainSerializer(hierarchy_data, when_used="unless-none")
DeclaredHierarchy = Annotated[Hierarchy | None, PlainValidator(_hierarchy), _WRITTEN]


class Follows(BaseModel):
    """A code book by which one column determines another: a merchant its trade, a country its currency.

    Attributes:
      column: the column that determines this one.
      values: value of this column -> the values of the other that determine it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    values: dict[str, tuple[str, ...]]

    @field_validator("values", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not value:
            raise ValueError("must map each value to a list of values of the other column")
        lists = {_category_text(k): v if isinstance(v, list | tuple) else [v] for k, v in value.items()}
        return {key: tuple(_category_text(item) for item in items) for key, items in lists.items()}

    @model_validator(mode="after")
    def _once(self) -> Self:
        found = [item for items in self.values.values() for item in items]
        if len(found) > len(set(found)):
            twice = Counter(found).most_common(1)[0][0]
            raise ValueError(f"'{twice}' of '{self.column}' is given two values")
        return self


class Column(BaseModel):
    """What is publicly known of one column.

    Attributes:
      kind: what the cells mean; None if the run has to release it.
      minimum, maximum: bounds; numbers for numeric kinds, ISO dates or datetimes for time kinds.
      categories: the closed list of values, in the order of the code book. Values outside it become missing.
      precision: grid of the values: 0.1 keeps one decimal; for datetimes, in seconds (60 keeps minutes).
      endings: how many of the numbers end, as written: "99" or ".99" of 19.99, "0.00" of 20.00; needs the precision.
      nullable: False when a missing value cannot occur; the synthetic column then has none.
      roles: identifier, quasi_identifier, sensitive, protected, target.
      format: strptime format of a datetime or date that is not ISO 8601; of an identifier, what it looks like, such as
        "P{8 digits}" (see `privsynth.schema.identifier_format`).
      locale: the country whose names and addresses are invented, for the personal kinds; None for en_US.
      decimal: the decimal sign of a numeric column that is stored as text.
      true_values, false_values: spellings of a boolean.
      observed: True while a suggestion of `schema init --observe` waits for a person; `synthesize` refuses it.
      follows: the code book by which another column says this one, which then is not modelled.
      hierarchy: how the codes of a categorical column group, in several levels (see `privsynth.hierarchies`).
      constant_within_unit: all rows of a unit have the same value, or nearly the same, as an age.
      description, unit: for the reader.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind | None = None
    minimum: float | datetime | date | None = None
    maximum: float | datetime | date | None = None
    categories: tuple[str, ...] | None = None
    precision: float | None = None
    endings: tuple[str, ...] | None = None
    nullable: bool = True
    roles: Roles = ()
    format: str | None = None
    locale: Locale | None = None
    decimal: Literal[".", ","] | None = None
    true_values: tuple[str, ...] | None = None
    false_values: tuple[str, ...] | None = None
    observed: bool = False
    follows: Follows | None = None
    hierarchy: DeclaredHierarchy = None
    constant_within_unit: bool = False
    description: str | None = None
    unit: str | None = None

    @field_validator("categories", "true_values", "false_values", "endings", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise ValueError("must be a list" + ("; name the hierarchy that is meant" if value == "hierarchy" else ""))
        return tuple(_category_text(item) for item in value)

    @model_validator(mode="before")
    @classmethod
    def _codes_of_hierarchy(cls, data: Any) -> Any:
        """A column with a hierarchy holds categories; `categories: hierarchy` are the codes that it lists."""
        if not isinstance(data, dict) or data.get("hierarchy") is None:
            return data
        found = {**data, "kind": data.get("kind") or "categorical"}
        if found.get("categories") == "hierarchy":
            found["hierarchy"] = _hierarchy(found["hierarchy"])
            found["categories"] = list(found["hierarchy"].codes)
            if not found["categories"]:
                raise ValueError("the hierarchy groups codes by rule and lists none; write the categories out")
        return found

    @model_validator(mode="before")
    @classmethod
    def _categories_of_book(cls, data: Any) -> Any:
        """A column of categories that follows from another has those that the code book names."""
        if isinstance(data, dict) and data.get("kind") == "categorical" and data.get("categories") is None:
            values = data["follows"].get("values") if isinstance(data.get("follows"), dict) else None
            if isinstance(values, dict) and values:
                return {**data, "categories": list(values)}
        return data

    @field_validator("minimum", "maximum", mode="before")
    @classmethod
    def _bound(cls, value: Any) -> Any:
        """Numbers stay numbers, ISO texts become datetimes, dates become midnight."""
        if isinstance(value, bool):
            raise ValueError("must be a number or an ISO date")
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                raise ValueError("must be a number or an ISO date") from None
        if isinstance(value, datetime):
            # As the cells are read: zones become UTC.
            return (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for bound in (self.minimum, self.maximum):
            if isinstance(bound, float) and not math.isfinite(bound):
                raise ValueError("minimum and maximum must be finite")
            if bound is not None and self.kind in TIME_KINDS and not isinstance(bound, datetime):
                raise ValueError(f"minimum and maximum of a {self.kind} must be ISO dates")
            if bound is not None and self.kind in NUMERIC_KINDS and isinstance(bound, datetime):
                raise ValueError(f"minimum and maximum of a column of kind {self.kind} must be numbers")
            if bound is not None and self.kind not in (*NUMERIC_KINDS, *TIME_KINDS):
                raise ValueError("minimum and maximum need a kind: numeric, integer, datetime or date")
        both = self.minimum is not None and self.maximum is not None
        if both and self.minimum > self.maximum:  # type: ignore[operator]
            raise ValueError("minimum is above maximum")
        if self.precision is not None and not (math.isfinite(self.precision) and self.precision > 0):
            raise ValueError("precision must be a finite number above 0")
        whole = self.precision is None or (self.precision == int(self.precision) and 1 <= self.precision <= 86_400)
        if self.kind == "datetime" and not whole:
            raise ValueError("precision of a datetime must be whole seconds, between 1 and 86400")
        if self.categories is not None:
            if self.kind not in (None, "categorical"):
                raise ValueError("categories need kind: categorical")
            if len(set(self.categories)) != len(self.categories):
                raise ValueError("categories holds a value twice")
            if not 1 <= len(self.categories) <= MAX_CATEGORIES:
                raise ValueError(f"categories must hold between 1 and {MAX_CATEGORIES} values")
        self._check_format()
        if (self.true_values is None) != (self.false_values is None):
            raise ValueError("true_values and false_values must be given together")
        if self.true_values and set(self.true_values) & set(self.false_values or ()):
            raise ValueError("true_values and false_values overlap")
        if self.follows is not None:
            self._check_book(self.follows)
        if self.endings is not None:
            self._check_endings(self.endings)
        if self.hierarchy is not None and self.kind != "categorical":
            raise ValueError("hierarchy needs kind: categorical")
        if self.hierarchy is not None and self.categories is None and self._coarsest() > MAX_PARENTS:
            raise ValueError(
                f"the coarsest level of the hierarchy has more than {MAX_PARENTS} groups; add a coarser one, or "
                "declare the categories"
            )
        return self

    def _check_endings(self, endings: tuple[str, ...]) -> None:
        decimals = 0
        if self.kind == "numeric" and self.precision is not None:
            decimals = round(-math.log10(self.precision))
        if self.kind not in NUMERIC_KINDS or (self.kind == "numeric") != (decimals > 0):
            raise ValueError("endings need kind: integer, or kind: numeric with a precision of 0.1, 0.01, …")
        if decimals and not math.isclose(self.precision or 0.0, 10.0**-decimals):
            raise ValueError("endings need a precision of 0.1, 0.01, …")
        if self.kind == "integer" and self.precision not in (None, 1):
            raise ValueError("endings of integers need a precision of 1")
        for text in endings:
            behind = len(text.partition(".")[2]) if "." in text else decimals
            if not re.fullmatch(r"[0-9]*\.?[0-9]+", text) or len(text) > MAX_ENDING or behind != decimals:
                raise ValueError(f"endings holds '{text}', which is not how a number of this precision ends")
        if not 1 <= len(endings) <= MAX_ENDINGS or len({text.replace(".", "") for text in endings}) < len(endings):
            raise ValueError(f"endings must hold between 1 and {MAX_ENDINGS} different ones")
        if self.has_role("target") or self.has_role("protected"):
            raise ValueError("endings cannot be modelled of a target or a protected column")

    def _check_format(self) -> None:
        if self.locale is not None and self.kind not in PERSONAL_KINDS:
            raise ValueError(f"locale needs one of the kinds {', '.join(PERSONAL_KINDS)}")
        if self.format is None:
            return
        if self.kind in IDENTIFIER_KINDS:
            identifier_format(self.format)
        elif self.kind in UNMODELLED_KINDS:
            raise ValueError(f"a column of kind {self.kind} has no format")
        elif not _is_time_format(self.format):
            raise ValueError("format is not one of strptime, such as '%d.%m.%Y %H:%M'")

    def _check_book(self, follows: Follows) -> None:
        if self.kind not in ("categorical", "boolean"):
            raise ValueError("follows needs kind: categorical or boolean")
        if self.has_role("target"):
            raise ValueError("a target cannot follow from another column: there would be nothing to predict")
        own = self.categories or tuple(spelt[0] for spelt in self.spellings)
        strange = next((value for value in follows.values if value not in own), None)
        if strange is not None:
            raise ValueError(f"follows holds '{strange}', which the column does not have")

    @property
    def spellings(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """How false and true are written, if it is a boolean; the first of each is what synthetic rows hold."""
        return self.false_values or ("false",), self.true_values or ("true",)

    @property
    def booleans(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """How false and true are written, if it is a boolean, or has two categories that are written like one."""
        if self.kind == "boolean":
            return self.spellings
        usual = usual_booleans(self.categories or ())
        return None if usual is None else ((usual[0],), (usual[1],))

    def _coarsest(self) -> int:
        return 0 if self.hierarchy is None else len(self.hierarchy.groups(self.hierarchy.levels[0]))

    def has_role(self, role: Role) -> bool:
        """Return whether the column was declared to play this role."""
        return role in self.roles


def _is_time_format(format: str) -> bool:
    """Return whether a time that is written in the format can be read back."""
    try:
        datetime.strptime(datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC).strftime(format), format)
    except (ValueError, re.error):
        return False
    return "%" in format


def _category_text(value: Any) -> str:
    """Return a category as the text of its cell: YAML's booleans and numbers are spelled as Python prints them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float | date | datetime):
        return str(value)
    raise ValueError("must hold texts or numbers")


def _blank_columns(value: Any) -> Any:
    """A name with nothing after it is a column of which nothing is declared."""
    if isinstance(value, dict):
        return {name: ({} if column is None else column) for name, column in value.items()}
    return value


# A noun on page one of a report: letters, so that it reads as a word and hides nothing.
Noun = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[^\W\d_][^\W\d_ '-]*( [^\W\d_ '-]+){0,3}$", max_length=40)
]

DeclaredColumns = Annotated[dict[str, Column], BeforeValidator(_blank_columns)]


class Schema(BaseModel):
    """The public shape of a table.

    Attributes:
      dataset: the name under which the ledger keeps the budget.
      unit: the column that names the person or account to protect, or "row".
      unit_noun, rows_noun: for readers of a report: what a unit is called ("patient"), and its rows, in the plural
        ("stays").
      max_rows_per_unit: at most this many rows of a unit are used (k); required when `unit` is a column.
      rows: the number of rows, when it is public; the guarantee then is 'replace one unit's rows by nulls'.
      columns: name -> Column, in the order of the table.
      rules: sentences that hold in every row (see `privsynth.schema.rules`).
      catalogue: for a record of the release in a data catalogue; None for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str | None = Field(default=None, min_length=1, max_length=200)
    unit: str | None = None
    unit_noun: Noun | None = None
    rows_noun: Noun | None = None
    max_rows_per_unit: int | None = Field(default=None, ge=1, le=100_000)
    rows: int | None = Field(default=None, ge=1)
    columns: DeclaredColumns = Field(default_factory=dict)
    rules: tuple[str, ...] = ()
    catalogue: Catalogue | None = None

    @model_validator(mode="after")
    def _rules_fit(self) -> Self:
        if len(self.columns) > MAX_COLUMNS:
            raise ValueError(f"at most {MAX_COLUMNS} columns")
        if len(self.rules) > MAX_RULES or any(len(text) > MAX_RULE_TEXT for text in self.rules):
            raise ValueError(f"at most {MAX_RULES} rules, of at most {MAX_RULE_TEXT:,} characters each")
        for rule in self.parsed_rules():
            for name in rule.columns:
                if self.columns and name not in self.columns:
                    near = meant(name, self.columns)
                    raise ValueError(f"rule '{rule.text}' names the column '{name}', which the schema lacks{near}")
        for name, column in self.columns.items():
            if column.follows is not None:
                self._check_follows(name, column, column.follows)
        self._check_identifiers()
        self.period()
        return self

    def _check_identifiers(self) -> None:
        """Two columns of identifiers have one format, or formats of which no identifier fits both."""
        formats = {
            name: identifier_format(column.format)
            for name, column in self.columns.items()
            if column.kind in IDENTIFIER_KINDS and column.format is not None
        }
        for (one, mine), (other, yours) in combinations(formats.items(), 2):
            if mine.alphabets != yours.alphabets and mine.overlaps(yours):
                raise ValueError(
                    f"an identifier of '{one}' could equal one of '{other}': give both the same format, or begin each "
                    "with a letter of its own"
                )

    def _check_follows(self, name: str, column: Column, follows: Follows) -> None:
        if follows.column not in self.columns or follows.column in (name, self.unit):
            raise ValueError(f"'{name}' follows from '{follows.column}', which is no other column of the schema")
        source = self.columns[follows.column]
        # A kind that is released may turn out to be another, and the run would fail after spending.
        if source.kind != "categorical" or source.categories is None or source.follows is not None:
            raise ValueError(
                f"'{name}' follows from '{follows.column}', which must be declared with kind: categorical and its "
                "categories, and follow from none"
            )
        named = {value for values in follows.values.values() for value in values}
        if strange := sorted(named - set(source.categories)):
            raise ValueError(f"'{name}' follows from '{strange[0]}', which is no category of '{follows.column}'")
        if not column.nullable and (source.nullable or named < set(source.categories)):
            raise ValueError(
                f"'{name}' cannot be missing, so '{follows.column}' must not be either, and each of its categories "
                f"must say a value of '{name}'"
            )

    def parsed_rules(self) -> tuple[Rule, ...]:
        """Return the rules, parsed; a ValueError says which one cannot be read."""
        known = Vocabulary(
            names=tuple(self.columns),
            hierarchies={name: c.hierarchy for name, c in self.columns.items() if c.hierarchy is not None},
            booleans=self.booleans(),
        )
        return tuple(parse_rule(text, known) for text in self.rules)

    def booleans(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Return how each boolean writes false and true."""
        return {name: spelt for name, column in self.columns.items() if (spelt := column.booleans) is not None}

    def period(self) -> CoveredPeriod | None:
        """Return the period that the rows cover, by their catalogue's record; None if it names none."""
        return covered_period(self.catalogue, self.columns)

    def column(self, name: str) -> Column:
        """Return what is declared of a column; nothing, if it is not there."""
        return self.columns.get(name, Column())

    def tells_units_apart(self, unit: str) -> bool:
        """Return whether it names the unit column, and columns that are constant within a unit."""
        return unit in self.columns and any(column.constant_within_unit for column in self.columns.values())

    def with_role(self, role: Role) -> list[str]:
        """Return the names of the columns that play a role, in table order."""
        return [name for name, column in self.columns.items() if column.has_role(role)]
