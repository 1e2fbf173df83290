"""`ServiceSettings`: what an institution decides about its service, from a file and from the environment."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from privsynth.errors import ConfigError, meant
from privsynth.service.roles import Role

PREFIX = "PRIVSYNTH_SERVICE_"


class ServiceSettings(BaseModel):
    """The settings of one service: a name in the file; in the environment, in capitals after the prefix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address on which pages and API are served.")
    port: int = Field(8787, ge=0, le=65535, description="Port; 0 takes a free one.")
    public_url: str = Field(
        "", description="Address under which people reach the service, as https://privsynth.example.org; needed in "
        "links that are sent, and for cookies that travel over TLS alone. Empty: the address on which it is served.",
    )  # fmt: skip
    database: str = Field(
        "", description="Database of the service: postgresql://… for several machines. Empty: an SQLite file in home."
    )
    workers: int = Field(
        1, ge=0, le=64, description="Runs at the same time beside the pages; 0 leaves them to privsynth worker."
    )
    policy: str = Field(
        "public", description="Policy that says how many people have to approve: a shipped one, or a path."
    )
    source_folder: str = Field(
        "", description="Folder below which files may be registered as sources. Empty: files are uploaded, or none."
    )
    allow_private_addresses: bool = Field(
        False, description="Let sources be databases on loopback and link-local addresses; others are always allowed."
    )
    webhook_networks: str = Field(
        "", description="Networks that are not public to which webhooks may go, separated by commas, as 10.1.0.0/16; "
        "there also by http. Empty: webhooks go to public addresses alone.",
    )  # fmt: skip
    session_hours: float = Field(12.0, gt=0, le=72, description="Longest session, in hours.")
    idle_minutes: float = Field(
        30.0, gt=0, le=720, description="A session ends after so many minutes without a request."
    )
    upload_megabytes: int = Field(2048, ge=1, le=1_000_000, description="Largest file that may be uploaded, in MB.")
    keep_uploads_days: int = Field(
        0, ge=0, le=36_500, description="An uploaded file is deleted so many days after its last run or schedule, and "
        "its source retired; never while an active schedule reads it. 0: when somebody retires the source.",
    )  # fmt: skip
    keep_officer_days: int = Field(
        0, ge=0, le=36_500, description="The officer's part of a release is deleted so many days after the last "
        "decision, once the release is published, rejected or revoked; 0: never.",
    )  # fmt: skip
    keep_rejected_days: int = Field(
        0, ge=0, le=36_500, description="Both parts of a rejected release are deleted so many days after the last "
        "decision; 0: never.",
    )  # fmt: skip
    keep_failed_days: int = Field(
        0, ge=0, le=36_500, description="What a run left that ended without a release is deleted so many days after "
        "its end; 0: never.",
    )  # fmt: skip
    keep_offers_days: int = Field(
        0, ge=0, le=36_500, description="An offer, with its recipient and terms, is deleted so many days after it "
        "ended; 0: never.",
    )  # fmt: skip
    keep_sign_ins_days: int = Field(
        90, ge=1, le=36_500, description="Ended sessions, invitations and tokens, and attempts to sign in, are removed "
        "after so many days.",
    )  # fmt: skip
    person_requests_per_minute: int = Field(
        600,
        ge=0,
        description="Requests to the API that the programs of one person may send in a minute; 0: any number.",
    )
    address_requests_per_minute: int = Field(
        6000, ge=0, description="Requests to the API, to sign in and to download that one address may send in a "
        "minute; 0: any number.",
    )  # fmt: skip
    proxies: str = Field(
        "", description="Addresses or networks of the proxies in front, separated by commas: of them it is believed "
        "from which address a request came. Empty: of none.",
    )  # fmt: skip
    run_hours: float = Field(24.0, gt=0, le=720, description="A run that takes longer is stopped.")
    time_zone: str = Field("UTC", description="Time zone in which schedules are due, as Europe/Berlin.")
    key: str = Field("service", description="Name of the service's signing key, of a maker, in its home.")
    key_passphrase_file: str = Field("", description="File that holds that key's passphrase; empty: a key without one.")

    oidc_issuer: str = Field(
        "",
        description="Provider of OpenID Connect with which people sign in, as https://login.example.org; empty: none.",
    )
    oidc_client_id: str = Field("", description="Name of this service at that provider.")
    oidc_client_secret_file: str = Field("", description="File with the secret that the provider gave this service.")
    oidc_scope: str = Field("openid profile email", description="What is asked of the provider; some need groups, too.")
    oidc_groups_claim: str = Field("groups", description="Claim of the provider's token that lists a person's groups.")
    oidc_roles: dict[str, tuple[Role, ...]] = Field(
        default_factory=dict, description="Group of the provider -> roles that it brings; in the environment as JSON. "
        "Who is in none of them does not get in.",
    )  # fmt: skip

    @field_validator("oidc_roles", mode="before")
    @classmethod
    def _from_environment(cls, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError('JSON such as {"data-office": ["approver"]}') from None

    @field_validator("webhook_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for one in filter(None, value.split(",")):
            try:
                ip_network(one.strip())
            except ValueError:
                raise ValueError("networks such as 10.1.0.0/16, separated by commas") from None
        return value

    @field_validator("time_zone")
    @classmethod
    def _a_zone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("a name of the time zone database, such as Europe/Berlin") from None

    @field_validator("public_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/")):
            raise ValueError("an address such as https://privsynth.example.org, without a path")
        return value.rstrip("/")

    @property
    def over_tls(self) -> bool:
        """Whether people reach it over TLS alone."""
        return self.public_url.startswith("https://")


def read_settings(file: Path | None, environ: Mapping[str, str] = os.environ) -> ServiceSettings:
    """Return the settings of a file (TOML), over which the environment stands.

    Raises:
      ConfigError: the file cannot be read, or a setting is unknown or absurd.
    """
    told: dict[str, Any] = {}
    if file is not None:
        try:
            told = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
            raise ConfigError(f"the settings in {file} cannot be read: {problem}") from None
    for name, value in environ.items():
        if name.startswith(PREFIX):
            told[name.removeprefix(PREFIX).lower()] = value
    for name in told:
        if name not in ServiceSettings.model_fields:
            raise ConfigError(f"there is no setting '{name}'{meant(name, ServiceSettings.model_fields)}")
    try:
        return ServiceSettings.model_validate(told)
    except ValidationError as problem:
        first = problem.errors()[0]
        raise ConfigError(f"the setting {'.'.join(map(str, first['loc']))} is wrong: {first['msg']}") from None
