"""Endpoints of what the service does by itself, once somebody has asked for it."""

from __future__ import annotations

from privsynth.service.web.automation import schedules, schedules_api

ROUTERS = (schedules.router, schedules_api.api)
