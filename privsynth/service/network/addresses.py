"""What an address reaches: this machine or its link, an institution's own networks, or the public network."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from privsynth.errors import InputError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an address of IPv4
# Of the metadata service of a cloud, which hands out credentials; its address of IPv4 is link-local.
_METADATA = {IPv6Address("fd00:ec2::254")}


def addresses_of(host: str, *, what: str) -> list[Address]:
    """Return the addresses of a host's name, as the machine's resolver tells them now.

    Args:
      what: whose host it is, in words.
    Raises:
      InputError: the name is not known.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    except (OSError, UnicodeError, ValueError):
        raise InputError(f"the host of {what} is not known; check the spelling") from None


def is_near(address: Address) -> bool:
    """Say whether an address is of this machine or its link, also where it is written as one of IPv6."""
    if (inner := _inner(address)) is not None:
        return is_near(inner)
    near = address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast
    # 0.0.0.0/8 reaches this machine as 0.0.0.0 does.
    return near or address in _METADATA or (isinstance(address, IPv4Address) and address.packed[0] == 0)


def is_public(address: Address) -> bool:
    """Say whether an address is of the public network, also where it is written as one of IPv6."""
    if (inner := _inner(address)) is not None:
        return is_public(inner)
    return address.is_global and not is_near(address)


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """Say whether an address is in one of these networks, also where it is written as one of IPv6."""
    inner = _inner(address) or address
    return any(inner in network for network in networks if network.version == inner.version)


def _inner(address: Address) -> IPv4Address | None:
    """Return the address of IPv4 that one of IPv6 leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
