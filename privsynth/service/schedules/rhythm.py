"""`Rhythm`: on which days something is due, by the calendar of a time zone."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

Every = Literal["week", "month", "quarter", "year"]
# Months from one due time to the next, by the calendar.
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
# Due times in twelve months, at most: the 364 days before a due time hold 52 others of a week.
MOST_A_YEAR: dict[Every, int] = {"week": 53, "month": 12, "quarter": 4, "year": 1}


class Rhythm(BaseModel):
    """When something is due: on a first day, and from there on every week, month, quarter or year.

    A month without that day has its last one instead: the 31st is 28 February, and 31 March again. A time that the
    clocks skip in spring is that much later; of one that comes twice in autumn, the first counts (PEP 495).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Every
    first: date = Field(
        ge=date(2000, 1, 1), le=date(2199, 12, 31), description="The first day; one in the past only says which day."
    )
    at: time = Field(description="Time of that day, as 06:00, in the institution's time zone.")

    @field_validator("at")
    @classmethod
    def _of_no_other_zone(cls, value: time) -> time:
        if value.tzinfo is not None or value.second or value.microsecond:
            raise ValueError("hours and minutes alone, as 06:00")
        return value

    def due(self, number: int, zone: ZoneInfo) -> datetime:
        """Return when it is due for the time of this number, from 0 on, in UTC."""
        return datetime.combine(self._day(number), self.at, zone).astimezone(UTC)

    def _day(self, number: int) -> date:
        if self.every == "week":
            return self.first + timedelta(weeks=number)
        month = self.first.month - 1 + number * _MONTHS[self.every]
        year, month = self.first.year + month // 12, month % 12 + 1
        return date(year, month, min(self.first.day, monthrange(year, month)[1]))

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """Return when it is due next, later than a moment."""
        since = moment.astimezone(zone).date()
        if self.every == "week":
            passed = (since - self.first).days // 7
        else:
            passed = ((since.year - self.first.year) * 12 + since.month - self.first.month) // _MONTHS[self.every]
        return next(due for number in count(max(0, passed - 1)) if (due := self.due(number, zone)) > moment)

    def upcoming(self, moment: datetime, zone: ZoneInfo, number: int) -> list[datetime]:
        """Return the next so many times, later than a moment."""
        found: list[datetime] = []
        while len(found) < number:
            found.append(self.after(found[-1] if found else moment, zone))
        return found

    def between(self, since: datetime, until: datetime, zone: ZoneInfo) -> list[datetime]:
        """Return every time that it was due, later than one moment and no later than another."""
        found: list[datetime] = []
        while (due := self.after(found[-1] if found else since, zone)) <= until:
            found.append(due)
        return found


def a_year_before(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the same day and time of the year before; of 29 February, the 28th."""
    local = moment.astimezone(zone)
    day = 28 if (local.month, local.day) == (2, 29) else local.day
    return local.replace(year=local.year - 1, day=day).astimezone(UTC)
