"""The pages of a report with the titles that the product gives them."""

from privsynth.pipeline.writing.report_records import report_titles
from privsynth.report import headlines as _headlines
from privsynth.report import render as _render
from privsynth.report import sections as _sections
from privsynth.report import verdict_rows as _verdict_rows
from privsynth.report.titles import titles_by

TITLES = report_titles()
title = titles_by(TITLES)


def render(report):
    return _render.render(report, TITLES)


def sections(report):
    return _sections.sections(report, title)


def checks(report):
    return _verdict_rows.checks(report, title)


def headlines(report):
    return _headlines.headlines(report, title)
