"""Images at URLs → files in a folder that the user named, and nowhere else.

What a stranger's table asks for is not trusted. Only ``http`` and ``https`` are spoken (``http`` too, for many
collections know nothing else; a redirect never leads from ``https`` back to it). A host is resolved once, every
address it has must be a public one, and the connection goes to just that address, so that a name which changes its
mind in between gains nothing; each redirect is looked at in the same way. Proxies of the environment are not asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import ipaddress
import re
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from PIL import Image

from lensmith import check, files
from lensmith.data.images import load
from lensmith.records import Problem

_SUFFIXES = {"BMP": "bmp", "GIF": "gif", "JPEG": "jpg", "MPO": "jpg", "PNG": "png", "TIFF": "tif", "WEBP": "webp"}
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f:.]*:[0-9a-f:.]*")  # a name, or an IPv6 address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
_PIECE = 1 << 16


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


class _PassingError(Exception):
    """Something that may be over in a moment."""


def is_url(text: str) -> bool:
    """Whether a text is meant as the address of a file on another machine.

    Example:
        >>> is_url("https://example.org/cat.jpg"), is_url("cat.jpg")
        (True, False)
    """
    return re.match(r"[a-z][a-z0-9+.-]+://", text.strip(), re.IGNORECASE) is not None


def fetch(
    urls: Sequence[str], folder: Path, hosts: Sequence[str] = (), limits: Limits | None = None
) -> list[Path | Problem]:
    """Fetch images into a folder. One that is there already is not asked for again.

    A file is called by the SHA-256 of its URL, with the suffix of what it holds, and appears once it is complete
    and was decoded.

    Args:
        urls: of images: BMP, GIF, JPEG, PNG, TIFF or WebP.
        folder: where they go; made when needed.
        hosts: names or addresses, as they stand in a URL, that may be asked although their address is private.
        limits: of time and size.

    Returns:
        For each URL, in order: its file, or why there is none.

    Raises:
        SettingError: the folder cannot be made or opened.
        LensmithError: it cannot be written.
    """
    allowed = frozenset(host.lower().rstrip(".") for host in hosts)
    limits = limits or Limits()
    present = _present(folder)
    one = partial(_one, folder=folder, present=present, hosts=allowed, limits=limits)
    with ThreadPoolExecutor(limits.threads) as pool:
        found = dict(zip(dict.fromkeys(urls), pool.map(one, dict.fromkeys(urls)), strict=True))
    return [found[url] for url in urls]


def _present(folder: Path) -> dict[str, Path]:
    """What was fetched before, by its name without suffix."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return {path.stem: path for path in folder.iterdir() if path.suffix[1:] in _SUFFIXES.values()}
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise check.SettingError(check.sentence("download", "a folder to fetch into", f"{folder}: {reason}")) from error


def _one(url: str, folder: Path, present: dict[str, Path], hosts: frozenset[str], limits: Limits) -> Path | Problem:
    name = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
    if name in present:
        return present[name]
    with tempfile.TemporaryDirectory() as room:
        body = Path(room) / "body"
        try:
            _download(url, body, hosts, limits)
            target = folder / f"{name}.{_suffix(body)}"
        except (check.DataError, _PassingError, OSError) as error:
            return Problem(url, _in_words(error).replace(str(body), "the image"))
        files.put_file(target, partial(shutil.copyfile, body))
    return target


def _suffix(body: Path) -> str:
    """Of the kind of image this is, whatever the URL or the server says.

    Raises:
        DataError: it is none of the known kinds, or cannot be decoded.
    """
    try:
        # Only these are tried: Pillow's reader of EPS, for one, starts another program. That of JPEG finds MPO.
        with Image.open(body, formats=[name for name in _SUFFIXES if name != "MPO"]) as picture:
            suffix = _SUFFIXES[str(picture.format)]
    except Image.DecompressionBombError as error:
        raise check.DataError(f"too large to open safely: {error}") from error
    except Exception as error:
        raise check.DataError("what came is not an image") from error
    load(body)
    return suffix


def _download(url: str, body: Path, hosts: frozenset[str], limits: Limits) -> None:
    end = time.monotonic() + limits.whole
    for turn in range(limits.retries + 1):
        try:
            _follow(url, body, hosts, limits, end)
            return
        except (_PassingError, OSError) as error:
            final = turn == limits.retries or isinstance(error, ssl.SSLCertVerificationError)
            pause = limits.pause * 2**turn
            if final or time.monotonic() + pause >= end:
                raise
            time.sleep(pause)


def _follow(url: str, body: Path, hosts: frozenset[str], limits: Limits, end: float) -> None:
    """Ask for a URL and for those it leads to."""
    for _ in range(limits.redirects + 1):
        parts = _checked(url)
        with _connected(parts, hosts, limits, end) as connection:
            further = _answer(connection, parts, body, limits, end)
        if further is None:
            return
        url = urljoin(url, further)
        if parts.scheme == "https" and urlsplit(url).scheme.lower() != "https":
            raise check.DataError("redirected from https to another scheme, which is refused")
    raise check.DataError(f"redirected more than {limits.redirects} times")


def _checked(url: str) -> SplitResult:
    """The parts of a URL that may be asked."""
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


@contextlib.contextmanager
def _connected(
    parts: SplitResult, hosts: frozenset[str], limits: Limits, end: float
) -> Iterator[http.client.HTTPConnection]:
    """A connection to an address that was checked; it is cut when the time is over, whatever it is waiting for."""
    host = str(parts.hostname)
    wire = _opened(_addresses(host, parts.port or (443 if parts.scheme == "https" else 80), hosts), limits, end)
    if parts.scheme == "https":
        # The certificate must be that of the name, although the address was chosen here.
        context = ssl.create_default_context()
        wire = context.wrap_socket(wire, server_hostname=host.rstrip("."), do_handshake_on_connect=False)
    watch = threading.Timer(max(end - time.monotonic(), 0), _cut, [wire])
    watch.daemon = True
    watch.start()
    try:
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
        raise _PassingError(f"the server's answer is no HTTP ({type(error).__name__})") from error
    finally:
        watch.cancel()
        wire.close()


def _addresses(host: str, port: int, hosts: frozenset[str]) -> list[tuple[int, tuple[str, int]]]:
    """Family and address of each place a host lives at; refused unless all are public or the host is allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _PassingError(f"the host {host} is not found") from error
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


def _opened(places: list[tuple[int, tuple[str, int]]], limits: Limits, end: float) -> socket.socket:
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


def _cut(wire: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Not the method of a socket for https, which would first take away what another thread is reading with.
        socket.socket.shutdown(wire, socket.SHUT_RDWR)


def _answer(
    connection: http.client.HTTPConnection, parts: SplitResult, body: Path, limits: Limits, end: float
) -> str | None:
    """Put the body of the answer into a file, or say to which URL it leads."""
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
        raise _PassingError(f"the server answers {_status(answer.status)}")
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
        raise _PassingError("the connection ended early")


def _status(code: int) -> str:
    """The number with its usual name; what the server calls it is not repeated."""
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the server did not answer in time"
    if isinstance(error, OSError):
        return f"the connection failed: {' '.join((error.strerror or str(error)).lower().split())}"
    return " ".join(str(error).split())
