"""The daemon's life: it starts by itself, once, tells what it is, and loses nothing when a part of it dies."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import socket
import sqlite3
import stat
import struct
import unittest
import urllib.parse

from daemon import Home, wait_for


class Life(unittest.TestCase):
    def test_any_verb_starts_it(self):
        with Home() as home:
            self.assertEqual(home.ok("connector", "list", "--json").lines, [])
            self.assertTrue(pathlib.Path(f"/proc/{home.discovery['pid']}").exists())

    def test_verbs_that_never_start_it(self):
        with Home() as home:
            for verb in (["version"], ["help"], ["completion", "bash"], ["names", "runs"], ["stop"]):
                self.assertEqual(home.cli(*verb).code, 0, verb)
            self.assertEqual(home.cli("status").code, 69)
            self.assertNotEqual(home.cli("open", "--print").code, 0)
            home.cli("doctor")
            self.assertFalse((home.state / "daemon.json").exists())

    def test_names_for_the_shell(self):
        with Home() as home:
            home.init()
            home.ok("vault", "put", "a/b", "-", stdin="x")
            home.ok("vault", "put", "a/$(date)", "-", stdin="x")
            self.assertEqual(home.ok("names", "entries").out, "a/b\n")
            for kind in ("actions", "agents", "approvals", "backups", "bindings", "connectors", "grants", "runs", "sessions"):
                self.assertEqual(home.ok("names", kind).out, "")
            self.assertEqual(home.ok("names", "members").out, "owner\n")
            self.assertIn("approvals.grants\n", home.ok("names", "settings").out)
            self.assertIn("claude\n", home.ok("names", "programs").out)
            self.assertEqual(home.cli("names", "nothing").code, 2)

    def test_files_and_modes(self):
        with Home() as home:
            home.start()
            modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in home.state.iterdir()}
            for name in ("daemon.json", "daemon.pid", "daemon.lock", "daemon.log", "daemon.sock", "keeper.pub", "device.pub"):
                self.assertEqual(modes[name], 0o600, name)
            for name in ("vault", "control"):
                self.assertEqual(modes[name], 0o700, name)
            self.assertEqual(stat.S_IMODE(home.state.lstat().st_mode), 0o700)
            found = home.discovery
            self.assertEqual((home.state / "daemon.pid").read_text(), f"{found['pid']}\n")
            self.assertRegex(found["token"], "^[0-9a-f]{64}$")
            self.assertRegex(found["url"], r"^http://127\.0\.0\.1:[0-9]+$")

    def test_what_is_as_old_as_the_record_is_forgotten(self):
        with Home(AILERON_AUDIT_KEEP_DAYS="30") as home:
            home.start()
            home.ok("daemon", "stop")
            with contextlib.closing(sqlite3.connect(home.state / "control" / "aileron.db")) as db, db:
                for id in ("00000000000000000000000001", "7ZZZZZZZZZ0000000000000001"):
                    db.execute("INSERT INTO sessions (id, agent, working_dir, started_ns, ended_ns) VALUES (?, 'a', '/', 1, 2)", (id,))
            home.start()

            def shown():
                return [session["id"] for session in home.ok("sessions", "list", "--json").lines]

            self.assertIn("7ZZZZZZZZZ0000000000000001", shown())
            wait_for(lambda: "00000000000000000000000001" not in shown(), "the old session to be forgotten")
            self.assertEqual(shown(), ["7ZZZZZZZZZ0000000000000001"])
            self.assertIn("old_rows_dropped", (home.state / "daemon.log").read_text())

    def test_many_at_once_leave_one(self):
        with Home() as home:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                done = list(pool.map(lambda _: home.cli("connector", "list", "--json"), range(8)))
            self.assertEqual([d.code for d in done], [0] * 8, [d.err for d in done])
            mine = [proc.name for proc in pathlib.Path("/proc").glob("[0-9]*") if runs_daemon_of(proc, home)]
            self.assertEqual(mine, [str(home.discovery["pid"])])

    def test_stop_and_stale_files(self):
        with Home() as home:
            first = home.start()
            home.ok("daemon", "stop")
            self.assertFalse((home.state / "daemon.json").exists())
            home.start()
            os.kill(home.discovery["pid"], signal.SIGKILL)
            home.ok("connector", "list")
            self.assertNotEqual(home.discovery["instance_id"], first["instance_id"])

    def test_a_daemon_whose_file_is_gone_is_told_and_stopped(self):
        with Home() as home:
            pid = home.start()["pid"]
            (home.state / "daemon.json").unlink()
            for verb in (["status"], ["daemon", "status"], ["connector", "list"]):
                done = home.cli(*verb)
                self.assertEqual(done.code, 69, (done.out, done.err))
                self.assertIn(f"process {pid}", done.err)
                self.assertIn("daemon restart", done.err)
            self.assertIn("daemon.json", home.cli("doctor").out)
            home.ok("daemon", "restart")
            self.assertNotEqual(home.discovery["pid"], pid)
            (home.state / "daemon.json").unlink()
            self.assertIn("Stopped", home.ok("stop").out)
            self.assertEqual(home.cli("status").out.split("\n")[0], "The daemon is not running; any verb that needs it starts it.")

    def test_an_export_that_fails_leaves_no_file(self):
        with Home() as home:
            home.start()
            file = home.root / "audit.jsonl"
            done = home.cli("audit", "export", "--output", file, env={"AILERON_TOKEN": "0" * 64})
            self.assertEqual((done.code, file.exists()), (77, False), done.err)
            home.ok("audit", "export", "--output", file)
            before = file.read_bytes()
            self.assertEqual(home.cli("audit", "export", "--output", file).code, 1)
            self.assertEqual(file.read_bytes(), before)

    def test_a_restart_that_would_fail_stops_nothing(self):
        with Home() as home:
            pid = home.start()["pid"]
            config = home.state / "config.yaml"
            for text, said in (("approvals:\n  grants: maybe\n", "true or false"), ("approvals: {\n", "parse_error"),
                               ("daemon:\n  prot: 1\n", "daemon.port")):
                config.write_text(text)
                done = home.cli("daemon", "restart")
                self.assertEqual(done.code, 1, done.err)
                self.assertIn("nothing was stopped", done.err)
                self.assertIn(said, done.err)
                self.assertIn(f"({config}:", done.err)
                self.assertIn(f"({config}:", home.cli("config", "list").err)
                self.assertRegex(home.cli("doctor").out, rf"(?m)^BAD *configuration .*\({config}:[12]\)$")
            config.write_text("approvals: {grants: true}\n")
            self.assertIn(f"({config}:1)", home.cli("config", "set", "approvals.grants", "false").err)
            config.unlink()
            done = home.cli("daemon", "restart", env={"AILERON_AUTO_LOCK": "soon"})
            self.assertEqual(done.code, 2, done.err)
            self.assertEqual(home.ok("daemon", "status", "--json").json["pid"], pid)
            home.ok("daemon", "restart")
            self.assertNotEqual(home.discovery["pid"], pid)

    def test_what_is_configured_outlives_who_started_it(self):
        with Home() as home:
            home.ok("vault", "init")
            home.ok("config", "set", "vault.auto_lock", "30m")
            home.ok("config", "set", "audit.keep_days", "30")
            self.assertIn("0s for never", home.cli("config", "set", "vault.auto_lock", "soon").err)
            home.ok("daemon", "restart")
            self.assertEqual(home.ok("vault", "status", "--json").json["auto_lock_ms"], 30 * 60 * 1000)
            home.ok("daemon", "stop")
            self.assertEqual(home.ok("vault", "status", "--json").json["auto_lock_ms"], 30 * 60 * 1000)
            home.ok("daemon", "restart", env={"AILERON_AUTO_LOCK": "1h"})
            self.assertEqual(home.ok("vault", "status", "--json").json["auto_lock_ms"], 60 * 60 * 1000)
            self.assertEqual(home.ok("config", "get", "vault.auto_lock").out, "30m\n")

    def test_status_shows_each_process_with_its_proof(self):
        with Home() as home:
            home.start()
            status = home.ok("status", "--json").json
            self.assertEqual(status["vault_state"], "missing")
            found = {process["role"]: process for process in status["processes"]}
            for name in ("control", "keeper", "egress"):
                self.assertTrue(found[name]["running"], name)
                self.assertGreater(found[name]["pid"], 0)
                self.assertTrue(any("exec" in line for line in found[name]["confinement"]["proof"]), found[name])
                self.assertFalse(found[name]["confinement"].get("missing"))
            self.assertIn("keeper", home.ok("status").out)

    def test_a_child_that_dies_is_started_again(self):
        with Home() as home:
            home.init()
            for name in ("egress", "keeper", "control"):
                old = home.process(name)
                os.kill(old, signal.SIGKILL)
                new = wait_for(lambda: self.alive(home, name, old), f"another {name}")
                self.assertNotEqual(old, new)
            state = {p["role"]: p for p in home.ok("status", "--json").json["processes"]}
            self.assertGreaterEqual(state["keeper"]["restarts"], 1)
            self.assertEqual(home.ok("vault", "status", "--json").json["state"], "locked")
            home.ok("vault", "unlock")

    def alive(self, home, name, old):
        done = home.cli("status", "--json")
        if done.code != 0:
            return None
        for process in json.loads(done.out)["processes"]:
            if process["role"] == name and process["running"] and process["pid"] not in (0, old):
                return process["pid"]
        return None

    def test_a_restart_is_another_daemon(self):
        with Home() as home:
            before = home.start()
            home.ok("daemon", "restart")
            self.assertNotEqual(home.discovery["instance_id"], before["instance_id"])

    def test_hangup_opens_the_log_anew(self):
        with Home() as home:
            home.start()
            log = home.state / "daemon.log"
            log.rename(home.state / "old.log")
            os.kill(home.discovery["pid"], signal.SIGHUP)
            wait_for(log.exists, "a new log")

    def test_a_state_folder_of_others_is_refused(self):
        with Home() as home:
            home.state.mkdir(mode=0o777)
            home.state.chmod(0o777)
            done = home.cli("connector", "list")
            self.assertIn(done.code, (1, 69), done.err)
            self.assertIn(str(home.state), done.err)

    def test_damaged_and_newer_databases_are_refused(self):
        with Home() as home:
            home.start()
            home.ok("daemon", "stop")
            database = home.state / "control" / "aileron.db"
            whole = database.read_bytes()
            for bad, word in ((b"not a database at all" * 300, "database"), (newer(whole), "newer")):
                database.write_bytes(bad)
                done = home.cli("daemon", "start")
                self.assertNotEqual(done.code, 0)
                self.assertIn(word, done.err)
                self.assertEqual(database.read_bytes(), bad, "a refused file was changed")
            database.write_bytes(whole)
            home.start()

    def test_doctor(self):
        with Home() as home:
            home.start()
            self.assertRegex(home.ok("doctor").out, "ok +deciding +any program that runs as this user, an agent too, can decide")
            os.chmod(home.state / "keeper.pub", 0o644)
            self.assertNotEqual(home.cli("doctor").code, 0)

    def test_public_keys_that_are_not_there_or_not_the_keepers(self):
        with Home() as home:
            home.init()
            home.ok("vault", "lock")
            self.assertRegex(home.ok("doctor").out, "ok +public keys")
            keeper, device = home.state / "keeper.pub", home.state / "device.pub"
            kept = {keeper: keeper.read_text(), device: device.read_text()}
            for file, text, unlocks in ((keeper, None, False), (keeper, "garbage\n", False), (keeper, "00" * 31 + "\n", False),
                                        (keeper, kept[device], False), (device, None, True), (device, "garbage\n", True)):
                with self.subTest(file=file.name, text=text):
                    file.unlink()
                    if text is not None:
                        file.write_text(text)
                        file.chmod(0o600)
                    done = home.cli("doctor")
                    self.assertEqual(done.code, 1)
                    self.assertRegex(done.out, rf"(?m)^BAD +public keys .*{file.name}")
                    self.assertIn("aileron daemon restart", done.out)
                    done = home.cli("vault", "unlock")
                    self.assertEqual(done.code == 0, unlocks, done)
                    self.assertTrue(unlocks or "aileron daemon restart" in done.err, done)
                    home.ok("vault", "lock")
                    file.write_text(kept[file])
                    file.chmod(0o600)
            home.ok("doctor")
            keeper.unlink(), device.unlink()
            home.ok("daemon", "restart")
            home.ok("doctor"), home.ok("vault", "unlock")

    def test_doctor_without_a_daemon_sees_why_none_would_start(self):
        with Home() as home:
            home.init()
            home.ok("daemon", "stop")
            home.ok("doctor")
            (home.state / "secrets.json").write_text("{}")
            done = home.cli("doctor")
            self.assertEqual(done.code, 1)
            self.assertIn("two vaults", done.out)
            self.assertIn("two vaults", home.cli("vault", "status").err)


def runs_daemon_of(proc, home):
    """whether that process is the parent of a daemon of this home"""
    try:
        return b"\0daemon\0run\0" in (proc / "cmdline").read_bytes() and f"AILERON_HOME={home.state}\0".encode() in (
            proc / "environ").read_bytes()
    except OSError:
        return False


def newer(database):
    """the same file with another user_version"""
    return database[:60] + struct.pack(">I", 9999) + database[64:]


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = Home()
        cls.home.start()

    @classmethod
    def tearDownClass(cls):
        cls.home.__exit__()

    def test_health_is_open_and_everything_else_is_not(self):
        health = self.home.request("GET", "/v1/health", token="").json
        self.assertEqual(health["instance_id"], self.home.discovery["instance_id"])
        for token in ("", "0" * 64, "x"):
            answer = self.home.request("GET", "/v1/status", token=token, check=False)
            self.assertEqual(answer.status, 401)
            self.assertEqual(answer.json["error"]["code"], "unauthorized")
            self.assertTrue(answer.json["error"]["request_id"])

    def test_rebinding_is_refused(self):
        port = urllib.parse.urlsplit(self.home.discovery["url"]).port
        for headers in ({"Host": f"evil.example:{port}"}, {"Host": "127.0.0.1"}, {"Origin": "http://evil.example"},
                        {"Origin": "null"}):
            self.assertEqual(self.home.request("GET", "/v1/health", token="", headers=headers, check=False).status, 403, headers)
        own = {"Origin": f"http://127.0.0.1:{port}"}
        answer = self.home.request("GET", "/v1/health", token="", headers=own)
        self.assertEqual(answer.status, 200)
        self.assertIsNone(answer.headers.get("Access-Control-Allow-Origin"))

    def test_unknown_routes_methods_and_members(self):
        self.assertEqual(self.home.request("GET", "/v1/nothing").status, 404)
        self.assertEqual(self.home.request("DELETE", "/v1/health").status, 405)
        answer = self.home.request("POST", "/v1/sessions", {"agent": "a", "working_dir": "/", "more": 1})
        self.assertEqual((answer.status, answer.json["error"]["code"]), (400, "invalid_request"))
        for body in (b"{", b'{"agent":1}', b"[]", b'{"agent":"a","agent":"b"}', b""):
            self.assertEqual(self.home.request("POST", "/v1/sessions", body).status, 400, body)

    def test_secrets_are_never_taken_plain(self):
        for method, path, body in (("POST", "/v1/vault/unlock", {"passphrase": "x"}),
                                   ("POST", "/v1/vault/init", {"passphrase": "x"}),
                                   ("PUT", "/v1/vault/entries/secret%2Fa", {"value": "eA==", "metadata": {"type": "secret"}})):
            answer = self.home.request(method, path, body)
            self.assertEqual((answer.status, answer.json["error"]["code"]), (400, "sealed_required"), path)

    def test_another_revision_is_refused(self):
        answer = self.home.request("GET", "/v1/status", headers={"X-Aileron-Api": "999"}, check=False)
        self.assertEqual(answer.json["error"]["code"], "api_revision")
        self.assertIn("daemon restart", answer.json["error"]["message"])

    def test_capability_tokens_open_what_they_name(self):
        session = self.home.request("POST", "/v1/sessions", {"agent": "claude", "working_dir": "/home/u"}).json
        token = session["caveat_token"]
        for path in ("/v1/status", "/v1/vault/status", "/v1/bindings", "/v1/audit", "/v1/sessions"):
            self.assertEqual(self.home.request("GET", path, token=token).status, 403, path)
        forged = token[:-2] + ("aa" if token[-2:] != "aa" else "bb")
        self.assertEqual(self.home.request("GET", "/v1/status", token=forged).status, 401)

    def test_what_no_browser_opens_is_printed(self):
        nowhere = self.home.root / "nowhere"
        done = self.home.ok("open", "approvals", env={"PATH": str(nowhere)})
        self.assertTrue(done.out.startswith(self.home.discovery["url"] + "/approvals#code="), done.out)
        self.assertIn("'xdg-open'", done.err)
        nowhere.mkdir()
        (nowhere / "xdg-open").symlink_to("/bin/false")
        done = self.home.ok("open", env={"PATH": str(nowhere)})
        self.assertTrue(done.out.startswith(self.home.discovery["url"] + "/#code="), done.out)
        self.assertIn("could not open a browser", done.err)
        self.assertEqual(self.home.cli("open", "runs").code, 2)

    def test_a_browser_gets_in_once(self):
        url = self.home.ok("open", "--print").out.strip().splitlines()[-1]
        code = urllib.parse.urlsplit(url).fragment.removeprefix("code=")
        own = {"Origin": self.home.discovery["url"]}
        foreign = self.home.request("POST", "/v1/person/tokens", {"code": code}, token="", check=False)
        self.assertEqual(foreign.status, 403, "a code was taken without our Origin")
        got = self.home.request("POST", "/v1/person/tokens", {"code": code}, token="", headers=own)
        self.assertEqual(got.status, 201, got.body)
        person = got.json["token"]
        self.assertIsNone(got.headers.get("Set-Cookie"))
        self.assertEqual(self.home.request("GET", "/v1/status", token=person).status, 200)
        again = self.home.request("POST", "/v1/person/tokens", {"code": code}, token="", headers=own, check=False)
        self.assertIn(again.status, (401, 403))
        self.assertEqual(self.home.request("POST", "/v1/person/codes", {}, token=person).status, 403)
        self.assertEqual(self.home.request("DELETE", "/v1/person/tokens/current", token=person).status, 204)
        self.assertEqual(self.home.request("GET", "/v1/status", token=person).status, 401)

    def test_idle_connections_do_not_hold_others_up(self):
        address = urllib.parse.urlsplit(self.home.discovery["url"])
        idle = [socket.create_connection((address.hostname, address.port)) for _ in range(1000)]
        try:
            for conn in idle[:50]:
                conn.sendall(b"GET /v1/hea")
            self.assertEqual(self.home.request("GET", "/v1/health", token="").status, 200)
        finally:
            for conn in idle:
                conn.close()

    def test_smuggling_is_refused_by_the_whole_daemon(self):
        address = urllib.parse.urlsplit(self.home.discovery["url"])
        host = f"Host: {address.netloc}\r\n".encode()
        for hostile in (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
                        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"X: a\r\n b\r\n\r\n", b"Host: other\r\n\r\n", b"X: a\n\r\n"):
            with socket.create_connection((address.hostname, address.port)) as conn:
                conn.sendall(b"POST /v1/sessions HTTP/1.1\r\n" + host + hostile)
                first = conn.makefile("rb").readline()
                self.assertIn(first.split()[1], (b"400", b"501"), hostile)


if __name__ == "__main__":
    unittest.main()
