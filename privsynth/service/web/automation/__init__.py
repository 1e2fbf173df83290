"""Endpoints of what the service does by itself, once somebody has asked for it."""

from __future__ import annotations

from privsynth.service.web.automation import schedules, schedules_api, webhooks, webhooks_api

ROUTERS = (schedules.router, schedules_api.api, webhooks.router, webhooks_api.api)
