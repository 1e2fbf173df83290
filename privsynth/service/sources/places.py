"""Where a source is: which files and databases may be one, and sentences that do not say where it is."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from itertools import islice
from pathlib import Path
from typing import Literal

from privsynth.errors import InputError, PrivsynthError
from privsynth.service.context import Service
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
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an address of IPv4
# Of the metadata service of a cloud, which hands out credentials; its address of IPv4 is link-local.
_METADATA = {IPv6Address("fd00:ec2::254")}


def seal_place(service: Service, name: str, origin: str) -> bytes:
    """Return the place of the source of that name, sealed."""
    return service.vault.seal(origin, f"source {name}")


def place_of(service: Service, source: SourceRow) -> str:
    """Return a path or a URL as it was registered."""
    return service.vault.open(source.place, f"source {source.name}")


def open_place(service: Service, source: SourceRow) -> str:
    """Return a path or a URL, looked at again: since it was registered, a link or an address may have changed.

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
        database_address(service, origin)
    return origin


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


def database_address(service: Service, url: str) -> str:
    """Return the URL of a database that may be a source.

    Raises:
      InputError: it is none, has options that reach further, or is on this machine and the settings do not allow it.
    """
    parsed = parsed_url(url.strip())
    if parsed.get_backend_name() not in SCHEMES:
        raise InputError(f"a database is given as a URL that begins with {', '.join(f'{s}://' for s in SCHEMES)}")
    if unknown := sorted(set(parsed.query) - URL_OPTIONS):
        raise InputError(f"the URL of a database may not have the option '{unknown[0][:40]}'; leave it out")
    if service.settings.allow_private_addresses:
        return url.strip()
    if not parsed.host:
        raise InputError("the URL of a database names its host")
    for address in _addresses(parsed.host):
        if _is_near(address):
            raise InputError(
                "this database is on the service's own machine or its link, where other things listen; whoever runs "
                "the service can allow that with allow_private_addresses"
            )
    return url.strip()


def _addresses(host: str) -> list[IPv4Address | IPv6Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    except (OSError, UnicodeError, ValueError):
        raise InputError("the host of this database is not known; check the spelling") from None


def _is_near(address: IPv4Address | IPv6Address) -> bool:
    """Say whether an address is of this machine or its link, also where it is written as one of IPv6."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_near(inner)
    near = address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast
    # 0.0.0.0/8 reaches this machine as 0.0.0.0 does.
    return near or address in _METADATA or (isinstance(address, IPv4Address) and address.packed[0] == 0)


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
    return unplaced(str(problem), kind, origin, home)
