"""Endpoints, by what they are about; each calls one act."""

from __future__ import annotations

from privsynth.service.web.routes import people, runs, sign_in, sources

ROUTERS = (sign_in.router, people.router, sources.router, runs.router)
