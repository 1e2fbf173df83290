"""Where a topic lies, and the settings of a client in a file of properties, as Kafka's own tools take them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from privsynth.errors import ConfigError
from privsynth.sources.header_checks import refuse_unreadable

MAX_SETTINGS_BYTES = 1 << 16  # of a file of properties (own): a dozen lines
# What a file may set: who logs in, how the line is protected, and as what the client is known. No setting of librdkafka
# that loads a library or runs a program is among them.
_ALLOWED = frozenset(
    """security.protocol sasl.mechanism sasl.mechanisms sasl.username sasl.password ssl.ca.location
    ssl.certificate.location ssl.key.location ssl.key.password ssl.keystore.location ssl.keystore.password
    ssl.endpoint.identification.algorithm group.id client.id client.rack""".split()  # noqa: SIM905
)
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # the names that Kafka allows
_BROKERS = re.compile(r"[A-Za-z0-9.:,\[\]_-]+")


@dataclass(frozen=True)
class Topic:
    """A topic, and how to reach it.

    Attributes:
      brokers: host:port of some brokers, with commas between them.
      name: of the topic.
      settings: of the client; they hold passwords, and `repr` does not show them.
    """

    brokers: str
    name: str
    settings: dict[str, str] = field(repr=False)

    @property
    def label(self) -> str:
        """What to call it in a message."""
        return f"kafka://{self.brokers}/{self.name}"

    @classmethod
    def of(cls, url: str) -> Topic:
        """Return what a URL names: kafka://BROKER[,BROKER]/TOPIC[?settings=FILE].

        Raises:
          ConfigError: it is no such URL, or holds a password.
        """
        place, _, query = url.partition("://")[2].partition("?")
        brokers, _, topic = place.partition("/")
        said = dict(parse_qsl(query))
        if "@" in place or set(said) - {"settings"}:
            raise ConfigError(
                "a URL of Kafka holds no user, password or setting; write them into a file of properties and end the "
                "URL in ?settings=FILE"
            )
        if not _BROKERS.fullmatch(brokers) or not _TOPIC.fullmatch(unquote(topic)):
            raise ConfigError("a topic of Kafka is named as kafka://BROKER:PORT/TOPIC; correct the URL")
        return cls(brokers, unquote(topic), _settings(Path(said["settings"])) if "settings" in said else {})


def _settings(path: Path) -> dict[str, str]:
    """Return the settings of a file of properties; messages show neither names nor values that are not known."""
    refuse_unreadable(path, may_be_empty=True)
    try:
        if path.stat().st_size > MAX_SETTINGS_BYTES:
            raise ValueError
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError:
        raise ConfigError(
            f"{path} is no file of properties; write one setting a line, as in sasl.username=anna"
        ) from None
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith("#"):
            continue
        name, is_setting, value = (part.strip() for part in line.partition("="))
        if not is_setting or name not in _ALLOWED:
            raise ConfigError(
                f"line {number} of {path} is none of the settings {', '.join(sorted(_ALLOWED))}; correct it"
            )
        found[name] = value
    return found
