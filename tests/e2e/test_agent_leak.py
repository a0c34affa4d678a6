"""What agents and approvals bring along: tokens of agents and persons, the passphrase that confirms, arguments, previews and
results. One canary for each, a round of use, and a search for all of them where they have no business."""
import contextlib
import os
import pathlib
import sqlite3
import stat
import subprocess
import tempfile
import unittest

from daemon import Home, wait_for
from mcp_client import GUEST, Guest, Web, register
from service import Service
from test_daemon_leak import INTRUDER, NOBODY, Looking, family, reachable, search
from test_run import action

PASSPHRASE = 'pA55phr4se "Qz8~ confirms'
VALUE = "value-canary-26d3f8a1"
ARGUMENT, EDITED, DENIED = "argument-canary-71f0c2", "edited-canary-3c9d40b8", "denied-canary-e604b7"
RESULT, PREVIEW = "result-canary-90be1d5c", "preview-canary-58aa07e2"


class Telling(Service):
    def on_result(self, conn, query, headers, body):
        return self.answer(conn, 200, RESULT.encode())

    def on_preview(self, conn, query, headers, body):
        return self.answer(conn, 200, PREVIEW.encode())


class AgentLeak(Looking):
    def setUp(self):
        super().setUp()
        self.service = Telling()
        self.addCleanup(self.service.close)

    def furnish(self, home):
        home.env["AILERON_VAULT_PASSPHRASE"] = PASSPHRASE
        home.state.mkdir(mode=0o700)
        (home.state / "config.yaml").write_text("approvals:\n  confirm: passphrase\n")
        home.init()
        home.link("fixture", self.service.port)
        home.ok("binding", "setup", "github://acme/fixture", "--identity", "work", "--value-file", "-", "--yes", stdin=VALUE)
        preview = f"""[approval.preview]
op = "http"
args = {{ url = "https://127.0.0.1:{self.service.port}/preview" }}
render = {{ "Says" = "body" }}

"""
        # What may be previewed is what some action does as a step that may run twice.
        look = [{"id": "look", "op": "http", "effect": "read", "idempotent": True}]
        for name, more in (("look", {"gated": False, "steps": look}), ("now", {"gated": False}),
                           ("later", {"editable": True, "preview": preview})):
            file = home.root / f"{name}.md"
            file.write_text(action(name, self.service.port, **more))
            home.ok("action", "link", file)

    def person(self, home):
        """A browser's code and token, used for what a page asks"""
        code = home.ok("open", "--print").out.strip().rpartition("code=")[2]
        token = home.request("POST", "/v1/person/tokens", {"code": code}, token="", headers={
            "Origin": home.discovery["url"]}).json["token"]
        for path in ("/v1/action-approvals", "/v1/runs", "/v1/agents", "/v1/audit"):
            self.assertEqual(home.request("GET", path, token=token).status, 200)
        return code, token

    def ask(self, home, client, text):
        """A call that waits for a person, once its preview is there"""
        asked = client.call("later", {"path": "/result?" + text})["structuredContent"]
        card = f"/v1/action-approvals/{asked['approval_id']}"
        shown = wait_for(lambda: home.request("GET", card).json.get("preview"), "the preview")
        self.assertEqual(shown["fields"][0]["value"], PREVIEW)
        return asked

    def comes_to(self, home, run, state):
        wait_for(lambda: home.request("GET", f"/v1/runs/{run}").json["state"] == state, f"'{run}' to be {state}")

    def use_everything(self, home, guest, web):
        guest.hello(), web.hello()
        done = guest.call("now", {"path": "/result?" + ARGUMENT})["structuredContent"]
        self.assertEqual(done["output"]["body"], RESULT)
        kept = self.ask(home, web, ARGUMENT)
        self.assertEqual(len(self.previews(home)), 1)
        # A wrong passphrase, an edit with the right one, and a no.
        wrong = self.tell(home.cli("approval", "approve", kept["approval_id"], "--yes", env={"AILERON_VAULT_PASSPHRASE": "wrong"}))
        self.assertEqual(wrong.code, 77, wrong.err)
        home.ok("approval", "approve", kept["approval_id"], "--edit", "path=/result?" + EDITED, "--yes")
        self.comes_to(home, kept["run_id"], "completed")
        status = web.call("check_action_status", {"approval_id": kept["approval_id"]})["structuredContent"]
        self.assertEqual(status["output"]["body"], RESULT)
        refused = self.ask(home, guest, DENIED)
        self.assertEqual(home.request("POST", f"/v1/action-approvals/{refused['approval_id']}/decide", {
            "approved": False, "reason": "no"}).status, 204)
        self.comes_to(home, refused["run_id"], "denied")
        self.tell(home.ok("mcp", "list", "--json")), self.tell(home.ok("audit", "verify"))

    def database(self, home):
        return next(home.state.rglob("aileron.db"))

    def previews(self, home):
        with contextlib.closing(sqlite3.connect(f"file:{self.database(home)}?mode=ro", uri=True)) as db:
            return [row[0] for row in db.execute("SELECT preview FROM runs WHERE preview IS NOT NULL")]

    def files(self, home):
        return [path for path in home.root.rglob("*") if path.is_file() and not path.is_symlink()]

    def test_nowhere(self):
        home = Home(ca=self.service.ca, AILERON_OTLP_ENDPOINT=f"http://127.0.0.1:{self.spans.port}", AILERON_LOG_LEVEL="debug")
        self.addCleanup(home.__exit__)
        self.furnish(home)
        agents = [register(home, "relayed"), home.request("POST", "/v1/agents", {"name": "direct", "kind": "http"}).json]
        code, person = self.person(home)
        guest = Guest(home, agents[0], env={"AILERON_VAULT_PASSPHRASE": ""})
        self.addCleanup(guest.close)
        self.use_everything(home, guest, Web(home, agents[1]["token"]))
        # Of tokens hashes are kept; what agents say and services answer is in the database alone.
        tokens = [agent["token"] for agent in agents] + [person, code]
        said = (ARGUMENT, EDITED, DENIED, RESULT, PREVIEW)
        self.look_at_tokens(home, agents[0], tokens)
        self.look_at_texts(home, said)
        self.look_at_spans((*tokens, *said), home.discovery["token"])
        for pid in (guest.process.pid, *family(home).values()):
            self.look_at_process(pid, (PASSPHRASE, VALUE, *said), agents[0]["token"])
            for token in tokens[1:]:
                self.look_at_process(pid, (), token)
        self.assertEqual(self.previews(home), [], "a preview outlives its approval")
        self.look_everywhere(home, (PASSPHRASE, VALUE))
        home.ok("daemon", "stop")
        for path in self.files(home):
            self.assertEqual(search(path.read_bytes(), PREVIEW), [], f"{path} keeps a preview")

    def look_at_tokens(self, home, agent, tokens):
        """In no file but the guest's own, not even in the database's log"""
        own = home.state / "run" / "agents" / agent["id"]
        self.assertEqual((own.read_text(), stat.S_IMODE(own.stat().st_mode)), (agent["token"], 0o600))
        for path in self.files(home):
            self.assertEqual(search(path.read_bytes(), *(tokens if path != own else tokens[1:])), [], path)
        for done in self.said:
            self.assertEqual(search(done.encode(), *tokens), [], done[:1000])
        with contextlib.closing(sqlite3.connect(f"file:{self.database(home)}?mode=ro", uri=True)) as db:
            for table, count in (("agents", 2), ("person_tokens", 1)):
                self.assertEqual([len(hash) for hash, in db.execute(f"SELECT hash FROM {table}")], [32] * count)

    def look_at_texts(self, home, said):
        """Logs and the record that is passed on have none of them; the log is there, and talks of the calls."""
        log = home.state / "daemon.log"
        self.assertGreater(log.stat().st_size, 1000)
        for path in self.files(home):
            if not path.name.startswith(self.database(home).name):
                self.assertEqual(search(path.read_bytes(), *said), [], path)
        kept = b"".join(path.read_bytes() for path in self.files(home) if path.name.startswith(self.database(home).name))
        for text in (ARGUMENT, EDITED, DENIED, RESULT):
            self.assertNotEqual(search(kept, text), [], "the search does not find what is there")
        record = home.ok("audit", "export").out
        self.assertIn("approval.denied", record)
        self.assertEqual(search(record.encode(), RESULT, PREVIEW), [])

    def test_nobody_of_the_same_user_looks_into_the_guest(self):
        if os.geteuid() != 0 or not reachable() or not os.access(GUEST, os.X_OK):
            self.skipTest("another user is needed, who can run the build")
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/", "text": True}
        with tempfile.TemporaryDirectory(prefix="aileron-nobody-") as home:
            os.chown(home, NOBODY, NOBODY)
            env = {"HOME": home, "AILERON_URL": "http://127.0.0.1:1", "AILERON_TOKEN": "agent_" + "x" * 43,
                   **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}}
            with subprocess.Popen([GUEST, "mcp"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, **who) as guest:
                # It answers while the daemon is away: it is past its beginning.
                guest.stdin.write('{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
                guest.stdin.flush()
                self.assertIn('"id":1', guest.stdout.readline())
                self.assertRegex(pathlib.Path(f"/proc/{guest.pid}/limits").read_text(), r"Max core file size +0 +0 ")
                seen = subprocess.run(["/usr/bin/python3", "-c", INTRUDER, str(guest.pid)], capture_output=True, **who)
                self.assertEqual(seen.stdout.splitlines(), ["own auxv", "own memory"], seen.stderr)
                guest.stdin.close()


if __name__ == "__main__":
    unittest.main()
