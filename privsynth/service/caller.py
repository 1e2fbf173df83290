"""`Caller`: who asks, and what they may do. Every act begins with `require`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from privsynth.errors import NotAllowed
from privsynth.service.roles import ALLOWED, Act, Role, may


@dataclass(frozen=True)
class Caller:
    """A person who signed in, or a program with one of their tokens.

    Attributes:
      scopes: acts that the token is for; None for a person at a browser.
      form_token: what the forms of the session carry; "" for a token.
      confirmed_at: when the person last typed the password.
    """

    person_id: int
    name: str
    display: str
    roles: frozenset[Role]
    key: str | None = None
    scopes: frozenset[Act] | None = None
    form_token: str = ""
    confirmed_at: datetime | None = None

    def may(self, act: Act) -> bool:
        """Say whether this caller may do this at all."""
        return may(self.roles, act) and (self.scopes is None or act in self.scopes)

    def require(self, act: Act) -> None:
        """Return if this caller may do this.

        Raises:
          NotAllowed: it takes another role, or a token with that scope.
        """
        if not may(self.roles, act):
            *others, last = sorted(role.replace("_", " ") for role in ALLOWED[act])
            needed = f"one of the roles {', '.join(others)} or {last}" if others else f"the role {last}"
            raise NotAllowed(f"this needs {needed}: ask an administrator of the service")
        if not self.may(act):
            raise NotAllowed(f"this token is not for '{act}': make one with that scope")
