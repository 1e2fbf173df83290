"""Signing in through the institution's own provider, by OpenID Connect.

The code flow with PKCE (RFC 7636), a state and a nonce; the three are in a sealed cookie of the browser that asked, so
that an answer counts only there, and only once: the provider takes each code once. An identity token is believed if the
provider signed it with an asymmetric key, for this client, for this question, and if it has not ended (OpenID Connect
Core 1.0, section 3.1.3.7).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from privsynth.errors import ConfigError, InputError, NotAllowed, ServiceUnavailable
from privsynth.service.context import Service
from privsynth.service.people import check_roles
from privsynth.service.record import record
from privsynth.service.roles import Role
from privsynth.service.settings import ServiceSettings
from privsynth.service.sign_in import new_session
from privsynth.service.store.people import ApiToken, Person, SignedIn

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]  # never a shared secret, never none
PATIENCE_S = 10.0  # for each answer of the provider (own)
LIFETIME = timedelta(minutes=10)  # from the question to its answer: a person types a password and a second factor
_LEEWAY_S = 60  # that clocks may differ by
_ABOUT = "sign-in by OpenID Connect"


@dataclass(frozen=True)
class SignInQuestion:
    """Where a browser is sent, and what its cookie keeps until it comes back."""

    address: str
    cookie: str


class Provider:
    """The provider of the settings, asked over the network when somebody signs in, and never before."""

    def __init__(self, settings: ServiceSettings) -> None:
        if not settings.oidc_client_id:
            raise ConfigError("a provider of OpenID Connect needs the setting oidc_client_id as well")
        self._issuer, self._settings = settings.oidc_issuer.rstrip("/"), settings
        host = urlsplit(self._issuer).hostname
        if not self._issuer.startswith("https://") and host not in ("localhost", "127.0.0.1", "::1"):
            raise ConfigError(
                "the setting oidc_issuer has to begin with https://: who signs in is read from its answer"
            )

    def metadata(self) -> Mapping[str, Any]:
        """Return what the provider says of itself.

        Raises:
          ServiceUnavailable: it does not answer.
          NotAllowed: it says that it is somebody else.
        """
        found = self._json(f"{self._issuer}/.well-known/openid-configuration")
        if str(found.get("issuer", "")).rstrip("/") != self._issuer:
            raise NotAllowed("the provider says that it is another one than the setting oidc_issuer names")
        return found

    def keys(self, metadata: Mapping[str, Any]) -> KeySet:
        """Return the keys with which the provider signs now."""
        try:
            return KeySet.import_key_set(self._json(str(metadata["jwks_uri"])))  # type: ignore[arg-type]
        except (KeyError, JoseError, ValueError):
            raise ServiceUnavailable("the provider's keys cannot be read") from None

    def client(self, **more: Any) -> OAuth2Client:
        """Return a client of the provider's endpoints."""
        secret = None
        if file := self._settings.oidc_client_secret_file:
            try:
                secret = Path(file).read_text(encoding="utf-8").strip()
            except OSError as problem:
                raise ConfigError(f"the setting oidc_client_secret_file: {problem.strerror}") from None
        return OAuth2Client(
            self._settings.oidc_client_id, secret, scope=self._settings.oidc_scope, code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if secret else "none", timeout=PATIENCE_S, **more,
        )  # fmt: skip

    @staticmethod
    def _json(address: str) -> dict[str, Any]:
        try:
            answer = httpx.get(address, timeout=PATIENCE_S).raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            raise ServiceUnavailable("the provider that people sign in with does not answer; try again") from None
        if not isinstance(answer, dict):
            raise ServiceUnavailable("the provider that people sign in with gives no answer that can be read")
        return answer


def ask(service: Service, back: str) -> SignInQuestion:
    """Return where to send a browser whose person wants to sign in.

    Args:
      back: the address of this service to which the provider sends it back.
    """
    provider = Provider(service.settings)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    with provider.client(redirect_uri=back) as client:
        # `max_age=0`: the provider asks for the password even of who is signed in there; a decision rests on it.
        address, _ = client.create_authorization_url(
            str(provider.metadata()["authorization_endpoint"]), state=state, nonce=nonce, code_verifier=verifier,
            max_age=0,
        )  # fmt: skip
    until = (service.now() + LIFETIME).timestamp()
    kept = json.dumps({"state": state, "nonce": nonce, "verifier": verifier, "back": back, "until": until})
    return SignInQuestion(address, service.vault.seal(kept, _ABOUT).hex())


def answered(service: Service, cookie: str, code: str, state: str) -> str:
    """Return the secret of a new session for who signed in at the provider.

    Raises:
      NotAllowed: the answer is none to this browser's question, or the person has no role here.
      ServiceUnavailable: the provider does not answer.
    """
    kept = _kept(service, cookie)
    if not secrets.compare_digest(str(kept["state"]).encode(), state.encode()):
        raise NotAllowed("this answer is for another browser or an earlier attempt: sign in again")
    provider = Provider(service.settings)
    metadata = provider.metadata()
    try:
        with provider.client(redirect_uri=kept["back"]) as client:
            token = client.fetch_token(
                str(metadata["token_endpoint"]), grant_type="authorization_code", code=code,
                code_verifier=kept["verifier"],
            )  # fmt: skip
    except httpx.HTTPError:
        raise ServiceUnavailable("the provider that people sign in with does not answer; try again") from None
    except Exception as problem:  # authlib's errors have many parents; none of them carries what a person should read
        raise NotAllowed("the provider did not confirm this sign-in: try again") from problem
    claims = _claims(service, provider.keys(metadata), token.get("id_token", ""), str(kept["nonce"]))
    if claims["iss"].rstrip("/") != str(metadata["issuer"]).rstrip("/"):
        raise NotAllowed("the provider did not confirm this sign-in: try again")
    return _session_of(service, claims)


def _kept(service: Service, cookie: str) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(service.vault.open(bytes.fromhex(cookie), _ABOUT))
    except (ConfigError, ValueError):
        kept = {"until": 0.0}
    if kept["until"] < service.now().timestamp():
        raise NotAllowed("this sign-in took too long, or began in another browser: sign in again")
    return kept


def _claims(service: Service, keys: KeySet, token: str, nonce: str) -> dict[str, Any]:
    """Return what a token says of the person, once all that has to fit fits."""
    try:
        claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
        jwt.JWTClaimsRegistry(
            now=lambda: int(service.now().timestamp()), leeway=_LEEWAY_S,
            iss={"essential": True}, sub={"essential": True}, exp={"essential": True}, iat={"essential": True},
            aud={"essential": True, "value": service.settings.oidc_client_id},
            nonce={"essential": True, "value": nonce},
        ).validate(claims)  # fmt: skip
    except (JoseError, ValueError):
        raise NotAllowed("the provider did not confirm this sign-in: try again") from None
    if claims.get("azp", service.settings.oidc_client_id) != service.settings.oidc_client_id:
        raise NotAllowed("the provider did not confirm this sign-in: try again")
    return dict(claims)


def roles_of(settings: ServiceSettings, claims: Mapping[str, Any]) -> frozenset[Role]:
    """Return the roles that the groups of a person bring; a group that no setting names brings none."""
    groups = claims.get(settings.oidc_groups_claim, [])
    groups = [groups] if isinstance(groups, str) else groups
    named = settings.oidc_roles
    return frozenset(role for group in groups if isinstance(group, str) for role in named.get(group, ()))


def _session_of(service: Service, claims: Mapping[str, Any]) -> str:
    """Begin a session of the person, whose roles are what the provider's groups say today."""
    roles, now = roles_of(service.settings, claims), service.now()
    issuer, subject = str(claims["iss"])[:300], str(claims["sub"])
    with service.database.writing() as session:
        person = session.scalars(select(Person).where(Person.issuer == issuer, Person.subject == subject)).first()
        if person is not None and person.roles != roles:
            _take_roles(session, person, roles)
            record(
                session, "change_roles", f"person {person.id}", person_id=person.id, at=now, roles=sorted(roles),
                by="provider",
            )  # fmt: skip
    _require_roles(roles)
    if person is not None and not person.active:
        raise NotAllowed("your access to this service was ended: ask an administrator")
    with service.database.writing() as session:
        if person is None:
            person = _newcomer(session, service, claims, roles)
        return new_session(session, person.id, now, how="OpenID Connect")


def _require_roles(roles: frozenset[Role]) -> None:
    if not roles:
        raise NotAllowed(
            "you are known, and have no role in this service: ask an administrator to name one of your groups in the "
            "setting oidc_roles"
        )
    try:
        check_roles(roles)
    except InputError as problem:
        raise NotAllowed(f"your groups bring roles that do not go together: {problem}") from None


def _take_roles(session: Session, person: Person, roles: frozenset[Role]) -> None:
    """Give a person these roles; sessions and tokens of wider ones end."""
    person.give(roles)
    session.execute(delete(ApiToken).where(ApiToken.person_id == person.id))
    session.execute(delete(SignedIn).where(SignedIn.person_id == person.id))


def _newcomer(session: Session, service: Service, claims: Mapping[str, Any], roles: frozenset[Role]) -> Person:
    """Add a person of the provider; the name is for reading, who it is stands in issuer and subject."""
    subject = str(claims["sub"])
    display = str(claims.get("name") or claims.get("preferred_username") or claims.get("email") or subject)[:200]
    person = Person(
        name=f"oidc-{secrets.token_hex(8)}", display=display, issuer=str(claims["iss"])[:300], subject=subject[:300],
        made_at=service.now(),
    )  # fmt: skip
    person.give(roles)
    session.add(person)
    session.flush()
    record(
        session, "add_person", f"person {person.id}", person_id=None, at=service.now(), name=display,
        roles=sorted(roles), by="provider",
    )  # fmt: skip
    return person
