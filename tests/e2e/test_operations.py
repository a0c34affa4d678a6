"""Every operation of the API at least once, most of them by the command line, whose requests go through a relay that holds each
answer against the description that the daemon gives of itself; and the record: followed, exported, verified elsewhere."""
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import subprocess
import threading
import unittest
import urllib.parse

import test_action
import test_oauth
import test_run
import test_vault
from daemon import Answer, Home
from house import SLOW
from service import Service

FQN = "github://acme/fixture"


class Relay:
    """Stands between the command line and the daemon; `seen` is {(method, route)} of what succeeded, `wrong` what did not fit."""

    def __init__(self, home):
        self.home, self.seen, self.wrong = home, set(), []
        document = home.openapi()
        self.routes = [(method.upper(), route, re.compile(re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(route))))
                       for route, methods in document["paths"].items() for method in methods]
        # One without parameters fits before one with.
        self.routes.sort(key=lambda row: row[1].count("{"))
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def relay(self):
                relay.pass_on(self)
            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = relay

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def route_of(self, method, target):
        path = target.split("?")[0]
        return next((route for verb, route, pattern in self.routes if verb == method and pattern.fullmatch(path)), None)

    def body_of(self, asked):
        """What is passed on; a test may replace some of it"""
        return asked.rfile.read(int(asked.headers.get("Content-Length", 0)))

    def pass_on(self, asked):
        body = self.body_of(asked)
        where = urllib.parse.urlsplit(self.home.discovery["url"])
        conn = http.client.HTTPConnection(where.hostname, where.port, timeout=120 * SLOW)
        try:
            conn.request(asked.command, asked.path, body or None, {name: value for name, value in asked.headers.items()
                                                                    if name.lower() not in ("host", "content-length")})
            got = conn.getresponse()
            answer = Answer(got.status, got.headers, got.read().decode())
        finally:
            conn.close()
        self.note(asked.command, asked.path, answer)
        asked.send_response(answer.status)
        for name in ("Content-Type", "Retry-After", "X-Request-ID"):
            if answer.headers.get(name):
                asked.send_header(name, answer.headers[name])
        if answer.status != 204:
            asked.send_header("Content-Length", str(len(answer.body.encode())))
        asked.end_headers()
        asked.wfile.write(answer.body.encode() if answer.status != 204 else b"")

    def note(self, method, target, answer):
        try:
            self.home.validate(method, target, answer)
        except Exception as error:  # of jsonschema, of json, or an assertion: all mean that it does not fit
            self.wrong.append(f"{method} {target} {answer.status}: {str(error)[:600]} {answer.body[:300]}")
        if answer.status < 400:
            self.seen.add((method, self.route_of(method, target)))

    def missing(self):
        return sorted({(method, route) for method, route, _ in self.routes} - self.seen)


class Operations(unittest.TestCase):
    def setUp(self):
        self.service = Service()
        self.addCleanup(self.service.close)
        self.home = Home(ca=self.service.ca)
        self.addCleanup(self.home.__exit__)
        self.home.state.mkdir(mode=0o700)
        (self.home.state / "config.yaml").write_text("approvals:\n  grants: true\n")
        where = self.home.start()
        self.relay = Relay(self.home)
        self.addCleanup(self.relay.close)
        self.home.env.update(AILERON_API_URL=self.relay.url, AILERON_TOKEN=where["token"])

    def file(self, name, text):
        path = self.home.root / name
        path.write_text(text)
        return path

    def request(self, *args, **more):
        answer = self.home.request(*args, check=False, **more)
        self.relay.note(args[0], args[1], answer)
        return answer

    def test_every_operation_succeeds_once(self):
        self.vault()
        self.backups()
        self.connectors_and_bindings()
        self.actions()
        self.runs()
        self.sessions_and_browser()
        self.record()
        self.oauth()
        self.assertEqual(self.relay.wrong, [])
        missing = self.relay.missing()
        # The browser comes back to the daemon only where somebody else than the command line began the flow.
        self.assertEqual(missing, [("GET", "/v1/bindings/setup/oauth2/callback")])
        self.assertGreaterEqual(self.request("GET", missing[0][1] + "?state=x&code=y", token="").status, 400)
        self.assertEqual(self.relay.wrong, [])

    def vault(self):
        ok, home = self.home.ok, self.home
        ok("status"), ok("doctor"), ok("vault", "init"), ok("vault", "status")
        ok("vault", "put", "secret/one", "--value-file", "-", stdin="1")
        ok("vault", "list"), ok("vault", "get-meta", "secret/one"), ok("vault", "tune", "--target", "50ms")
        key, new, travel = home.root / "robot.key", self.file("new", "another one\n"), self.file("travel", "for the journey")
        ok("vault", "member", "add", "robot", "--new-key-file", key), ok("vault", "member", "list")
        ok("vault", "passwd", "--new-passphrase-file", new, "--keep-backups")
        home.env["AILERON_VAULT_PASSPHRASE"] = "another one"
        ok("vault", "export", "--output", home.root / "export.json", "--new-passphrase-file", travel)
        ok("vault", "delete", "secret/one", "--yes")
        ok("vault", "import", home.root / "export.json", "--import-passphrase-file", travel)
        ok("vault", "member", "remove", "robot", "--yes", "--keep-backups")
        ok("vault", "lock"), ok("vault", "unlock")

    def backups(self):
        """Another home: a vault of version 1 is upgraded there, and kept."""
        with Home() as home:
            home.state.mkdir(mode=0o700)
            (home.state / "secrets.json").write_text(test_vault.VERSION_1)
            token = home.start()["token"]
            relay = Relay(home)
            self.addCleanup(relay.close)
            home.env.update(AILERON_API_URL=relay.url, AILERON_TOKEN=token)
            home.ok("vault", "unlock")
            kept = home.ok("vault", "backup", "list", "--json").lines
            home.ok("vault", "backup", "delete", kept[0]["name"], "--yes")
            self.relay.seen |= relay.seen
            self.relay.wrong += relay.wrong

    def connectors_and_bindings(self):
        ok = self.home.ok
        self.home.link("fixture", self.service.port)
        ok("connector", "list"), ok("connector", "show", FQN)
        ok("binding", "setup", FQN, "--identity", "work", "--value-file", "-", "--yes", stdin="value-1")
        ok("connector", "call", FQN, "--op", "http_cred", "--args", json.dumps(
            {"url": f"https://127.0.0.1:{self.service.port}/ok", "credential": "api_key"}))
        failed = self.home.cli("connector", "call", FQN, "--op", "http_cred", "--args", json.dumps(
            {"url": "https://127.0.0.1:1/ok", "credential": "api_key"}))
        self.assertEqual(failed.code, 1)
        ok("binding", "list"), ok("binding", "inspect", "api_key/fixture/work")
        ok("binding", "rebind", "api_key/fixture/work", "--value-file", "-", "--yes", stdin="value-2")
        ok("binding", "hosts", "api_key/fixture/work", "--yes")
        ok("binding", "revoke", "api_key/fixture/work", "--yes"), ok("connector", "unlink", FQN)

    def actions(self):
        folder = self.home.root / "actions"
        folder.mkdir()
        (folder / "say.md").write_text(test_action.text("say"))
        (folder / "bad.md").write_text("no action")
        self.assertEqual(self.home.cli("action", "link", folder).code, 1)  # told of the bad one, linked
        self.home.ok("action", "list"), self.home.ok("action", "show", "say")
        self.home.ok("action", "disable", "say"), self.home.ok("action", "enable", "say")
        self.home.ok("action", "unlink", folder)

    def runs(self):
        step = {"id": "say", "op": "echo", "effect": "read", "inputs": {"value": "${args.path}"}}
        self.home.link("fixture", self.service.port)
        for name, gated in (("say", False), ("ask", True)):
            file = self.file(f"{name}.md", test_run.action(name, 0, gated=gated, grants=True, hosts=False, steps=[step]))
            self.home.ok("action", "link", file)
        done = self.request("POST", "/v1/actions/say/run", {"args": {"path": "x"}}).json
        self.request("POST", "/v1/actions/say/run", {"args": {"path": "x"}, "dry_run": True})
        asked = [self.request("POST", "/v1/actions/ask/run", {"args": {"path": text}}).json for text in "ab"]
        self.request("GET", "/v1/action-approvals")
        self.request("GET", f"/v1/action-approvals/{asked[0]['approval_id']}")
        self.request("POST", f"/v1/action-approvals/{asked[0]['approval_id']}/decide", {"approved": True, "grant": True})
        self.request("POST", f"/v1/runs/{asked[1]['run_id']}/cancel", {})
        for run in (done, *asked):
            self.request("GET", f"/v1/runs/{run['run_id']}")
        self.request("GET", f"/v1/action-approvals/{asked[1]['approval_id']}/result")
        self.request("GET", "/v1/runs?limit=2&state=completed")
        grant = self.request("GET", "/v1/grants").json["items"][0]
        self.request("DELETE", f"/v1/grants/{grant['id']}")
        # A stream without an end does not go through the relay.
        self.relay.seen.add(("GET", "/v1/action-approvals/watch"))

    def sessions_and_browser(self):
        agent = self.request("POST", "/v1/agents", {"name": "claude", "kind": "registered", "program": "claude"}).json
        self.assertEqual([row["id"] for row in self.request("GET", "/v1/agents").json["items"]], [agent["id"]])
        self.assertEqual(self.request("DELETE", f"/v1/agents/{agent['id']}").status, 204)
        session = self.request("POST", "/v1/sessions", {"agent": "claude", "working_dir": "/home/u"}).json
        self.home.ok("sessions", "list"), self.home.ok("sessions", "get", session["id"])
        hold = f"/v1/sessions/{session['id']}/hold"
        where = self.home.discovery
        conn = http.client.HTTPConnection(urllib.parse.urlsplit(where["url"]).netloc, timeout=30 * SLOW)
        conn.request("POST", hold, headers={"Authorization": "Bearer " + where["token"]})
        held = conn.getresponse()
        self.assertEqual(self.request("POST", f"/v1/sessions/{session['id']}/end", {"exit_code": 0}).status, 200)
        # The stream ends with the session, which then is not to be held.
        self.relay.note("POST", hold, Answer(held.status, held.headers, held.read().decode()))
        conn.close()
        self.assertEqual(self.request("POST", hold).status, 409)
        url = self.home.ok("open", "--print").out.strip().splitlines()[-1]
        code = urllib.parse.urlsplit(url).fragment.removeprefix("code=")
        given = self.request("POST", "/v1/person/tokens", {"code": code}, token="", headers={"Origin": self.home.discovery["url"]}).json
        person, nonce = given["token"], os.urandom(32)
        proof = self.request("POST", "/v1/person/proof", {"id": given["id"], "nonce": nonce.hex()}, token="").json["proof"]
        about = b"aileron-person-proof-1" + nonce + urllib.parse.urlsplit(self.home.discovery["url"]).netloc.encode()
        self.assertEqual(proof, hmac.new(hashlib.sha256(person.encode()).digest(), about, "sha256").hexdigest())
        self.assertEqual(self.request("DELETE", "/v1/person/tokens/current", token=person).status, 204)
        self.request("GET", "/v1/health", token=""), self.request("GET", "/openapi.json", token="")

    def record(self):
        events = self.home.ok("audit", "list", "--json").lines
        self.home.ok("audit", "show", events[0]["event"]["audit_id"]), self.home.ok("audit", "verify")
        self.home.ok("audit", "export")
        self.assertEqual(self.request("POST", "/v1/audit", {
            "event_type": "sandbox.proxy.disabled", "actor": {"type": "service", "id": "launch"}, "payload": {}}).status, 201)
        # A stream without an end does not go through the relay.
        self.relay.seen.add(("GET", "/v1/audit/tail"))

    def oauth(self):
        flow, kind = test_oauth.OAuth("end"), test_oauth.OAuth
        kind.setUpClass()
        self.addCleanup(kind.tearDownClass)
        self.addCleanup(flow.doCleanups)
        kind.provider.tell(down=False, tokenLifetime=3600)
        self.home.link("fixture", manifest=test_oauth.manifest(kind.provider, kind.service, device=True))
        setup = ("binding", "setup", "github://acme/mail", "--yes", "--identity")
        for verb in ((*setup, "alice", "--no-browser"), ("binding", "reauthorize", "oauth2/mail/alice", "--no-browser", "--yes"),
                     (*setup, "phone", "--device")):
            process, url = flow.begin(self.home, *verb)
            test_oauth.browse(url)
            code, out, err = flow.end(process)
            self.assertEqual(code, 0, (verb, out, err))


class Record(unittest.TestCase):
    def setUp(self):
        self.home = Home()
        self.addCleanup(self.home.__exit__)
        self.home.init()
        self.home.ok("vault", "put", "secret/one", "--value-file", "-", stdin="1")
        self.export = self.home.root / "export.ndjson"
        self.export.write_text(self.home.ok("audit", "export").out)

    def elsewhere(self, file, *flags):
        """`audit verify` of another person who has no daemon and, afterwards, none either"""
        with Home() as other:
            done = other.cli("audit", "verify", file, "--json", *flags)
            self.assertFalse((other.state / "daemon.json").exists(), "a daemon was started for it")
            return done

    def test_an_export_is_verified_elsewhere(self):
        done = self.elsewhere(self.export)
        self.assertEqual(done.code, 0, done)
        self.assertEqual((done.json["intact"], done.json["origin_proven"]), (True, False))
        done = self.elsewhere(self.export, "--key", self.home.state / "device.pub")
        self.assertEqual((done.json["intact"], done.json["origin_proven"]), (True, True))
        with Home() as other:
            other.start()
            done = self.elsewhere(self.export, "--key", other.state / "device.pub")
            self.assertEqual(done.code, 1, "another device's key proves nothing")

    def test_what_was_changed_is_found(self):
        whole = self.export.read_bytes()
        lines = whole.splitlines(keepends=True)
        changed = {
            "a flipped byte": bytes(whole[:len(whole) // 2]) + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1:],
            "a line less": b"".join(lines[:1] + lines[2:]),
            "two lines changed over": b"".join([lines[1], lines[0], *lines[2:]]),
            "a line twice": b"".join([lines[0], *lines]),
            "the end is missing": b"".join(lines[:-2] + lines[-1:]),
            "a newer event is missing, and the head": b"".join(lines[:-2]),
            "cut within a line": whole[:-20],
        }
        for what, content in changed.items():
            with self.subTest(what):
                bad = self.home.root / "bad.ndjson"
                bad.write_bytes(content)
                done = self.elsewhere(bad, "--key", self.home.state / "device.pub")
                self.assertEqual(done.code, 1, done)
                verdict = json.loads(done.out)
                self.assertEqual((verdict["intact"], "note" in verdict), (False, False))
                self.assertRegex(self.home.cli("audit", "verify", bad).out, r"\Abroken: .* checkpoints\nline [0-9]+: .+\n\Z")

    def test_who_follows_sees_what_happens(self):
        def follow(*flags):
            process = subprocess.Popen(self.home.command("audit", "tail", "--json", *flags), env=self.home.env, text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
            return process
        process = follow("--after", "0")
        types = [json.loads(process.stdout.readline())["event"]["event_type"] for _ in range(3)]
        self.assertIn("daemon.started", types)
        self.home.ok("vault", "put", "secret/two", "--value-file", "-", stdin="2")
        seqs = []
        while True:
            line = json.loads(process.stdout.readline())
            seqs.append(line["seq"])
            if line["event"]["payload"].get("aileron.credential.path", line["event"]["payload"].get("path")) == "secret/two" or (
                    "secret/two" in json.dumps(line)):
                break
        self.assertEqual(seqs, list(range(seqs[0], seqs[0] + len(seqs))), "the record is followed without a gap")
        # The end of the daemon is told, and does not leave it waiting.
        self.home.ok("daemon", "stop")
        process.communicate(timeout=30 * SLOW)
        self.assertIn(process.returncode, (0, 69))


if __name__ == "__main__":
    unittest.main()
