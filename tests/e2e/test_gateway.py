"""The gateway: what an agent sends to a provider of models, and what comes back, through control and egress byte for byte."""
import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import threading
import time
import unittest
import urllib.parse

from daemon import Home, wait_for
from house import SANITIZED, SLOW
from service import Service
from test_leak import memory_of, spellings

KEY = "sk-inj-cAn4ry-Zq7kWx9Vbm-0f4e"
OWN_KEY = "sk-own-pL4ceh0lder-77aa01"
EVENTS = [b"event: a\ndata: {\"n\":1}\n\n", b"data: two\r\n\r\n", b": comment\n\n", b"data: \xc3\xa4\x80raw\n\n"]
MEGABYTE = bytes(range(256)) * 4096


class Upstream(Service):
    """/v1/WHAT; `seen` as there, with headers in their order in `raw`."""

    def __init__(self, **more):
        self.go_on = threading.Event()
        self.closed = threading.Event()  # a client of ours went while it was being answered
        self.streaming = threading.Event()
        self.n_closed = 0
        self.sent = 0
        self.raw = []
        super().__init__(**more)

    def _one(self, conn, reader):
        first = reader.readline().split()
        if len(first) < 3:
            return False
        method, path = first[0].decode(), first[1].decode("latin-1")
        raw, headers = [], {}
        while (line := reader.readline().rstrip(b"\r\n")):
            name, _, value = line.decode("latin-1").partition(":")
            raw.append((name, value.strip()))
            headers[name.lower()] = value.strip()
        if path.endswith("/early"):
            return self.early(conn, reader)
        body = reader.read(int(headers.get("content-length", 0)))
        self.raw.append(raw)
        self.seen.append((method, path, headers, body))
        parts = urllib.parse.urlsplit(path)
        name = parts.path.rsplit("/", 1)[-1].replace("-", "_")
        return getattr(self, "on_" + name, self.on_messages)(conn, dict(urllib.parse.parse_qsl(parts.query)), headers, body)

    def early(self, conn, reader):
        """An answer before the body was read"""
        self.answer(conn, 413, b"too long", [("Connection", "close")])
        while reader.read(1 << 16):
            pass
        return False

    def on_messages(self, conn, query, headers, body):
        method, path, _, _ = self.seen[-1]
        answer = json.dumps({"method": method, "path": path, "sha256": hashlib.sha256(body).hexdigest()}).encode()
        head = (b"HTTP/1.1 200 Fine\r\nContent-Type: application/json\r\nrequest-id: req_1\r\nX-Odd: a, b\r\nx-odd: c\r\n"
                b"Content-Length: %d\r\n\r\n" % len(answer))
        conn.sendall(head + (b"" if method == "HEAD" else answer))
        return True

    def on_stream(self, conn, query, headers, body):
        """Each event when the test has had the one before."""
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in EVENTS:
            self.go_on.wait(20 * SLOW)
            self.go_on.clear()
            conn.sendall(b"%x\r\n%s\r\n" % (len(event), event))
        conn.sendall(b"0\r\n\r\n")
        return True

    def on_big(self, conn, query, headers, body):
        n = int(query["megabytes"])
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (n << 20))
        self.sent = 0
        for _ in range(n):
            conn.sendall(MEGABYTE)
            self.sent += len(MEGABYTE)
        return True

    def on_endless(self, conn, query, headers, body):
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        self.streaming.set()
        try:
            conn.recv(1)
        finally:
            self.n_closed += 1
            self.closed.set()
        return False

    def on_reset(self, conn, query, headers, body):
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        self.go_on.wait(20 * SLOW)
        return False

    def on_status(self, conn, query, headers, body):
        conn.sendall(b"HTTP/1.1 %s Odd\r\nContent-Length: 5\r\n\r\nhello" % query["is"].encode())
        return False

    def on_none(self, conn, query, headers, body):
        return False

    def on_overloaded(self, conn, query, headers, body):
        return self.answer(conn, 429, b'{"type":"error"}', [("Retry-After", "7"), ("Content-Type", "application/json")])

    def on_moved(self, conn, query, headers, body):
        return self.answer(conn, 307, b"", [("Location", "https://example.com/elsewhere")])

    def on_gzip(self, conn, query, headers, body):
        return self.answer(conn, 200, b"\x1f\x8b not really", [("Content-Encoding", "gzip")])


class Gateway(unittest.TestCase):
    inject = ""

    def setUp(self):
        self.upstream = Upstream()
        self.addCleanup(self.upstream.close)
        self.home = self.enterContext(Home(ca=self.upstream.ca))
        self.configure()
        self.home.start()
        self.session = self.home.request("POST", "/v1/sessions", {"agent": "tester"}).json
        self.gateway = self.session["gateway"]

    def configure(self, private=True):
        self.home.state.mkdir(mode=0o700, exist_ok=True)
        url = f"https://127.0.0.1:{self.upstream.port}"
        (self.home.state / "config.yaml").write_text(
            f"gateway:\n  anthropic: {url}/base\n  openai: {url}\n  upstream_allow_private: {str(private).lower()}\n"
            + self.inject)

    def connect(self):
        where = urllib.parse.urlsplit(self.home.discovery["url"])
        conn = http.client.HTTPConnection(where.hostname, where.port, timeout=30 * SLOW)
        self.addCleanup(conn.close)
        return conn

    def path(self, rest, provider="anthropic"):
        base = self.gateway["anthropic_url" if provider == "anthropic" else "openai_url"]
        return urllib.parse.urlsplit(base).path + rest

    def ask(self, method, rest, body=None, headers=None, provider="anthropic", **more):
        conn = self.connect()
        conn.request(method, self.path(rest, provider), body, {"x-api-key": OWN_KEY, **(headers or {})}, **more)
        got = conn.getresponse()
        got.content = got.read()
        return got

    def raw(self, head):
        where = urllib.parse.urlsplit(self.home.discovery["url"])
        with socket.create_connection((where.hostname, where.port), timeout=20 * SLOW) as sock:
            sock.sendall(head.replace("HOST", where.netloc).encode("latin-1"))
            data = b""
            while b"\r\n" not in data and (got := sock.recv(4096)):
                data += got
            return int(data.split()[1])

    def last_event(self):
        def latest():
            found = [event for event in self.home.events("--type", "gateway.request")]
            return found[0] if found else None
        return wait_for(latest, "the event of the request")


class Passing(Gateway):
    def test_methods_paths_queries_and_bodies(self):
        for method, rest, body in (("GET", "/v1/models?limit=5&x=%2e%2e//y", None), ("HEAD", "/v1/models", None), ("PUT", "/v1/a%20b", b"\0\xff"),
                                   ("POST", "/v1/messages", b'{"model":"m-1"}'), ("DELETE", "/v1/files/1", None),
                                   ("PATCH", "/v1//double", b"x"), ("POST", "/v1/messages?", b""), ("GET", "/v1/x", b"body of a GET")):
            with self.subTest(method=method, rest=rest):
                got = self.ask(method, rest, body)
                self.assertEqual(got.status, 200)
                seen = self.upstream.seen[-1]
                self.assertEqual(seen[0], method)
                self.assertEqual(seen[1], "/base" + rest)
                self.assertEqual(seen[3], body or b"")
                self.assertEqual(seen[2]["host"], f"127.0.0.1:{self.upstream.port}")
                self.assertEqual(seen[2]["x-api-key"], OWN_KEY)
                if method != "HEAD":
                    self.assertEqual(json.loads(got.content)["sha256"], hashlib.sha256(body or b"").hexdigest())
                else:
                    self.assertEqual(got.content, b"")
                    self.assertGreater(int(got.headers["Content-Length"]), 50)
                self.assertEqual(got.headers.get_all("X-Odd"), ["a, b", "c"])
                self.assertEqual(got.headers["request-id"], "req_1")
        got = self.ask("POST", "/responses", b"{}", provider="openai")
        self.assertEqual((got.status, self.upstream.seen[-1][1]), (200, "/v1/responses"))

    def test_headers_of_a_connection_are_left_out(self):
        got = self.ask("POST", "/v1/messages", b"{}", {"Connection": "keep-alive, X-Private", "X-Private": "1", "TE": "trailers",
                       "Proxy-Authorization": "x", "Keep-Alive": "5", "Authorization": "Bearer own", "anthropic-beta": "a,b",
                       "Accept-Encoding": "gzip, br", "User-Agent": "tester/1", "X-Empty": ""})
        self.assertEqual(got.status, 200)
        names = [name.lower() for name, _ in self.upstream.raw[-1]]
        for name in ("connection", "x-private", "te", "proxy-authorization", "keep-alive", "transfer-encoding", "expect"):
            self.assertNotIn(name, names)
        sent = dict(self.upstream.raw[-1])
        self.assertEqual((sent["Authorization"], sent["anthropic-beta"], sent["Accept-Encoding"], sent["User-Agent"], sent["X-Empty"]),
                         ("Bearer own", "a,b", "gzip, br", "tester/1", ""))
        self.assertEqual(len(names), len(set(names)))
        # what the answer's own connection says is not the client's
        self.assertNotIn("Connection", got.headers)

    def test_answers_are_passed_as_they_are(self):
        for rest, status, body, header in (("/v1/overloaded", 429, b'{"type":"error"}', ("Retry-After", "7")),
                                           ("/v1/moved", 307, b"", ("Location", "https://example.com/elsewhere")),
                                           ("/v1/gzip", 200, b"\x1f\x8b not really", ("Content-Encoding", "gzip"))):
            got = self.ask("POST", rest, b"{}")
            self.assertEqual((got.status, got.content, got.headers[header[0]]), (status, body, header[1]), rest)
        self.assertEqual(len(self.upstream.seen), 3, "a redirect was followed")

    def test_an_answer_before_the_body_is_sent(self):
        got = self.ask("POST", "/v1/early", MEGABYTE * 20)
        self.assertEqual((got.status, got.content), (413, b"too long"))
        self.assertEqual(self.last_event()["payload"]["aileron.gateway.outcome"], "completed")
        self.assertEqual(self.ask("POST", "/v1/messages", b"{}").status, 200)

    def test_many_at_once_over_kept_connections(self):
        results = []

        def many(n):
            conn = self.connect()
            for i in range(20):
                body = b'{"n":%d}' % (1000 * n + i)
                conn.request("POST", self.path("/v1/messages"), body)
                results.append(json.loads(conn.getresponse().read())["sha256"] == hashlib.sha256(body).hexdigest())
        threads = [threading.Thread(target=many, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [True] * 320)

    def test_bodies_that_come_in_chunks_and_large_ones(self):
        body = MEGABYTE * 20
        got = self.ask("POST", "/v1/messages", body)
        self.assertEqual(json.loads(got.content)["sha256"], hashlib.sha256(body).hexdigest())
        got = self.ask("POST", "/v1/messages", iter([b'{"model"', b':"in-chunks",', MEGABYTE, b"}"]), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})
        whole = b'{"model":"in-chunks",' + MEGABYTE + b"}"
        self.assertEqual(json.loads(got.content)["sha256"], hashlib.sha256(whole).hexdigest())
        self.assertEqual(self.upstream.seen[-1][2]["content-length"], str(len(whole)))
        head = f"POST {self.path('/v1/messages')} HTTP/1.1\r\nHost: HOST\r\nContent-Length: {(32 << 20) + 1}\r\n\r\n"
        self.assertEqual(self.raw(head), 413)
        self.assertEqual(len(self.upstream.seen), 2)

    def test_a_stream_arrives_piece_by_piece(self):
        conn = self.connect()
        conn.request("POST", self.path("/v1/stream"), b'{"model":"m-stream","stream":true}', {"x-api-key": OWN_KEY})
        got = conn.getresponse()
        self.assertEqual(got.headers["Content-Type"], "text/event-stream")
        for event in EVENTS:
            self.upstream.go_on.set()
            self.assertEqual(got.read1(1000), event)
        self.assertEqual(got.read(), b"")
        event = self.last_event()
        payload = event["payload"]
        self.assertEqual(payload["aileron.gateway.model"], "m-stream")
        self.assertEqual(payload["aileron.gateway.path"], "/v1/stream")
        self.assertEqual(payload["aileron.gateway.bytes_down"], sum(map(len, EVENTS)))
        self.assertEqual(payload["aileron.gateway.bytes_up"], 34)
        self.assertEqual(payload["aileron.gateway.status"], 200)
        self.assertEqual(payload["aileron.gateway.outcome"], "completed")
        self.assertEqual(payload["aileron.session.id"], self.session["id"])
        self.assertNotIn(OWN_KEY, json.dumps(event))
        self.assertNotIn(self.gateway["capability"], json.dumps(event))


class Trouble(Gateway):
    def resident(self):
        found = {}
        for name in ("control", "egress"):
            text = pathlib.Path(f"/proc/{self.home.process(name)}/status").read_text()
            found[name] = int(re.search(r"VmRSS:\s+(\d+)", text)[1]) << 10
        return found

    def test_a_slow_reader_holds_the_upstream_up(self):
        self.ask("POST", "/v1/messages", b"{}")
        before = self.resident()
        conn = self.connect()
        conn.connect()
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        conn.request("POST", self.path("/v1/big?megabytes=100"), b"{}")
        got = conn.getresponse()
        self.assertEqual(got.read(1000), MEGABYTE[:1000])
        wait_for(lambda: self.upstream.sent > 0, "the answer's beginning")

        def stands():
            sent = self.upstream.sent
            time.sleep(0.3)  # that nothing happens can be seen in no other way
            return self.upstream.sent == sent
        wait_for(stands, "the upstream to be held up")
        self.assertLess(self.upstream.sent, 40 << 20)
        after = self.resident()
        for name, bytes_ in after.items():
            self.assertLess(bytes_ - before[name], (8 << 20) * (8 if SANITIZED else 1), name)
        digest, n = hashlib.sha256(MEGABYTE[:1000]), 1000
        while (data := got.read(1 << 16)):
            digest.update(data)
            n += len(data)
        self.assertEqual((n, digest.hexdigest()), (100 << 20, hashlib.sha256(MEGABYTE * 100).hexdigest()))

    def test_a_client_that_goes_cancels_its_request(self):
        conn = self.connect()
        conn.request("POST", self.path("/v1/endless"), b"{}")
        self.assertEqual(conn.getresponse().read1(10), b"a")
        began = time.monotonic()
        conn.sock.close() if conn.sock else None
        conn.close()
        conn = None
        self.assertTrue(self.upstream.closed.wait(20 * SLOW))
        self.assertLess(time.monotonic() - began, 1 * SLOW)
        self.assertEqual(self.last_event()["payload"]["aileron.gateway.outcome"], "cancelled")

    def test_an_upstream_that_breaks(self):
        conn = self.connect()
        conn.request("POST", self.path("/v1/reset"), b"{}")
        got = conn.getresponse()
        self.assertEqual(got.read1(100), b"hello")
        self.upstream.go_on.set()
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            if got.read(100) == b"":
                raise http.client.IncompleteRead(b"")
        self.assertEqual(self.last_event()["payload"]["aileron.gateway.outcome"], "failed")
        got = self.ask("POST", "/v1/none", b"{}")
        self.assertEqual((got.status, json.loads(got.content)["error"]["code"]), (502, "upstream_error"))

    def test_an_upstream_that_is_not_there(self):
        self.upstream.listener.shutdown(socket.SHUT_RDWR)
        self.upstream.listener.close()
        got = self.ask("POST", "/chat/completions", b"{}", provider="openai")
        self.assertEqual(got.status, 502)
        self.assertEqual(json.loads(got.content)["error"]["type"], "server_error")

    def test_who_is_let_in(self):
        capability = self.gateway["capability"]
        self.assertEqual(len(capability), 43)
        for wrong in ("A" * 43, capability[:-1] + ("A" if capability[-1] != "A" else "B"), capability[:-1], "", capability + "x"):
            for provider, where in (("anthropic", "anthropic/v1/messages"), ("openai", "openai/v1/responses")):
                conn = self.connect()
                conn.request("POST", f"/llm/{wrong}/{where}", b"{}")
                got = conn.getresponse()
                body = json.loads(got.read())
                self.assertEqual(got.status, 401, wrong)
                if provider == "anthropic":
                    self.assertEqual((body["type"], body["error"]["type"]), ("error", "authentication_error"))
                else:
                    self.assertEqual(body["error"]["code"], "unauthorized")
        conn = self.connect()
        conn.request("POST", f"/llm/{'A' * 43}/anthropic/v1/messages", b"x" * 100_000)
        self.assertEqual(conn.getresponse().status, 401)
        got = self.ask("POST", "/v1/messages", b"{}", {"Sec-Fetch-Dest": "document"})
        self.assertEqual(got.status, 403)
        self.home.request("POST", f"/v1/sessions/{self.session['id']}/end", {"exit_code": 0})
        self.assertEqual(self.ask("POST", "/v1/messages", b"{}").status, 401)
        self.assertEqual(self.upstream.seen, [])

    def test_the_capability_in_a_header(self):
        capability = self.gateway["capability"]

        def ask(path, given, body=b"{}"):
            conn = self.connect()
            conn.request("POST", path, body, {"x-api-key": OWN_KEY, **({} if given is None else {"aileron-CAPABILITY": given})})
            got = conn.getresponse()
            got.read()
            return got.status
        for path, there in (("/llm/-/openai/v1/responses", "/v1/responses"), ("/llm/-/anthropic/v1/messages", "/base/v1/messages")):
            # Longer than what is read of a request that nobody is let in with.
            self.assertEqual(ask(path, capability, b"x" * 100_000), 200)
            self.assertEqual(self.upstream.seen[-1][1], there)
            self.assertNotIn("aileron-capability", self.upstream.seen[-1][2])
            for wrong in (None, "", "A" * 43, capability + "x"):
                self.assertEqual(ask(path, wrong), 401, wrong)
        # It counts for "-" alone, and goes upstream in no case.
        self.assertEqual(ask(f"/llm/{'A' * 43}/anthropic/v1/messages", capability), 401)
        self.assertEqual(ask(self.path("/v1/messages"), "of nobody"), 200)
        self.assertEqual(len(self.upstream.seen), 3)
        self.assertNotIn("aileron-capability", self.upstream.seen[-1][2])
        self.home.ok("daemon", "stop")
        for path in self.home.state.glob("*.log"):
            self.assertNotIn(capability, path.read_text(errors="replace"))

    def test_a_session_that_ends_takes_its_requests_along(self):
        conn = self.connect()
        conn.request("POST", self.path("/v1/endless"), b"{}")
        got = conn.getresponse()
        self.assertEqual(got.read1(10), b"a")
        self.home.request("POST", f"/v1/sessions/{self.session['id']}/end", {"exit_code": 0})
        self.assertTrue(self.upstream.closed.wait(20 * SLOW))

    def test_one_session_leaves_room_for_others(self):
        conns = [self.connect() for _ in range(64)]
        for conn in conns:
            conn.request("POST", self.path("/v1/endless"), b"{}")
            self.assertEqual(conn.getresponse().read1(10), b"a")
        got = self.ask("POST", "/v1/messages", b"{}")
        self.assertEqual(got.status, 503)
        other = self.home.request("POST", "/v1/sessions", {"agent": "tester"}).json
        self.home.request("POST", f"/v1/sessions/{self.session['id']}/end", {"exit_code": 0})
        self.gateway = other["gateway"]
        self.assertEqual(self.ask("POST", "/v1/messages", b"{}").status, 200)

    def test_many_sessions_that_end_at_once(self):
        n = 40
        sessions = [self.home.request("POST", "/v1/sessions", {"agent": "tester"}).json for _ in range(n)]
        conns = []
        for session in sessions:
            self.gateway = session["gateway"]
            conn = self.connect()
            conn.request("POST", self.path("/v1/endless"), b"{}")
            conns.append(conn)
            self.assertEqual(conn.getresponse().read1(10), b"a")
        control, ends = self.home.process("control"), []
        os.kill(control, signal.SIGSTOP)  # so that all are there when it looks
        try:
            for session in sessions:
                ends.append(self.connect())
                ends[-1].request("POST", f"/v1/sessions/{session['id']}/end", b'{"exit_code":0}',
                                 {"Content-Type": "application/json", "Authorization": "Bearer " + self.home.discovery["token"]})
        finally:
            os.kill(control, signal.SIGCONT)
        for conn in ends:
            self.assertEqual(conn.getresponse().status, 200)
        wait_for(lambda: self.upstream.n_closed == n, "all requests to be cut off")
        self.assertEqual(self.home.process("control"), control)

    def test_no_path_leads_elsewhere(self):
        prefix = self.path("")
        for rest, status in (("/../x", 400), ("/v1/../../x", 400), ("/%2e%2e/x", 400), ("/.%2E/x", 400), ("/v1/..%2fx", 400),
                             ("/v1/..%5Cx", 400), ("/.", 400), ("/v1/./x", 400), ("/v1\\x", 400), ("", 404), ("x/y", 404),
                             ("//example.com/x", 200), ("/@example.com/", 200), ("/v1/a%2Fb", 200), ("/v1/...", 200)):
            with self.subTest(rest):
                self.assertEqual(self.raw(f"GET {prefix}{rest} HTTP/1.1\r\nHost: HOST\r\n\r\n"), status)
        for method, path, headers, body in self.upstream.seen:
            self.assertTrue(path.startswith("/base/"), path)
        self.assertEqual(len(self.upstream.seen), 4)
        openai = self.path("", "openai").removesuffix("/v1")
        for rest, status in (("/v2/x", 404), ("/v1x", 404), ("/", 404), ("/v1/../x", 400), ("/v1", 200)):
            self.assertEqual(self.raw(f"GET {openai}{rest} HTTP/1.1\r\nHost: HOST\r\n\r\n"), status, rest)
        self.assertEqual(self.raw("GET http://example.com/ HTTP/1.1\r\nHost: HOST\r\n\r\n"), 400)
        self.assertEqual(self.raw(f"GET {prefix}/x HTTP/1.1\r\nHost: example.com\r\n\r\n"), 403)
        self.assertEqual(self.raw(f"GET {prefix.replace('anthropic', 'other')}/x HTTP/1.1\r\nHost: HOST\r\n\r\n"), 404)

    def test_smuggling(self):
        path = self.path("/v1/messages")
        for lines in ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 3\r\nContent-Length: 3\r\n",
                      "X-A: b\r\n Content-Length: 3\r\n", "Transfer-Encoding: chunked, gzip\r\n", "X-A: \x00\r\n", "X A: b\r\n"):
            with self.subTest(lines):
                self.assertIn(self.raw(f"POST {path} HTTP/1.1\r\nHost: HOST\r\n{lines}\r\nabc"), (400, 501))
        self.assertEqual(self.upstream.seen, [])

    def test_methods_that_are_not_passed_on(self):
        conn = self.connect()
        conn.request("POST", self.path("/v1/endless"), b"{}")
        under_way = conn.getresponse()
        self.assertEqual(under_way.read1(10), b"a")
        seen = len(self.upstream.seen)
        for method in ("CONNECT", "TRACE", "TRACK", "BREW", "GET-X"):
            for provider in ("anthropic", "openai"):
                with self.subTest(method=method, provider=provider):
                    rest = "/v1/messages" if provider == "anthropic" else "/responses"
                    got = self.ask(method, rest, provider=provider)
                    error = json.loads(got.content)["error"]
                    self.assertEqual((got.status, error["type"], error["code"]), (405, "invalid_request_error", "method_not_allowed"))
                    self.assertEqual(got.headers["Allow"], "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
                    self.assertEqual("param" in error, provider == "openai")
        self.assertEqual(len(self.upstream.seen), seen)
        self.assertFalse(self.upstream.closed.is_set(), "a request of another was cut off")
        self.assertEqual(self.ask("OPTIONS", "/v1/messages").status, 200)

    def test_statuses_that_are_no_answers(self):
        conn = self.connect()
        conn.request("POST", self.path("/v1/endless"), b"{}")
        under_way = conn.getresponse()
        self.assertEqual(under_way.read1(10), b"a")
        for status in ("101", "600", "999", "199", "000", "102"):
            with self.subTest(status):
                got = self.ask("POST", f"/v1/status?is={status}", b"{}")
                self.assertEqual((got.status, json.loads(got.content)["error"]["code"]), (502, "upstream_error"))
        for status in ("200", "299", "599"):
            got = self.ask("POST", f"/v1/status?is={status}", b"{}")
            self.assertEqual((got.status, got.content), (int(status), b"hello"))
        self.assertFalse(self.upstream.closed.is_set(), "a request of another was cut off")

    def pair_of_egress(self, pid):
        """A copy of egress's end of the gateway's pair: the one that a request waits in while egress stands still."""
        libc, process, found = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid), None
        self.addCleanup(os.close, process)
        for fd in os.listdir(f"/proc/{pid}/fd"):
            if not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"):
                continue
            copy = libc.syscall(438, process, int(fd), 0)  # pidfd_getfd
            self.assertGreaterEqual(copy, 0, os.strerror(ctypes.get_errno()))
            sock = socket.socket(fileno=copy)
            try:
                if sock.family == socket.AF_UNIX and b"/v1/waits" in sock.recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    found = sock
                    continue
            except OSError:
                pass
            sock.close()
        return found

    def test_a_frame_that_cannot_be_read_costs_the_pair_alone(self):
        if os.geteuid() != 0:
            self.skipTest("taking a copy of a process's socket takes root")
        self.assertEqual(self.ask("POST", "/v1/messages", b"{}").status, 200)
        pids = {name: self.home.process(name) for name in ("control", "egress")}
        for _ in range(3):
            conn = self.connect()
            os.kill(pids["egress"], signal.SIGSTOP)
            try:
                conn.request("POST", self.path("/v1/waits"), b"{}")
                with wait_for(lambda: self.pair_of_egress(pids["egress"]), "the request to reach egress") as pair:
                    pair.sendall(b"\xff" * 64)
                got = conn.getresponse()
                self.assertEqual((got.status, json.loads(got.read())["error"]["code"]), (503, "unavailable"))
            finally:
                os.kill(pids["egress"], signal.SIGCONT)
            wait_for(lambda: self.ask("POST", "/v1/messages", b"{}").status == 200, "requests to pass again")
        self.assertEqual({name: self.home.process(name) for name in pids}, pids)

    def test_egress_started_anew(self):
        self.assertEqual(self.ask("POST", "/v1/messages", b"{}").status, 200)
        conn = self.connect()
        conn.request("POST", self.path("/v1/endless"), b"{}")
        got = conn.getresponse()
        self.assertEqual(got.read1(10), b"a")
        old = self.home.process("egress")
        os.kill(old, 9)
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            if got.read(100) == b"":
                raise http.client.IncompleteRead(b"")
        wait_for(lambda: self.home.process("egress") not in (None, old), "another egress")
        wait_for(lambda: self.ask("POST", "/v1/messages", b"{}").status == 200, "requests to pass again")


class Private(Gateway):
    def configure(self, private=False):
        super().configure(private=False)

    def test_loopback_is_refused_unless_it_was_opened(self):
        got = self.ask("POST", "/v1/messages", b"{}")
        self.assertEqual((got.status, json.loads(got.content)["error"]["code"]), (502, "upstream_error"))
        self.assertEqual(self.upstream.seen, [])


class Misconfigured(Gateway):
    def configure(self, private=True):
        super().configure()
        path = self.home.state / "config.yaml"
        path.write_text(path.read_text().replace("/base", "/base?x=y"))

    def test_a_setting_that_is_no_upstream(self):
        got = self.ask("POST", "/v1/messages", b"{}")
        self.assertEqual((got.status, json.loads(got.content)["error"]["code"]), (503, "gateway_not_configured"))
        self.assertEqual(self.upstream.seen, [])


class Injected(Gateway):
    inject = "  inject_anthropic: secret/anthropic\n  inject_openai: secret/openai\n"

    def put(self, name, *hosts):
        flags = [flag for host in hosts for flag in ("--host", host)]
        self.home.ok("vault", "put", f"secret/{name}", "-", *flags, stdin=KEY)

    def test_the_key_comes_from_the_vault(self):
        self.home.init()
        here = f"127.0.0.1:{self.upstream.port}"
        self.put("anthropic", here)
        self.put("openai", here)
        got = self.ask("POST", "/v1/messages", b'{"model":"m"}', {"Authorization": "Bearer " + OWN_KEY})
        self.assertEqual(got.status, 200, got.content)
        headers = self.upstream.seen[-1][2]
        self.assertEqual(headers["x-api-key"], KEY)
        self.assertNotIn("authorization", headers)
        self.assertEqual(self.ask("POST", "/responses", b"{}", {"Authorization": "Bearer " + OWN_KEY}, "openai").status, 200)
        headers = self.upstream.seen[-1][2]
        self.assertEqual(headers["authorization"], "Bearer " + KEY)
        self.assertNotIn("x-api-key", headers)
        self.last_event()
        released = [e for e in self.home.events("--type", "vault.credential.read")]
        self.assertEqual(len(released), 2)
        self.assertNotIn(OWN_KEY, json.dumps(self.upstream.seen[-1][2]))
        log = "".join(path.read_text(errors="replace") for path in self.home.state.glob("*.log"))
        for text in (KEY, OWN_KEY, self.gateway["capability"]):
            self.assertNotIn(text, log)
        self.look_at_memory()

    def look_at_memory(self):
        if os.geteuid() != 0 or SANITIZED:
            print("skipped: reading the processes' memory takes root and a build without sanitizers")
            return
        for name in ("control", "egress"):
            blob = memory_of(self.home.process(name))
            self.assertGreater(len(blob), 100_000)
            for spelled in spellings(KEY).values():
                self.assertNotIn(spelled, blob, name)
            # The agent's own passes control, and is gone when the request is.
            self.assertNotIn(OWN_KEY.encode(), blob, name)
            self.assertNotIn(self.gateway["capability"].encode(), blob, name)

    def test_what_a_key_may_be_given_to(self):
        self.home.init()
        for flags in (("--host", "example.com"), ("--host", ":443"), ("--host", "example.com:0"), ("--host", "example.com:x"),
                      ("--host", "example.com:443", "--type", "secret")):
            done = self.home.cli("vault", "put", "secret/anthropic", "-", *flags, stdin=KEY)
            self.assertEqual((done.code, KEY in done.out + done.err), (2, False), done)
        self.assertEqual(self.home.ok("vault", "list", "--json").lines, [])
        # A key with a line end that was pasted along; one that no header can carry.
        here = f"127.0.0.1:{self.upstream.port}"
        self.home.ok("vault", "put", "secret/anthropic", "-", "--host", here, stdin=KEY + "\n")
        self.assertEqual(self.ask("GET", "/v1/models").status, 200)
        self.assertEqual(self.upstream.seen[-1][2]["x-api-key"], KEY)
        self.home.ok("vault", "put", "secret/anthropic", "-", "--host", here, stdin="a\r\nX-Other: b")
        self.assertEqual(self.ask("GET", "/v1/models").status, 412)
        self.assertEqual(len(self.upstream.seen), 1)

    def test_a_locked_vault_and_keys_that_were_not_given(self):
        self.home.init()
        for what in ("no entry", "no host", "another host"):
            got = self.ask("POST", "/v1/messages", b"{}")
            self.assertEqual((got.status, json.loads(got.content)["error"]["type"]), (412, "invalid_request_error"), what)
            self.assertIn("aileron vault put", json.loads(got.content)["error"]["message"])
            self.put("anthropic", *(["example.com:443"] if what == "no host" else []))
        self.put("anthropic", f"127.0.0.1:{self.upstream.port}")
        self.assertEqual(self.ask("POST", "/v1/messages", b"{}").status, 200)
        self.home.ok("vault", "lock")
        got = self.ask("POST", "/v1/messages", b"{}")
        self.assertEqual((got.status, json.loads(got.content)["error"]["code"]), (412, "binding_required"))
        self.assertIn("aileron vault unlock", json.loads(got.content)["error"]["message"])
        self.assertEqual(len(self.upstream.seen), 1)


if __name__ == "__main__":
    unittest.main()
