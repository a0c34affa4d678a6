"""Actions, runs and approvals on the command line: a program's, and a person's at a terminal."""
import json
import os
import signal
import subprocess
import unittest
import urllib.parse

from daemon import Home, PASSPHRASE, manifest_of, wait_for
from service import Service
from test_run import FQN, action
from test_terminal import Person

PENDING = 75


class Cli(unittest.TestCase):
    config = ""

    @classmethod
    def setUpClass(cls):
        cls.service = Service()

    @classmethod
    def tearDownClass(cls):
        cls.service.close()

    def setUp(self):
        self.service.seen.clear()
        self.service.hold.clear()
        self.home = Home(ca=self.service.ca)
        self.addCleanup(self.home.__exit__)
        if self.config:
            self.home.state.mkdir(mode=0o700, exist_ok=True)
            (self.home.state / "config.yaml").write_text(self.config)
        self.home.init()
        self.home.link("fixture", manifest=manifest_of("fixture", self.service.port))
        self.home.ok("binding", "setup", FQN, "--identity", "work", "--value-file", "-", "--yes", stdin="the-value-1")

    def add(self, name, text=None, **more):
        path = self.home.root / f"{name}.md"
        path.write_text(text or action(name, self.service.port, **more))
        self.home.ok("action", "link", path)

    def ask(self, name="send", *flags):
        """What a run that waits answers"""
        done = self.home.cli("action", "run", name, "--arg", "path=/ok", "--json", *flags)
        self.assertEqual(done.code, PENDING, (done.out, done.err))
        return json.loads(done.out)

    def run_of(self, id):
        return self.home.ok("runs", "show", id, "--json").json

    def comes_to(self, id, state):
        ended = ("completed", "failed", "denied", "expired", "refused", "cancelled", "outcome_unknown")
        run = wait_for(lambda: (run := self.run_of(id))["state"] in ended and run, f"'{id}' to end", 20)
        self.assertEqual(run["state"], state, run)
        return run

    def paths(self):
        return [path for _, path, _, _ in self.service.seen]


class Running(Cli):
    def test_at_once(self):
        self.add("send", gated=False)
        done = self.home.ok("action", "run", "send", "--arg", "path=/ok")
        self.assertEqual(json.loads(done.out)["status"], 200)
        self.assertGreater(len(done.out.splitlines()), 2)
        told = self.home.ok("action", "run", "send", "--args", '{"path":"/ok"}', "--json").json
        self.assertEqual((told["status"], told["output"]["status"]), ("completed", 200))
        self.assertEqual(self.paths(), ["/ok", "/ok"])
        listed = self.home.ok("runs", "--json").lines
        self.assertEqual([(run["state"], run["action"]) for run in listed], [("completed", "send")] * 2)
        self.assertEqual(len(self.home.ok("runs", "list", "--state", "completed", "--limit", "1", "--json").lines), 1)
        self.assertEqual(len(self.home.ok("runs", "list", "--since", "1h", "--json").lines), 2)
        self.assertEqual(self.home.ok("runs", "list", "--since", "2100-01-01T00:00:00Z", "--json").lines, [])
        newest = self.home.ok("runs", "list", "--limit", "1", "--json").lines[0]
        since = urllib.parse.quote(newest["requested_at"])
        self.assertEqual([r["id"] for r in self.home.request("GET", f"/v1/runs?since={since}").json["items"]], [newest["id"]])
        self.assertEqual(self.home.request("GET", "/v1/runs?since=yesterday").status, 400)
        self.assertEqual(self.home.ok("runs", "list", "--state", "failed", "--json").lines, [])
        self.assertEqual(self.home.cli("runs", "list", "--state", "odd").code, 2)
        page = self.home.ok("runs", "show", told["run_id"]).out
        for part in ("completed", "http_cred", "/ok", "sha256:"):
            self.assertIn(part, page)

    def test_arguments_have_the_types_of_the_inputs(self):
        text = action("typed", self.service.port, gated=False, inputs=(), steps=[
            {"id": "one", "op": "echo", "effect": "read",
             "inputs": {key: f"${{args.{key}}}" for key in ("text", "count", "flag", "list", "map")}}])
        inputs = "".join(f'[[inputs]]\nname = "{name}"\ntype = "{kind}"\nrequired = true\ndescription = "x"\n\n'
                         for name, kind in (("text", "string"), ("count", "integer"), ("flag", "boolean"), ("list", "array"), ("map", "object")))
        self.add("typed", text.replace("[approval]", inputs + "[approval]"))
        flags = ["--arg", "text=7", "--arg", "count=7", "--arg", "flag=true", "--arg", 'list=[1,"a=b"]', "--arg", 'map={"k":null}']
        done = self.home.ok("action", "run", "typed", *flags, "--json").json
        wanted = {"text": "7", "count": 7, "flag": True, "list": [1, "a=b"], "map": {"k": None}}
        self.assertEqual(self.run_of(done["run_id"])["args"], wanted)
        for bad in ("count=x", "flag=yes", "list={}", "other=1", "text"):
            refused = self.home.cli("action", "run", "typed", "--arg", bad)
            self.assertEqual(refused.code, 2, refused.err)
            self.assertIn("--arg", refused.err)
        self.assertEqual(self.home.cli("action", "run", "typed", "--arg", "text=a", "--args", "{}").code, 2)
        self.assertEqual(len(self.home.ok("runs", "--json").lines), 1)

    def test_dry_run_runs_nothing(self):
        self.add("send")
        page = self.home.ok("action", "run", "send", "--arg", "path=/ok", "--dry-run").out
        for part in ("would ask a person first", "http_cred", f"127.0.0.1:{self.service.port}", "api_key/fixture/work"):
            self.assertIn(part, page)
        self.assertTrue(self.home.ok("action", "run", "send", "--arg", "path=/ok", "--dry-run", "--json").json["gated"])
        self.assertEqual(self.home.ok("runs", "--json").lines, [])

    def test_waiting_gives_the_end(self):
        self.add("send")
        for decide, code, part in ((("approve", "--yes"), 0, ""), (("deny", "--reason", "not today"), 77, "approval_denied"),
                                   (None, 130, "cancelled")):
            waiting = subprocess.Popen(self.home.command("action", "run", "send", "--arg", "path=/ok", "--wait=1h"), env=self.home.env,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
            pending = wait_for(lambda: self.home.ok("approval", "list", "--json").lines, "an approval")[0]
            if decide:
                self.home.ok("approval", decide[0], pending["id"], *decide[1:])
            else:
                self.home.ok("runs", "cancel", pending["run_id"])
            out, err = waiting.communicate(timeout=30)
            self.assertEqual(waiting.returncode, code, err)
            self.assertIn(part, err)
            self.assertEqual(json.loads(out)["status"] if code == 0 else out, 200 if code == 0 else "")
        self.assertEqual(self.paths(), ["/ok"])

    def test_waiting_may_end_first(self):
        self.add("send")
        done = self.home.cli("action", "run", "send", "--arg", "path=/ok", "--wait=100ms")
        self.assertEqual(done.code, PENDING, done.err)
        self.assertIn("aileron approval approve act-", done.out)
        self.assertIn("waits for a person and has not run", done.out)
        self.assertEqual(self.home.cli("action", "run", "send", "--wait=soon").code, 2)

    def test_waiting_may_end_while_it_runs(self):
        self.add("send")
        waiting = subprocess.Popen(self.home.command("action", "run", "send", "--arg", "path=/hold", "--wait=6s"), env=self.home.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        pending = wait_for(lambda: self.home.ok("approval", "list", "--json").lines, "an approval")[0]
        self.home.ok("approval", "approve", pending["id"], "--yes")
        out, err = waiting.communicate(timeout=30)
        self.assertEqual(waiting.returncode, PENDING, err)
        self.assertIn("was approved, runs and has not ended", out)
        self.assertIn(f"aileron runs show {pending['run_id']}", out)
        self.assertNotIn("aileron approval approve", out)
        self.service.hold.set()
        self.comes_to(pending["run_id"], "completed")

    def test_what_was_cut_off_may_have_run(self):
        self.add("send", gated=False)
        for cut in ("time", "interrupt", "kill", "kill"):  # the last finds the vault locked, and opens it
            self.service.asked.clear()
            flags = ("--timeout", "2s") if cut == "time" else ()
            running = subprocess.Popen(self.home.command("action", "run", "send", "--arg", "path=/hold", *flags), env=self.home.env,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
            self.assertTrue(self.service.asked.wait(20))
            if cut == "interrupt":
                running.send_signal(signal.SIGINT)
            elif cut == "kill":
                os.kill(self.home.discovery["pid"], signal.SIGKILL)
            out, err = running.communicate(timeout=60)
            self.assertEqual(out, "")
            self.assertIn("may have run" if cut == "interrupt" else "outcome_unknown: ", err)
            self.assertEqual(running.returncode, -signal.SIGINT if cut == "interrupt" else 1, err)
            newest = wait_for(lambda: (run := self.home.ok("runs", "--json").lines[0])["state"] != "running" and run, "the run to end", 20)
            self.assertEqual(newest["state"], "outcome_unknown")
        self.assertEqual(self.paths(), ["/hold"] * 4)

    def test_a_locked_vault_is_unlocked_before_it_runs(self):
        self.add("send", gated=False)
        self.home.ok("vault", "lock")
        refused = self.home.cli("action", "run", "send", "--arg", "path=/ok", env={"AILERON_VAULT_PASSPHRASE": ""})
        self.assertNotEqual(refused.code, 0, refused.out)
        person = Person(self.home, "action", "run", "send", "--arg", "path=/ok")
        person.see("Vault passphrase: ").type(PASSPHRASE + "\n").see("200")
        self.assertEqual(person.end(), 0)
        self.assertEqual(self.paths(), ["/ok"])

    def test_interrupting_the_wait_withdraws_nothing(self):
        self.add("send")
        waiting = subprocess.Popen(self.home.command("action", "run", "send", "--arg", "path=/ok", "--wait"), env=self.home.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertIn("waits for a person", waiting.stderr.readline())
        pending = self.home.ok("approval", "list", "--json").lines[0]
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=30)
        self.assertEqual(waiting.returncode, -signal.SIGINT)
        self.assertIn(f"aileron runs cancel {pending['run_id']}", err)
        self.assertEqual(self.home.ok("approval", "show", pending["id"], "--json").json["state"], "pending_approval")
        self.assertIn("cancelled", self.home.ok("runs", "cancel", pending["run_id"]).out)


class Deciding(Cli):
    def test_the_card(self):
        self.add("send")
        asked = self.ask()
        page = self.home.ok("approval", "show", asked["approval_id"]).out
        for part in ("Do send", "a person", "changes something", f"127.0.0.1:{self.service.port}", "work, with api_key/fixture/work",
                     "unsigned", "linked", "sha256:", f"https://127.0.0.1:{self.service.port}/ok", "expires in 23 h"):
            self.assertIn(part, page)
        self.assertIn(asked["approval_id"], self.home.ok("approval", "list").out)
        self.assertIn(asked["approval_id"], self.home.ok("approval", "show", asked["run_id"]).out)
        self.assertEqual(self.home.cli("approval", "show", "act-none").code, 1)

    def test_hostile_arguments_drive_nothing(self):
        self.add("send")
        value = "/\x1b[2J\u202etxt\n\nApproval      act-other\nAsked by      nobody" + "x" * 5000
        done = self.home.cli("action", "run", "send", "--args", json.dumps({"path": value}))
        self.assertEqual(done.code, PENDING, done.err)
        id = self.home.ok("approval", "list", "--json").lines[0]["id"]
        for flags in ((), ("--full",)):
            page = self.home.ok("approval", "show", id, *flags).out
            self.assertNotIn("\x1b", page)
            self.assertNotIn("\u202e", page)
            self.assertIn("\\x1b[2J\\u202etxt", page)
            self.assertEqual(sum(line.startswith("Approval") for line in page.splitlines()), 1)
            self.assertEqual(sum(line.startswith("Asked by") for line in page.splitlines()), 1)
            self.assertEqual("x" * 5000 in page, flags != ())
            self.assertEqual("more bytes" in page, flags == ())

    def test_approving_is_asked_about(self):
        self.add("send")
        asked = self.ask()
        without = self.home.cli("approval", "approve", asked["approval_id"])
        self.assertEqual(without.code, 2, without.out)
        self.assertIn("--yes", without.err)
        person = Person(self.home, "approval", "approve", asked["approval_id"])
        person.see("Do send").see("Approve send? [y/N]: ").type("n\n").see("cancelled")
        self.assertEqual(person.end(), 0)
        self.assertEqual(self.run_of(asked["run_id"])["state"], "pending_approval")
        person = Person(self.home, "approval", "approve", asked["approval_id"])
        person.see("[y/N]: ").type("y\n").see("Approved")
        self.assertEqual(person.end(), 0)
        self.comes_to(asked["run_id"], "completed")
        again = self.home.cli("approval", "approve", asked["approval_id"], "--yes")
        self.assertEqual(again.code, 1)
        self.assertIn("already_decided", again.err)
        self.assertIn("user", again.err)
        self.assertIn("already_decided", self.home.cli("approval", "deny", asked["approval_id"]).err)
        self.assertEqual(self.paths(), ["/ok"])

    def test_denied_with_a_reason(self):
        self.add("send")
        asked = self.ask()
        told = self.home.ok("approval", "deny", asked["approval_id"], "--reason", "not today", "--json").json
        self.assertEqual(told, {"id": asked["approval_id"], "run_id": asked["run_id"], "approved": False})
        run = self.run_of(asked["run_id"])
        self.assertEqual((run["state"], run["reason"]), ("denied", "not today"))
        self.assertIn("not today", self.home.ok("approval", "show", asked["approval_id"]).out)
        asked = self.ask()
        self.assertEqual(self.home.cli("approval", "deny", asked["approval_id"], "because no", "--reason", "not today").code, 2)
        self.home.ok("approval", "deny", asked["approval_id"], "because no")
        self.assertEqual(self.run_of(asked["run_id"])["reason"], "because no")

    def test_edited(self):
        self.add("send", editable=True)
        self.add("fixed")
        asked = self.ask()
        self.home.ok("approval", "approve", asked["approval_id"], "--edit", "path=/ok?edited", "--yes")
        run = self.comes_to(asked["run_id"], "completed")
        self.assertEqual((run["edited"], run["args"]), (True, {"path": "/ok?edited"}))
        self.assertEqual(self.paths(), ["/ok?edited"])
        asked = self.ask()
        page = self.home.ok("approval", "approve", asked["run_id"], "--args", '{"path":"/ok?2"}', "--yes").out
        self.assertIn("as you changed them", page)
        self.comes_to(asked["run_id"], "completed")
        fixed = self.ask("fixed")
        refused = self.home.cli("approval", "approve", fixed["approval_id"], "--edit", "path=/x", "--yes")
        self.assertEqual(refused.code, 2, refused.err)
        self.assertEqual(self.run_of(fixed["run_id"])["state"], "pending_approval")

    def test_a_locked_vault_is_unlocked_on_the_way(self):
        self.add("send")
        asked = self.ask()
        self.home.ok("vault", "lock")
        person = Person(self.home, "approval", "approve", asked["approval_id"])
        person.see("locked").see("[y/N]: ").type("y\n").see("Vault passphrase: ").type(PASSPHRASE + "\n").see("Approved")
        self.assertEqual(person.end(), 0)
        self.comes_to(asked["run_id"], "completed")
        asked = self.ask()
        self.home.ok("vault", "lock")
        refused = self.home.cli("approval", "approve", asked["approval_id"], "--yes", env={"AILERON_VAULT_PASSPHRASE": ""})
        self.assertEqual(refused.code, 77, refused.err)
        self.assertEqual(self.run_of(asked["run_id"])["state"], "pending_approval")

    def test_what_changed_is_refused(self):
        self.add("send")
        asked = self.ask()
        path = self.home.root / "send.md"
        path.write_text(path.read_text() + "\nmore\n")
        # Whichever the daemon has seen of it by now: what would run is not shown as what was asked for.
        page = wait_for(lambda: (out := self.home.ok("approval", "show", asked["approval_id"]).out) and "What happens" not in out and out,
                        "the change to be seen")
        self.assertRegex(page, "action|refused")
        done = self.home.cli("approval", "approve", asked["approval_id"], "--yes")
        self.assertEqual(done.code, 1, done.out)
        self.assertRegex(done.err, "approval_stale: .*is refused: .*action")
        self.assertEqual(self.run_of(asked["run_id"])["state"], "refused")
        self.assertEqual(self.paths(), [])


class Watching(Cli):
    def test_lines_into_a_pipe(self):
        self.add("send")
        first = self.ask()
        for flags in ((), ("--json",)):
            watch = subprocess.Popen(self.home.command("approval", "watch", *flags), env=self.home.env, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, start_new_session=True)
            lines = [watch.stdout.readline()]
            second = self.ask()  # the same digest: the same approval
            self.assertEqual(second["approval_id"], first["approval_id"])
            self.home.ok("approval", "deny", first["approval_id"])
            lines.append(watch.stdout.readline())
            watch.kill()
            watch.communicate()
            if flags:
                told = [json.loads(line) for line in lines]
                self.assertEqual([(one["event"], one["approval"]["id"]) for one in told],
                                 [("pending", first["approval_id"]), ("resolved", first["approval_id"])])
            else:
                self.assertRegex(lines[0], f"^pending  {first['approval_id']}  pending_approval  send  Do send")
                self.assertRegex(lines[1], f"^resolved  {first['approval_id']}  denied")
            first = self.ask()

    def test_it_outlives_the_daemon(self):
        self.add("send")
        first = self.ask()
        watch = subprocess.Popen(self.home.command("approval", "watch"), env=self.home.env, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.assertIn(first["approval_id"], watch.stdout.readline())
        for how in ("stopped", "killed"):
            if how == "stopped":
                self.home.ok("daemon", "stop")
            else:
                os.kill(self.home.discovery["pid"], signal.SIGKILL)
            self.assertIn("goes on when it runs again", watch.stderr.readline())
            self.home.start()
            self.assertRegex(watch.stdout.readline(), f"^pending  {first['approval_id']}")
        self.home.ok("approval", "deny", first["approval_id"])
        self.assertRegex(watch.stdout.readline(), f"^resolved  {first['approval_id']}  denied")
        watch.kill()
        watch.communicate()

    def test_a_person_whom_the_daemon_left_is_asked_again(self):
        self.add("send")
        first = self.ask()
        person = Person(self.home, "approval", "watch")
        person.see(first["approval_id"]).see("s(kip)? ")
        self.home.ok("daemon", "stop")
        person.type("a\n").see("goes on when it runs again")
        self.home.start()
        self.home.ok("vault", "unlock")
        person.see(first["approval_id"]).see("s(kip)? ").type("a\n").see("Approved")
        self.comes_to(first["run_id"], "completed")
        person.process.send_signal(signal.SIGINT)
        person.end()

    def test_a_person_decides_each(self):
        self.add("send")
        first = self.ask()
        person = Person(self.home, "approval", "watch")
        person.see("Do send").see(first["approval_id"]).see("s(kip)? ").type("what\n").see("s(kip)? ").type("a\n").see("Approved")
        self.comes_to(first["run_id"], "completed")
        second = self.ask()
        person.see(second["approval_id"]).see("s(kip)? ").type("d\n").see("Why").type("not now\n").see("Denied")
        self.assertEqual(self.comes_to(second["run_id"], "denied")["reason"], "not now")
        third = self.ask()
        person.see(third["approval_id"]).see("s(kip)? ")
        # Somebody else is quicker: this person is told.
        self.home.ok("approval", "deny", third["approval_id"])
        person.type("a\n").see("already_decided")
        fourth = self.ask()
        person.see(fourth["approval_id"]).see("s(kip)? ").type("s\n")
        self.assertEqual(self.run_of(fourth["run_id"])["state"], "pending_approval")
        person.process.send_signal(signal.SIGINT)
        person.end()
        self.assertEqual(self.paths(), ["/ok"])


class Confirming(Cli):
    config = "approvals:\n  confirm: passphrase\n"

    def test_the_passphrase_is_what_approves(self):
        self.add("send", editable=True)
        asked = self.ask()
        wrong = self.home.cli("approval", "approve", asked["approval_id"], "--yes", env={"AILERON_VAULT_PASSPHRASE": "wrong"})
        self.assertEqual(wrong.code, 77, wrong.err)
        self.assertEqual(self.run_of(asked["run_id"])["state"], "pending_approval")
        person = Person(self.home, "approval", "approve", asked["approval_id"], "--edit", "path=/ok?edited")
        person.see("[y/N]: ").type("y\n").see("Vault passphrase: ").type(PASSPHRASE + "\n").see("Approved")
        self.assertEqual(person.end(), 0)
        self.assertNotIn(PASSPHRASE, person.screen)
        self.comes_to(asked["run_id"], "completed")
        self.assertEqual(self.paths(), ["/ok?edited"])


class Granting(Cli):
    config = "approvals:\n  grants: true\n"

    def test_granted_and_revoked(self):
        self.add("send", grants=True)
        asked = self.ask()
        self.home.ok("approval", "approve", asked["approval_id"], "--grant", "--yes")
        self.comes_to(asked["run_id"], "completed")
        self.assertEqual(self.home.cli("action", "run", "send", "--arg", "path=/ok").code, 0)
        grant = self.home.ok("approval", "grants", "--json").lines[0]
        told = self.home.ok("approval", "grants").out
        self.assertRegex(told, f"{grant['id']} +send +user +.*127\\.0\\.0\\.1:{self.service.port}")
        self.home.ok("approval", "revoke", grant["id"])
        self.assertEqual(self.home.ok("approval", "grants", "--json").lines, [])
        self.ask()


if __name__ == "__main__":
    unittest.main()
