"""Endpoints, by what they are about; each calls one act."""

from __future__ import annotations

from privsynth.service.web.routes import people, sign_in

ROUTERS = (sign_in.router, people.router)
