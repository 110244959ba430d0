"""Images at URLs: what is fetched, and all that is not. A server on this machine answers; nothing leaves it."""

import hashlib
import io
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from lensmith import check
from lensmith.data.formats.tables import download
from lensmith.data.formats.tables.addresses import is_public, is_url
from lensmith.data.formats.tables.connection import Limits
from lensmith.data.formats.tables.download import fetch
from lensmith.data.images import load
from lensmith.records import Problem

QUICK = Limits(size=20_000, wait=0.4, whole=1.5, pause=0.01)


def drawn(form="PNG", value=7):
    file = io.BytesIO()
    Image.fromarray(np.full((3, 4, 3), value, np.uint8)).save(file, form)
    return file.getvalue()


class Answers(BaseHTTPRequestHandler):
    """One answer a path; how often each was asked for is counted."""

    asked: ClassVar[Counter[str]] = Counter()
    headers_seen: ClassVar[list[dict[str, str]]] = []

    def do_GET(self):
        self.asked[self.path] += 1
        self.headers_seen.append(dict(self.headers))
        name = self.path.lstrip("/").split("?")[0]
        getattr(self, f"answer_{name.partition('-')[0]}", self.answer_missing)(name)

    def send(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if length != "none":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def answer_ok(self, name):
        self.send(200, drawn(value=len(name)))

    def answer_jpeg(self, name):
        self.send(200, drawn("JPEG"), **{"Content-Type": "text/html"})

    def answer_missing(self, name):
        self.send(404, b"no such page")

    def answer_later(self, name):
        self.send(*((500, b"") if self.asked[self.path] == 1 else (200, drawn())))

    def answer_broken(self, name):
        self.send(503)

    def answer_to(self, name):
        self.send(302, Location=name.partition("-")[2].replace("_", "/"))

    def answer_private(self, name):
        self.send(302, Location=f"http://127.0.0.1:{self.server.server_port}/ok")

    def answer_file(self, name):
        self.send(302, Location="file:///etc/passwd")

    def answer_nowhere(self, name):
        self.send(302)

    def answer_loop(self, name):
        self.send(307, Location="/loop")

    def answer_large(self, name):
        self.send(200, b"x" * 30_000, length=10 if name == "large-said-small" else "none")

    def answer_text(self, name):
        self.send(200, b"<html>please log in</html>", **{"Content-Type": "image/png"})

    def answer_cut(self, name):
        self.send(200, drawn()[:40], length=len(drawn()))

    def answer_damaged(self, name):
        self.send(200, drawn()[:50])

    def answer_postscript(self, name):
        self.send(200, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")

    def answer_silent(self, name):
        time.sleep(1)

    def answer_drip(self, name):
        self.send_response(200)
        self.end_headers()
        for _ in range(20):
            time.sleep(0.2)
            self.wfile.write(b"x")
            self.wfile.flush()

    def answer_noise(self, name):
        self.wfile.write(b"\xff\x00 what is HTTP?\r\n\r\n")

    def log_message(self, *values):
        """Say nothing."""


class Server(ThreadingHTTPServer):
    def handle_error(self, request, address):
        """A client that goes away is what is tested."""


@pytest.fixture(scope="module")
def server():
    with Server(("127.0.0.1", 0), Answers) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://localhost:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def nothing_asked_yet():
    Answers.asked.clear()
    Answers.headers_seen.clear()


def get(url, folder, **settings):
    (found,) = fetch([url], folder, settings.pop("hosts", ("localhost",)), settings.pop("limits", QUICK))
    return found


def test_an_image_is_fetched_and_kept(server, tmp_path):
    folder = tmp_path / "new" / "folder"
    found = get(f"{server}/ok", folder)
    assert found == folder / f"{hashlib.sha256(f'{server}/ok'.encode()).hexdigest()}.png"
    assert (load(found)[0] == 2).all()
    assert get(f"{server}/ok", folder) == found
    assert Answers.asked["/ok"] == 1
    assert [path.name for path in folder.iterdir()] == [found.name]  # and nothing half written


def test_the_suffix_is_that_of_the_content(server, tmp_path):
    assert get(f"{server}/jpeg", tmp_path).suffix == ".jpg"


def test_the_order_is_that_of_the_urls_and_each_is_asked_once(server, tmp_path):
    urls = [f"{server}/ok-{'x' * (9 - place)}" for place in range(9)] + [f"{server}/ok-x"]
    found = fetch(urls, tmp_path, ("localhost",), QUICK)
    assert [int(load(path)[0][0, 0, 0]) for path in found] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 4]
    assert set(Answers.asked.values()) == {1}


def test_the_host_is_named_as_it_stands_in_the_url(server, tmp_path):
    get(f"{server}/ok", tmp_path)
    assert Answers.headers_seen[0]["Host"] == server.removeprefix("http://")


def test_an_error_of_the_server_is_tried_again(server, tmp_path):
    assert isinstance(get(f"{server}/later", tmp_path), Path)
    assert Answers.asked["/later"] == 2


def test_redirects_are_followed(server, tmp_path):
    found = get(f"{server}/to-to-to-ok", tmp_path)
    assert isinstance(found, Path)
    assert list(Answers.asked) == ["/to-to-to-ok", "/to-to-ok", "/to-ok", "/ok"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nothing", "the server answers 404 Not Found"),  # no such page
        ("broken", "the server answers 503 Service Unavailable"),  # and stays so
        ("private", "has the address 127.0.0.1, which is not public"),  # allowed is the name, not the address
        ("file", "expected a URL of http or https; got file"),  # a redirect into this machine's disk
        ("nowhere", "does not say where to"),  # a redirect without a target
        ("loop", "redirected more than 5 times"),  # round and round
        ("large", "larger than 20,000 bytes"),  # of no stated length
        ("text", "what came is not an image"),  # whatever the header says
        ("cut", "the connection ended early"),  # fewer bytes than were stated
        ("damaged", "damaged or cut short"),  # begins as an image
        ("postscript", "what came is not an image"),  # its reader would start a program
        ("silent", "the server did not answer in time"),  # waits longer than `wait`
        ("drip", "took longer than 1.5 seconds"),  # each byte in time, but not the whole
        ("noise", "the server's answer is no HTTP"),  # a server of something else
    ],
)
def test_what_is_not_fetched(server, tmp_path, path, reason):
    found = get(f"{server}/{path}", tmp_path)
    assert isinstance(found, Problem)
    assert found.source == f"{server}/{path}"
    assert reason in found.reason
    assert "\n" not in found.reason
    assert str(tmp_path) not in found.reason
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("path", "times"), [("nothing", 1), ("broken", 3), ("text", 1), ("cut", 3), ("loop", 6)])
def test_only_what_may_pass_is_tried_again(server, tmp_path, path, times):
    get(f"{server}/{path}", tmp_path)
    assert Answers.asked[f"/{path}"] == times


def test_a_length_that_is_stated_too_small_ends_there(server, tmp_path):
    assert get(f"{server}/large-said-small", tmp_path).reason == "what came is not an image"


def test_without_permission_this_machine_is_not_asked(server, tmp_path):
    found = get(f"{server}/ok", tmp_path, hosts=())
    assert "localhost has the address" in found.reason
    assert found.reason.endswith("which is not public. If you trust it, allow it: hosts=localhost")
    assert not Answers.asked


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://localhost/cat.png", "expected a URL of http or https; got ftp"),  # another scheme
        ("file:///etc/passwd", "expected a URL of http or https; got file"),  # this machine's disk
        ("http://", "not a URL that can be read"),  # no host
        ("http://[::1", "not a URL that can be read"),  # brackets that do not close
        ("http://localhost:port/", "not a URL that can be read"),  # a port of letters
        ("http://localhost\r\nHost: other/", "not a URL that can be read"),  # a header smuggled in
        ("http://local host/", "not a URL that can be read"),  # a space in the name
        ("http://me:secret@localhost/", "a user name or password is refused"),  # credentials
        ("http://0/", "which is not public"),  # other spellings of this machine …
        ("http://2130706433/", "which is not public"),
        ("http://0x7f.1/", "which is not public"),
        ("http://[::1]/", "which is not public"),
        ("http://[::ffff:127.0.0.1]/", "which is not public"),
        ("http://169.254.169.254/latest/meta-data/", "which is not public"),  # where clouds keep secrets
        ("http://\ud800/", "not a URL that can be read"),  # half of a pair
    ],
)
def test_urls_that_are_refused(tmp_path, url, reason):
    found = get(url, tmp_path)
    assert reason in found.reason, found.reason


def test_spaces_and_accents_in_a_path_are_encoded(server, tmp_path):
    assert isinstance(get(f"{server}/ok-é a?q=ü", tmp_path), Path)
    assert list(Answers.asked) == ["/ok-%C3%A9%20a?q=%C3%BC"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.1.2.3", False),  # private
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("100.64.0.1", False),  # shared by a provider's customers
        ("127.0.0.1", False),  # loopback
        ("169.254.169.254", False),  # link-local
        ("224.0.0.1", False),  # multicast
        ("240.0.0.1", False),  # reserved
        ("0.0.0.0", False),  # unspecified
        ("255.255.255.255", False),  # everyone
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::", False),
        ("::ffff:10.0.0.1", False),  # forms that carry an IPv4 address
        ("2002:7f00:1::", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::1", False),
        ("64:ff9b::808:808", True),
    ],
)
def test_addresses(address, public):
    assert is_public(address) is public


def test_a_name_that_changes_its_mind_gains_nothing(server, tmp_path, monkeypatch):
    """The first answer is asked for and checked; the connection goes there, and nobody asks a second time."""
    port = int(server.rpartition(":")[2])
    calls = []

    def answer(host, *rest, **others):
        calls.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if len(calls) > 1 else "93.184.216.34", port))]

    dialled = []

    def dial(self, address):
        dialled.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr(socket.socket, "connect", dial)
    found = get(f"http://changes.example:{port}/ok", tmp_path, limits=Limits(retries=0))
    assert found.reason == "the connection failed: connection refused"
    assert (calls, dialled) == (["changes.example"], [("93.184.216.34", port)])


def test_one_private_address_among_public_ones_is_enough(tmp_path, monkeypatch):
    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, 80)) for place in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *values, **others: places)
    assert "the address 10.0.0.1, which is not public" in get("http://both.example/", tmp_path, hosts=()).reason


def test_https_does_not_lead_back_to_http(tmp_path, monkeypatch):
    class Connection:
        def __enter__(self):
            return self

        def __exit__(self, *values):
            return None

    monkeypatch.setattr(download, "connected", lambda *values: Connection())
    monkeypatch.setattr(download, "answered", lambda *values: "http://example.org/cat.png")
    found = get("https://example.org/cat.png", tmp_path)
    assert found.reason == "redirected from https to another scheme, which is refused"


def test_https_needs_a_certificate(server, tmp_path):
    found = get(server.replace("http:", "https:") + "/ok", tmp_path)  # this server does not speak it at all
    assert found.reason.startswith("the connection failed: ")


def test_proxies_of_the_environment_are_not_asked(server, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(get(f"{server}/ok", tmp_path), Path)


def test_a_host_that_is_not_there(tmp_path):
    found = get("http://nowhere.invalid/cat.png", tmp_path, limits=Limits(retries=0))
    assert found.reason == "the host nowhere.invalid is not found"


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(check.SettingError, match="download: expected a folder to fetch into"):
        fetch([], tmp_path / "taken")


@pytest.mark.parametrize(
    ("text", "answer"),
    [("http://a/b.png", True), ("HTTPS://a", True), ("file:///a", True), ("C:/a.png", False), ("a/b.png", False)],
)
def test_is_url(text, answer):
    assert is_url(text) is answer
