"""Images at URLs → files in a folder that the user named, and nowhere else.

What a stranger's table asks for is not trusted. Only ``http`` and ``https`` are spoken (``http`` too, for many
collections know nothing else; a redirect never leads from ``https`` back to it). A host is resolved once, every
address it has must be a public one, and the connection goes to just that address, so that a name which changes its
mind in between gains nothing; each redirect is looked at in the same way. Proxies of the environment are not asked.
"""

from __future__ import annotations

import hashlib
import shutil
import ssl
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from PIL import Image

from lensmith import check, files
from lensmith.data.formats.tables.addresses import PassingError, checked_url
from lensmith.data.formats.tables.connection import Limits, answered, connected
from lensmith.data.images import load
from lensmith.records import Problem

_SUFFIXES = {"BMP": "bmp", "GIF": "gif", "JPEG": "jpg", "MPO": "jpg", "PNG": "png", "TIFF": "tif", "WEBP": "webp"}


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
        except (check.DataError, PassingError, OSError) as error:
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
        except (PassingError, OSError) as error:
            final = turn == limits.retries or isinstance(error, ssl.SSLCertVerificationError)
            pause = limits.pause * 2**turn
            if final or time.monotonic() + pause >= end:
                raise
            time.sleep(pause)


def _follow(url: str, body: Path, hosts: frozenset[str], limits: Limits, end: float) -> None:
    """Ask for a URL and for those it leads to."""
    for _ in range(limits.redirects + 1):
        parts = checked_url(url)
        with connected(parts, hosts, limits, end) as connection:
            further = answered(connection, parts, body, limits, end)
        if further is None:
            return
        url = urljoin(url, further)
        if parts.scheme == "https" and urlsplit(url).scheme.lower() != "https":
            raise check.DataError("redirected from https to another scheme, which is refused")
    raise check.DataError(f"redirected more than {limits.redirects} times")


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the server did not answer in time"
    if isinstance(error, OSError):
        return f"the connection failed: {' '.join((error.strerror or str(error)).lower().split())}"
    return " ".join(str(error).split())
