"""Downloads against a local server that serves well and badly; nobody sleeps, nothing leaves the machine."""

import contextlib
import datetime
import email.utils
import errno
import hashlib
import http.server
import json
import logging
import os
import socket
import struct
import threading
from types import SimpleNamespace

import pytest
import requests

from stainscript import seeds
from stainscript.downloads import part
from stainscript.downloads.fetch import download
from stainscript.downloads.part import Part
from stainscript.downloads.server import Reporter
from stainscript.errors import DataContractError

BODY = bytes(n * 7 % 251 for n in range(5000))  # no two pieces alike where it matters: a spliced file has another hash
OTHER = bytes(n * 11 % 241 for n in range(5000))
TOKEN = "hf_secretOfTheUser"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def serve(handler, *, upto=None, ranges=True, extra=()):
    """Answer as a good server does, but stop after ``upto`` bytes of the file."""
    site, asked = handler.server, handler.headers.get("Range")
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and ranges else 0
    if handler.headers.get("If-Range", site.etag) != site.etag:
        start = 0
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(site.body) - 1}/{len(site.body)}")
    handler.send_header("Content-Length", str(len(site.body) - start))
    for name, value in (("ETag", site.etag), *extra):
        if value:
            handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(site.body[start:upto])


def reset(handler):
    """Send a piece, then break the connection as a crashed server does."""
    serve(handler, upto=1000)
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def status(code, **headers):
    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server
        site.seen.append(dict(self.headers.items()))
        answer = site.plan.pop(0) if site.plan else serve
        with contextlib.suppress(OSError):  # the client may be gone
            answer(self)

    def log_message(self, *args):
        pass


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *args: None
        server.body, server.etag, server.plan, server.seen = BODY, '"one"', [], []
        server.release = threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}/slides/A1.tif"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(site, tmp_path):
    """Download from the site to ``target``; ``waits`` collects what would have been slept."""
    target, waits = tmp_path / "root" / "A1.tif", []

    def run(**options):
        options = {"size": len(BODY), "sha256": sha(BODY), "sleep": waits.append, "timeout_s": 5} | options
        return download(options.pop("url", site.url), target=target, **options)

    run.target, run.waits = target, waits
    run.left = lambda: sorted(p.name for p in target.parent.iterdir()) if target.parent.is_dir() else []
    return run


def test_a_file_arrives_whole_in_one_request_and_leaves_nothing_beside_it(site, fetch):
    received = fetch()
    assert fetch.target.read_bytes() == BODY
    assert (received.size, received.sha256, received.kept) == (5000, sha(BODY), False)
    assert (len(site.seen), fetch.waits, fetch.left()) == (1, [], ["A1.tif"])
    assert "Range" not in site.seen[0]


def test_a_truncated_body_is_resumed_where_it_broke_off(site, fetch):
    site.plan = [lambda h: serve(h, upto=1200), lambda h: serve(h, upto=3000)]
    fetch()
    assert fetch.target.read_bytes() == BODY
    assert [seen.get("Range") for seen in site.seen] == [None, "bytes=1200-", "bytes=3000-"]
    assert [seen.get("If-Range") for seen in site.seen] == [None, '"one"', '"one"']
    assert len(fetch.waits) == 2


def test_a_reset_connection_is_tried_again(site, fetch):
    site.plan = [reset]
    fetch()
    assert fetch.target.read_bytes() == BODY
    assert (len(site.seen), len(fetch.waits)) == (2, 1)


def test_a_date_serves_where_the_etag_is_weak(site, fetch):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    site.etag = 'W/"x"'
    site.plan = [lambda h: serve(h, upto=100, extra=[("Last-Modified", date)])]
    fetch()
    assert site.seen[1]["If-Range"] == date
    assert fetch.target.read_bytes() == BODY


def test_without_etag_and_date_nothing_is_spliced(site, fetch):
    site.etag = None
    site.plan = [lambda h: serve(h, upto=100)]
    fetch()
    assert "Range" not in site.seen[1]
    assert fetch.target.read_bytes() == BODY


def test_a_server_that_ignores_range_is_read_from_the_start(site, fetch):
    site.plan = [lambda h: serve(h, upto=1200), lambda h: serve(h, ranges=False)]
    fetch()
    assert site.seen[1]["Range"] == "bytes=1200-"
    assert fetch.target.read_bytes() == BODY
    assert len(site.seen) == 2


def test_a_server_that_sends_another_piece_is_not_believed(site, fetch):
    def other_piece(handler):
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes 0-4999/5000")
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(BODY)

    site.plan = [lambda h: serve(h, upto=1200), other_piece]
    fetch()
    assert fetch.target.read_bytes() == BODY
    assert [seen.get("Range") for seen in site.seen] == [None, "bytes=1200-", None]


def test_a_file_that_changes_between_two_tries_is_not_spliced(site, fetch):
    def change_after(handler):
        serve(handler, upto=1200)
        site.body, site.etag = OTHER, '"two"'

    site.plan = [change_after]
    fetch(sha256="", size=None)
    assert fetch.target.read_bytes() == OTHER
    assert [seen.get("If-Range") for seen in site.seen] == [None, '"one"']


def test_a_wrong_file_is_deleted_and_the_error_names_both_hashes(site, fetch):
    site.body = OTHER
    with pytest.raises(DataContractError) as caught:
        fetch()
    assert sha(BODY) in caught.value.expected
    assert sha(OTHER) in caught.value.found
    assert caught.value.path == site.url
    assert (fetch.left(), len(site.seen), fetch.waits) == ([], 1, [])


def test_a_file_of_another_size_is_refused_before_it_is_fetched(site, fetch):
    with pytest.raises(DataContractError) as caught:
        fetch(size=4999)
    assert (caught.value.expected, caught.value.found) == ("4999 bytes", "5000 bytes")
    assert (fetch.left(), len(site.seen)) == ([], 1)


def test_a_resumed_part_that_turns_out_wrong_is_fetched_afresh(site, fetch):
    fetch.target.parent.mkdir()
    part = Part(fetch.target, site.url)
    part.begin('"one"')
    part.path.write_bytes(OTHER[:1000])
    fetch()
    assert [seen.get("Range") for seen in site.seen] == ["bytes=1000-", None]
    assert fetch.target.read_bytes() == BODY


def test_a_part_of_another_address_is_not_resumed(site, fetch):
    fetch.target.parent.mkdir()
    part = Part(fetch.target, "http://127.0.0.1/older.tif")
    part.begin('"one"')
    part.path.write_bytes(BODY[:1000])
    fetch()
    assert "Range" not in site.seen[0]


def test_a_complete_part_needs_no_request(site, fetch):
    fetch.target.parent.mkdir()
    part = Part(fetch.target, site.url)
    part.begin('"one"')
    part.path.write_bytes(BODY)
    fetch()
    assert fetch.target.read_bytes() == BODY
    assert site.seen == []


def test_416_starts_again(site, fetch):
    fetch.target.parent.mkdir()
    part = Part(fetch.target, site.url)
    part.begin('"one"')
    part.path.write_bytes(BODY[:1000])
    site.plan = [status(416, Content_Range="bytes */500")]
    fetch()
    assert [seen.get("Range") for seen in site.seen] == ["bytes=1000-", None]


def test_500_passes_with_a_jittered_wait_that_a_seed_repeats(site, fetch):
    site.plan = [status(500), status(503)]
    fetch(backoff_s=3.0, seed=5)
    rng = seeds.generator(5, "download", site.url)
    assert fetch.waits == [rng.uniform(0, 6.0), rng.uniform(0, 12.0)]
    assert len(site.seen) == 3


def test_429_waits_as_long_as_it_is_asked_to(site, fetch):
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90)
    date = email.utils.format_datetime(soon, usegmt=True)
    site.plan = [status(429, Retry_After="7"), status(429, Retry_After="999999"), status(429, Retry_After=date)]
    fetch()
    assert fetch.waits[:2] == [7.0, 600.0]
    assert 60 < fetch.waits[2] <= 90
    assert len(site.seen) == 4


def test_tries_without_progress_end_in_one_error_that_keeps_the_part(site, fetch):
    site.plan = [lambda h: serve(h, upto=1200), *[status(502)] * 9]
    with pytest.raises(DataContractError, match="HTTP 502, 3 times in a row"):
        fetch(attempts=3)
    assert (len(site.seen), len(fetch.waits)) == (3, 2)
    assert fetch.left() == ["A1.tif.part", "A1.tif.part.json"]


def test_tries_with_progress_do_not_count(site, fetch, monkeypatch):
    monkeypatch.setattr("stainscript.downloads.fetch.PROGRESS_BYTES", 1000)
    site.plan = [lambda h, n=n: serve(h, upto=n) for n in (1000, 2000, 3000, 4000)]
    fetch(attempts=2)
    assert fetch.target.read_bytes() == BODY
    assert len(site.seen) == 5


@pytest.mark.parametrize("code", [401, 403])
def test_a_gate_is_named_at_once(code, site, fetch):
    site.plan = [status(code)]
    with pytest.raises(DataContractError, match=r"accept the licence or sign in: ask at example\.org") as caught:
        fetch(gate="ask at example.org")
    assert f"HTTP {code}" in caught.value.found
    assert (len(site.seen), fetch.waits, fetch.left()) == (1, [], [])


def test_404_is_final(site, fetch):
    site.plan = [status(404)]
    with pytest.raises(DataContractError, match="HTTP 404"):
        fetch()
    assert (len(site.seen), fetch.waits, fetch.left()) == (1, [], [])


def test_a_page_in_place_of_the_file_is_refused(site, fetch):
    site.plan = [status(200, Content_Type="text/html; charset=utf-8")]
    with pytest.raises(DataContractError, match="a web page"):
        fetch(sha256="", size=None)
    assert fetch.left() == []


def test_a_server_that_hangs_is_given_up_after_the_timeout(site, fetch):
    site.plan = [lambda h: site.release.wait(5)] * 2
    with pytest.raises(DataContractError, match=r"no answer within 0\.1 s, 2 times in a row"):
        fetch(timeout_s=0.1, attempts=2)
    assert len(site.seen) == 2


def test_a_server_that_stops_halfway_is_resumed(site, fetch):
    def stall(handler):
        serve(handler, upto=1200)
        handler.wfile.flush()
        site.release.wait(5)

    site.plan = [stall]
    fetch(timeout_s=0.2)
    assert [seen.get("Range") for seen in site.seen] == [None, "bytes=1200-"]
    assert fetch.target.read_bytes() == BODY


def test_nobody_there_is_one_error_without_a_traceback_of_addresses(fetch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/A1.tif"
        with pytest.raises(DataContractError, match="the connection failed or broke off, 2 times in a row"):
            fetch(url=url, attempts=2)


def test_a_kill_in_the_middle_loses_nothing_that_had_arrived(site, fetch, monkeypatch):
    site.plan = [lambda h: (serve(h, upto=3000), h.wfile.flush(), site.release.wait(5))]
    monkeypatch.setattr("stainscript.downloads.server.BLOCK_BYTES", 500)
    written = []

    class Killed(BaseException):
        pass

    def killed_append(self, blocks, append=Part.append):
        for block in append(self, blocks):
            written.append(block)
            if sum(map(len, written)) >= 2000:
                raise Killed
            yield block

    with monkeypatch.context() as patched:
        patched.setattr(Part, "append", killed_append)
        with pytest.raises(Killed):
            fetch()
    assert not fetch.target.exists()
    had = fetch.target.with_name("A1.tif.part").stat().st_size
    assert had == sum(map(len, written))
    fetch()
    assert site.seen[1]["Range"] == f"bytes={had}-"
    assert fetch.target.read_bytes() == BODY


def test_a_file_in_place_is_checked_and_kept(site, fetch):
    fetch.target.parent.mkdir()
    fetch.target.write_bytes(BODY)
    before = fetch.target.stat().st_mtime_ns
    assert fetch().kept
    assert (site.seen, fetch.target.stat().st_mtime_ns) == ([], before)


@pytest.mark.parametrize(("published", "field"), [({"sha256": "0" * 64}, "SHA-256"), ({"size": 3}, "bytes")])
def test_a_file_in_place_of_other_content_is_never_touched(published, field, site, fetch):
    fetch.target.parent.mkdir()
    fetch.target.write_bytes(BODY)
    with pytest.raises(DataContractError, match="nothing is overwritten") as caught:
        fetch(**published)
    assert (caught.value.path, caught.value.field) == (str(fetch.target), field)
    assert (fetch.target.read_bytes(), site.seen) == (BODY, [])


def test_a_full_disk_is_one_error_and_the_part_resumes(site, fetch, monkeypatch):
    def full(self, blocks, append=Part.append):
        yield from append(self, iter([next(blocks)[:800]]))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Part, "append", full)
        with pytest.raises(DataContractError, match="the disk is full") as caught:
            fetch()
    assert caught.value.path == str(fetch.target)
    assert (len(site.seen), fetch.left()) == (1, ["A1.tif.part", "A1.tif.part.json"])
    fetch()
    assert site.seen[1]["Range"] == "bytes=800-"
    assert fetch.target.read_bytes() == BODY


def test_room_is_asked_for_before_the_first_byte(site, fetch, monkeypatch):
    monkeypatch.setattr(part.shutil, "disk_usage", lambda path: SimpleNamespace(free=4999))
    with pytest.raises(DataContractError, match="room for 5000 bytes; found 4999 bytes free"):
        fetch()
    assert not fetch.target.exists()


def test_a_folder_that_cannot_be_written_is_one_error(site, fetch, monkeypatch):
    def refuse(self, validator):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Part, "begin", refuse)
    with pytest.raises(DataContractError, match="a writable folder; found permission denied"):
        fetch()
    assert len(site.seen) == 1


def test_a_token_is_sent_but_shown_nowhere(site, fetch, caplog):
    caplog.set_level(logging.DEBUG)
    site.plan = [lambda h: serve(h, upto=1200), status(500), status(403)]
    with pytest.raises(DataContractError) as caught:
        fetch(headers={"Authorization": f"Bearer {TOKEN}"}, gate="ask at example.org")
    assert [seen["Authorization"] for seen in site.seen] == [f"Bearer {TOKEN}"] * 3
    assert len(caplog.records) >= 2
    assert TOKEN not in caplog.text + str(caught.value) + repr(caught.value.__reduce__())
    for path in fetch.target.parent.iterdir():
        assert TOKEN.encode() not in path.read_bytes()
    assert json.loads(fetch.target.with_name("A1.tif.part.json").read_text()) == {"url": site.url, "validator": '"one"'}


def test_a_token_stays_behind_when_another_host_takes_over(site, fetch):
    elsewhere = f"http://localhost:{site.server_port}/signed?secret=1"
    site.plan = [status(302, Location=elsewhere)]
    try:
        fetch(headers={"Authorization": f"Bearer {TOKEN}"})
    except DataContractError:
        pytest.skip("localhost is not 127.0.0.1 here")
    assert "Authorization" not in site.seen[1]
    assert fetch.target.read_bytes() == BODY


def test_the_log_says_how_fast_and_how_long(caplog):
    caplog.set_level(logging.INFO)
    ticks = iter([0.0, 4.9, 10.0, 14.0])

    def two_and_a_half_mb(reporter):
        for count in (500_000, 2_000_000, 1_000_000):
            reporter.add(count)
        return [record.getMessage() for record in caplog.records]

    lines = two_and_a_half_mb(Reporter("http://host/A1.tif", 1_000_000, 6_000_000, lambda: next(ticks)))
    assert lines == ["http://host/A1.tif: 3.5 of 6.0 MB, 0.25 MB/s, 10 s left"]
    caplog.clear()
    ticks = iter([0.0, 1.0, 10.0, 11.0])
    assert two_and_a_half_mb(Reporter("u", 0, None, lambda: next(ticks))) == ["u: 2.5 MB, 0.25 MB/s"]


def chunked(upto):
    """A server that does not say how long the file is; it ends the body properly, or breaks off."""

    def answer(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, upto, 1000):
            handler.wfile.write(b"3e8\r\n" + BODY[start : start + 1000] + b"\r\n")
        if upto == len(BODY):
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    return answer


def test_a_body_of_unknown_length_is_whole_only_with_its_end(site, fetch):
    site.plan = [chunked(2000), chunked(5000)]
    fetch(sha256="", size=None)
    assert fetch.target.read_bytes() == BODY
    assert len(site.seen) == 2


def test_a_body_without_a_length_that_ends_early_is_tried_again(site, fetch):
    def short(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BODY[:1200])

    site.plan = [short]
    fetch()
    assert fetch.target.read_bytes() == BODY
    assert len(site.seen) == 2


def test_an_endless_body_stops_at_the_published_size(site, fetch):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(BODY)

    site.plan = [endless]
    with pytest.raises(DataContractError, match="expected 5000 bytes"):
        fetch()
    assert fetch.left() == []


def test_a_session_of_the_caller_stays_open(site, fetch):
    class Session(requests.Session):
        closed = False

        def close(self):
            self.closed = True

    session = Session()
    fetch(session=session)
    assert not session.closed
    session.close()
