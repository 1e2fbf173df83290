"""Endpoints, by what they are about; each calls one act."""

from __future__ import annotations

from privsynth.service.web import automation
from privsynth.service.web.routes import (
    acts,
    deciding_api,
    decisions,
    delivery,
    keys,
    overview,
    people,
    public,
    runs,
    sign_in,
    sources,
    tokens,
)
from privsynth.service.web.routes.elsewhere import signing
from privsynth.service.web.routes.lifecycle import erasure, retention
from privsynth.service.web.routes.schemas import columns

ROUTERS = (
    sign_in.router,
    people.router,
    people.api,
    sources.router,
    sources.api,
    columns.router,
    columns.api,
    runs.router,
    runs.api,
    decisions.router,
    keys.router,
    keys.api,
    delivery.router,
    deciding_api.api,
    public.router,
    overview.router,
    overview.api,
    acts.router,
    acts.api,
    tokens.router,
    tokens.api,
    *automation.ROUTERS,
    retention.router,
    retention.api,
    signing.router,
    signing.api,
    erasure.router,
    erasure.api,
)
