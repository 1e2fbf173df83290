"""Where a source is: which files and databases may be one, and sentences that do not say where it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from privsynth.errors import InputError, PrivsynthError
from privsynth.service.context import Service
from privsynth.service.network.addresses import addresses_of, is_near
from privsynth.service.runs.request import in_browser
from privsynth.service.store.runs import SourceRow
from privsynth.sources.sql.database import label_of, parsed_url

Kind = Literal["file", "upload", "database"]
UPLOADS = "uploads"  # in the service's folder
NO_FILE = "there is no such file or folder below the folder for sources"
MOST_FILES = 100_000  # that are looked at in a folder (own): a table of more parts is read in minutes, not in a request
SCHEMES = ("postgresql", "mysql", "mariadb", "mssql", "oracle")  # reached by a host's name; SQLite is a file
# Other options of a URL reach past its host (`host`, `unix_sock`) or read files of this machine (`read_default_file`).
URL_OPTIONS = frozenset({"charset", "sslmode"})
_FORMAT = re.compile(r"^[a-z0-9]+:(?!//)")  # before a place that is read as something else, as omop:postgresql://…


@dataclass(frozen=True)
class Place:
    """Where a source is, looked at just now.

    Attributes:
      origin: a path or a URL.
      addresses: of the database's host, which were checked and are the ones to connect to; None where any may be.
    """

    origin: str = field(repr=False)
    addresses: tuple[str, ...] | None = field(default=None, repr=False)

    @property
    def options(self) -> dict[str, object]:
        """What the pipeline is told of it beside its origin."""
        return {} if self.addresses is None else {"addresses": self.addresses}


def seal_place(service: Service, name: str, origin: str) -> bytes:
    """Return the place of the source of that name, sealed."""
    return service.vault.seal(origin, f"source {name}")


def place_of(service: Service, source: SourceRow) -> str:
    """Return a path or a URL as it was registered."""
    return service.vault.open(source.place, f"source {source.name}")


def open_place(service: Service, source: SourceRow) -> Place:
    """Return where a source is, looked at again: since it was registered, a link or an address may have changed.

    Raises:
      InputError: it may not be read any more.
    """
    origin = place_of(service, source)
    if source.kind == "file":
        folder = _folder(service)
        if str(_below(folder, Path(origin))) != origin:
            raise InputError(NO_FILE)
    elif source.kind == "upload":
        _below(service.folder / UPLOADS, Path(origin))
    else:
        return database_place(service, origin)
    return Place(origin)


def file_path(service: Service, typed: str) -> str:
    """Return the path of a file or folder that may be a source.

    Args:
      typed: relative to the folder for sources.
    Raises:
      InputError: there is none below that folder; what is outside is refused in the same words.
    """
    return str(_below(_folder(service), Path(typed)))


def _folder(service: Service) -> Path:
    if not service.settings.source_folder:
        raise InputError("no folder for sources is set: whoever runs the service names one in source_folder")
    return Path(service.settings.source_folder)


def _below(folder: Path, place: Path) -> Path:
    try:
        root = folder.resolve(strict=True)
        found = (root / place).resolve(strict=True)
        inside = found.is_relative_to(root) and found != root
        if inside and found.is_dir():
            inner = list(islice(found.rglob("*"), MOST_FILES + 1))
            inside = len(inner) <= MOST_FILES and not any(path.is_symlink() for path in inner)
    except (OSError, ValueError, RuntimeError):  # ValueError: a NUL; RuntimeError: links in a circle
        inside = False
    if not inside:
        raise InputError(NO_FILE)
    return found


def database_place(service: Service, url: str) -> Place:
    """Return where a database is that may be a source: its URL, and the addresses that its host has now.

    The name is looked up here and not again, so that it cannot come to mean another machine between check and use.

    Raises:
      InputError: it is none, has options that reach further, or is on this machine and the settings do not allow it.
    """
    parsed = parsed_url(url.strip())
    if parsed.get_backend_name() not in SCHEMES:
        raise InputError(f"a database is given as a URL that begins with {', '.join(f'{s}://' for s in SCHEMES)}")
    if unknown := sorted(set(parsed.query) - URL_OPTIONS):
        raise InputError(f"the URL of a database may not have the option '{unknown[0][:40]}'; leave it out")
    if service.settings.allow_private_addresses:
        return Place(url.strip())
    if not parsed.host:
        raise InputError("the URL of a database names its host")
    found = addresses_of(parsed.host, what="this database")
    if any(map(is_near, found)):
        raise InputError(
            "this database is on the service's own machine or its link, where other things listen; whoever runs "
            "the service can allow that with allow_private_addresses"
        )
    return Place(url.strip(), tuple(dict.fromkeys(map(str, found))))


def unplaced(sentence: str, kind: str, origin: str, home: Path) -> str:
    """Return a sentence without the place of a source, and without that of the service's own files."""
    plain = _FORMAT.sub("", origin)
    if kind == "database":
        url = parsed_url(plain)
        parts = (url.password, url.username, url.host, url.database)
        hidden = {text: "the database" for text in (origin, plain, label_of(url))}
        hidden |= {text: "…" for text in parts if text}
    else:
        hidden = {text: "the source" for text in (origin, plain)}
    for text, instead in {**hidden, str(home): "the service's folder"}.items():
        sentence = sentence.replace(str(text), instead)
    return sentence


def sentence_of(problem: PrivsynthError, kind: str, origin: str, home: Path) -> str:
    """Return what an error says, without the place of the source."""
    return unplaced(in_browser(problem), kind, origin, home)
