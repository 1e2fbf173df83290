"""When something is due: by the calendar, through short months, leap years and changes of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from privsynth.service.schedules.rhythm import MOST_A_YEAR, Rhythm, a_year_before

BERLIN = ZoneInfo("Europe/Berlin")
NOON = time(12)


def days(rhythm: Rhythm, since: datetime, number: int, zone=UTC) -> list[str]:
    return [f"{due.astimezone(zone):%Y-%m-%d %H:%M}" for due in rhythm.upcoming(since, zone, number)]


@pytest.mark.parametrize(
    ("every", "first", "expected"),
    [
        ("month", date(2027, 12, 31), ["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]),
        ("quarter", date(2027, 11, 30), ["2027-11-30", "2028-02-29", "2028-05-30", "2028-08-30", "2028-11-30"]),
        ("year", date(2024, 2, 29), ["2027-02-28", "2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28"]),
        ("week", date(2027, 1, 1), ["2027-01-08", "2027-01-15", "2027-01-22", "2027-01-29", "2027-02-05"]),
    ],
)
def test_a_month_without_that_day_has_its_last_one(every, first, expected):
    rhythm = Rhythm(every=every, first=first, at=NOON)
    since = datetime(2027, 1, 1, 12, tzinfo=UTC) if every != "month" else datetime(2020, 1, 1, tzinfo=UTC)
    if every == "quarter":
        since = datetime(2020, 1, 1, tzinfo=UTC)
    assert days(rhythm, since, 5) == [f"{day} 12:00" for day in expected]


def test_the_hour_is_that_of_the_institution_in_summer_and_winter():
    rhythm = Rhythm(every="month", first=date(2026, 2, 1), at=time(6))
    assert days(rhythm, datetime(2026, 3, 1, tzinfo=UTC), 2) == ["2026-03-01 06:00", "2026-04-01 06:00"]
    told = [f"{due:%H:%M}" for due in rhythm.upcoming(datetime(2026, 3, 1, tzinfo=UTC), BERLIN, 2)]
    assert told == ["05:00", "04:00"]


def test_an_hour_that_is_skipped_is_later_and_one_that_comes_twice_is_the_first():
    skipped = Rhythm(every="year", first=date(2026, 3, 29), at=time(2, 30)).due(0, BERLIN)
    assert (f"{skipped:%H:%M}", f"{skipped.astimezone(BERLIN):%H:%M}") == ("01:30", "03:30")
    twice = Rhythm(every="year", first=date(2026, 10, 25), at=time(2, 30)).due(0, BERLIN)
    assert f"{twice:%H:%M}" == "00:30"


@given(
    st.sampled_from(list(MOST_A_YEAR)), st.dates(date(2000, 1, 1), date(2050, 1, 1)), st.times(),
    st.datetimes(datetime(1999, 1, 1), datetime(2060, 1, 1)),
    st.sampled_from([BERLIN, ZoneInfo("UTC"), ZoneInfo("Australia/Lord_Howe")]),
)  # fmt: skip
def test_the_next_time_is_the_first_later_one_and_no_year_has_more_than_planned(every, first, at, moment, zone):
    rhythm = Rhythm(every=every, first=first, at=at.replace(second=0, microsecond=0))
    moment = moment.replace(tzinfo=UTC)
    found = rhythm.after(moment, zone)
    every_due = [rhythm.due(number, zone) for number in range(3300)] if every == "week" else None
    if every_due is not None:
        assert found == next(due for due in every_due if due > moment)
    upcoming = rhythm.upcoming(moment, zone, MOST_A_YEAR[every] + 1)
    assert upcoming == sorted(set(upcoming))
    assert rhythm.between(moment, upcoming[-1], zone) == upcoming
    last = upcoming[-1]
    assert sum(due > a_year_before(last, zone) for due in upcoming) <= MOST_A_YEAR[every]


@pytest.mark.parametrize("at", ["06:00Z", "06:00:30", "25:00", "noon"])
def test_a_time_is_hours_and_minutes(at):
    with pytest.raises(ValidationError):
        Rhythm.model_validate({"every": "month", "first": "2026-01-31", "at": at})


def test_a_year_before_is_the_same_hour_of_the_same_day():
    assert a_year_before(datetime(2028, 2, 29, 11, tzinfo=UTC), BERLIN) == datetime(2027, 2, 28, 11, tzinfo=UTC)
    due = Rhythm(every="year", first=date(2024, 2, 29), at=NOON)
    assert a_year_before(due.due(4, BERLIN), BERLIN) == due.due(3, BERLIN)
    assert due.due(5, BERLIN) - due.due(4, BERLIN) == timedelta(days=365)
