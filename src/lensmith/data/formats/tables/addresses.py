"""What may be asked over the network: which URLs, and which addresses of their hosts."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import SplitResult, quote, urlsplit

from lensmith import check

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f:.]*:[0-9a-f:.]*")  # a name, or an IPv6 address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")

Address = tuple[int, tuple[str, int]]  # family, and host and port as a socket takes them


class PassingError(Exception):
    """Something that may be over in a moment."""


def is_url(text: str) -> bool:
    """Whether a text is meant as the address of a file on another machine.

    Example:
        >>> is_url("https://example.org/cat.jpg"), is_url("cat.jpg")
        (True, False)
    """
    return re.match(r"[a-z][a-z0-9+.-]+://", text.strip(), re.IGNORECASE) is not None


def checked_url(url: str) -> SplitResult:
    """The parts of a URL that may be asked.

    Raises:
        DataError: it cannot be read, is not of http or https, or holds a password.
    """
    try:
        url = "".join(quote(letter) if letter == " " or letter > "\x7f" else letter for letter in url.strip())
        parts = urlsplit(url)
        host, _ = (parts.hostname or ""), parts.port
    except ValueError as error:  # a port of letters, brackets that do not close, a letter that is half of a pair
        raise check.DataError(f"not a URL that can be read: {' '.join(str(error).split())}") from error
    if parts.scheme not in ("http", "https"):
        raise check.DataError(f"expected a URL of http or https; got {parts.scheme or 'none'}")
    if parts.username is not None or parts.password is not None:
        raise check.DataError("a URL with a user name or password is refused")
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url) or not _HOST.fullmatch(host):
        raise check.DataError("not a URL that can be read: a host or path with letters that do not belong there")
    return parts


def resolved(host: str, port: int, hosts: frozenset[str]) -> list[Address]:
    """Every address of a host.

    Args:
        host: as it stands in a URL.
        port: that is to be asked.
        hosts: those that may be asked although their address is private.

    Raises:
        DataError: one of the addresses is not public, and the host is none of ``hosts``.
        PassingError: the host is not found.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PassingError(f"the host {host} is not found") from error
    places = [(int(family), address) for family, _, _, _, address in found]
    if host.rstrip(".") not in hosts:
        for _, address in places:
            if not is_public(str(address[0])):
                remedy = f"If you trust it, allow it: hosts={host}"
                raise check.DataError(f"the host {host} has the address {address[0]}, which is not public. {remedy}")
    return places  # type: ignore[return-value]


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet: none of this machine, its network, a group or a reserved use.

    Example:
        >>> [is_public(address) for address in ("8.8.8.8", "192.168.1.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1")]
        [True, False, False, False]
    """
    number = ipaddress.ip_address(address)
    inner: list[ipaddress.IPv4Address | ipaddress.IPv6Address | None] = []
    if isinstance(number, ipaddress.IPv6Address):  # forms that carry an IPv4 address, to which they lead
        inner = [number.ipv4_mapped, number.sixtofour, *(number.teredo or ())]
        if number in _NAT64_LOCAL:
            return False
        if number in _NAT64:
            inner.append(ipaddress.IPv4Address(int(number) & 0xFFFFFFFF))
    if any(one is not None for one in inner):
        return all(one is None or is_public(str(one)) for one in inner)
    return number.is_global and not (number.is_multicast or number.is_reserved or number.is_unspecified)
