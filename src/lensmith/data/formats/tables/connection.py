"""A connection to a host whose address was checked, and the answer to one request; within limits of time and size."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import SplitResult

from lensmith import check
from lensmith.data.formats.tables.addresses import Address, PassingError, resolved

_PIECE = 1 << 16  # bytes read at a time


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much a download may take.

    Args:
        size: bytes of one image.
        wait: seconds for a connection, and for the next bytes to come.
        whole: seconds for one image with its redirects and retries; asking for the host's address is not counted.
        redirects: how many are followed.
        retries: how often a lost connection or an error of the server (5xx) is tried again.
        pause: seconds before the first retry; doubled for each further one.
        threads: images on their way at one time.
    """

    size: int = 50_000_000
    wait: float = 10
    whole: float = 60
    redirects: int = 5
    retries: int = 2
    pause: float = 0.5
    threads: int = 8


@contextlib.contextmanager
def connected(
    parts: SplitResult, hosts: frozenset[str], limits: Limits, end: float
) -> Iterator[http.client.HTTPConnection]:
    """A connection to an address that was checked; it is cut when the time is over, whatever it is waiting for.

    Args:
        parts: of a URL that may be asked.
        hosts: those that may be asked although their address is private.
        limits: of time.
        end: when the time is over, by ``time.monotonic()``.

    Raises:
        DataError: the host may not be asked, or the time is over.
        PassingError: the host is not found, or its answer is no HTTP.
        OSError: there is no connection, or it was lost.
    """
    host = str(parts.hostname)
    wire = _opened(resolved(host, parts.port or (443 if parts.scheme == "https" else 80), hosts), limits, end)
    try:
        if parts.scheme == "https":
            wire = _secured(wire, host)
        with _cut_at(end, wire):
            if isinstance(wire, ssl.SSLSocket):
                wire.do_handshake()
            connection = http.client.HTTPConnection(host, parts.port)
            connection.sock = wire  # with a socket in place it opens none of its own, and asks no resolver
            connection.auto_open = 0
            yield connection
    except check.DataError:
        raise
    except (http.client.HTTPException, OSError, ValueError) as error:
        if time.monotonic() >= end:
            raise check.DataError(f"took longer than {limits.whole:g} seconds") from error
        if isinstance(error, OSError):
            raise
        raise PassingError(f"the server's answer is no HTTP ({type(error).__name__})") from error
    finally:
        wire.close()


def _opened(places: list[Address], limits: Limits, end: float) -> socket.socket:
    reason = OSError("the host has no address")
    for family, address in places:
        wire = socket.socket(family, socket.SOCK_STREAM)
        wire.settimeout(max(min(limits.wait, end - time.monotonic()), 0.001))
        try:
            wire.connect(address)
        except OSError as error:
            wire.close()
            reason = error
            continue
        wire.settimeout(limits.wait)
        return wire
    raise reason


def _secured(wire: socket.socket, host: str) -> ssl.SSLSocket:
    """The socket, to speak TLS with; the certificate must be that of the name, although the address was chosen."""
    context = ssl.create_default_context()
    return context.wrap_socket(wire, server_hostname=host.rstrip("."), do_handshake_on_connect=False)


@contextlib.contextmanager
def _cut_at(end: float, wire: socket.socket) -> Iterator[None]:
    """Cut a connection when the time is over: a server that sends a byte now and then keeps within each wait."""
    watch = threading.Timer(max(end - time.monotonic(), 0), _cut, [wire])
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _cut(wire: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Not the method of a socket for https, which would first take away what another thread is reading with.
        socket.socket.shutdown(wire, socket.SHUT_RDWR)


def answered(
    connection: http.client.HTTPConnection, parts: SplitResult, body: Path, limits: Limits, end: float
) -> str | None:
    """Ask for a URL; put the body of the answer into a file, or say to which URL it leads.

    Raises:
        DataError: the server refuses, the answer is too large, or the time is over.
        PassingError: the server has an error, or the connection ended early.
    """
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Host": parts.netloc, "User-Agent": "lensmith", "Accept": "image/*", "Accept-Encoding": "identity"}
    connection.request("GET", target, headers={**headers, "Connection": "close"})
    answer = connection.getresponse()
    if answer.status in (301, 302, 303, 307, 308):
        further = answer.getheader("Location")
        if not further:
            raise check.DataError(f"{_status(answer.status)}, but it does not say where to")
        return further
    if answer.status >= 500:
        raise PassingError(f"the server answers {_status(answer.status)}")
    if answer.status != 200:
        raise check.DataError(f"the server answers {_status(answer.status)}")
    _keep(answer, body, limits, end)
    return None


def _keep(answer: http.client.HTTPResponse, body: Path, limits: Limits, end: float) -> None:
    size = 0
    with body.open("wb") as file:
        while piece := answer.read(min(_PIECE, limits.size + 1)):
            size += len(piece)
            if size > limits.size:
                raise check.DataError(f"larger than {limits.size:,} bytes")
            file.write(piece)
    if time.monotonic() >= end:  # what was cut looks like an end where no length was stated
        raise check.DataError(f"took longer than {limits.whole:g} seconds")
    if answer.length:
        raise PassingError("the connection ended early")


def _status(code: int) -> str:
    """The number with its usual name; what the server calls it is not repeated."""
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
