"""Runs of actions: at once, after a person's yes, and all that can come between."""
import base64
import concurrent.futures
import contextlib
import hashlib
import http.client
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemon import PASSPHRASE, Home, manifest_of, wait_for
from service import Service

FQN = "github://acme/fixture"


def action(name, port, *, gated=True, steps=None, editable=False, grants=False, preview="", inputs=("path", "note?"), hosts=True):
    """An action file over the fixture connector."""
    steps = steps or [{"id": "send", "op": "http_cred", "effect": "write"}]
    text = f"""+++
name = "{name}"
version = "1.0.0"
source = "github://acme/fixture/actions/{name}@1.0.0"

[[requires.connectors]]
name = "{FQN}"
version = "1.0.0"
hash = "sha256:bound-at-release"
capabilities = ["http_cred", "http", "echo", "slow"]
{f'hosts = ["127.0.0.1:{port}"]' if hosts is True else (f'hosts = {json.dumps(hosts)}' if hosts else '')}

[match]
intent = "send something"

"""
    for given in inputs:
        text += f"""[[inputs]]
name = "{given.rstrip('?')}"
type = "string"
required = {"false" if given.endswith("?") else "true"}
description = "an input"

"""
    text += f"[approval]\nrequired = {str(gated).lower()}\neditable = {str(editable).lower()}\ngrants = {str(grants).lower()}\n\n"
    text += preview
    for step in steps:
        text += f"""[[execute]]
id = "{step['id']}"
connector = "{FQN}"
op = "{step['op']}"
"""
        if "effect" in step:
            text += f"effect = \"{step['effect']}\"\n"
        if "idempotent" in step:
            text += f"idempotent = {str(step['idempotent']).lower()}\n"
        text += "\n[execute.inputs]\n"
        for key, value in step.get("inputs", {"url": f"https://127.0.0.1:{port}${{args.path}}", "credential": "api_key"}).items():
            text += f"{key} = {json.dumps(value)}\n"
        text += "\n"
    return text + f"+++\n\n# Do {name}\n\nSends a request.\n"


class Runs(unittest.TestCase):
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
        self.service.asked.clear()
        self.home = Home(ca=self.service.ca)
        self.addCleanup(self.home.__exit__)
        if self.config:
            self.home.state.mkdir(mode=0o700, exist_ok=True)
            (self.home.state / "config.yaml").write_text(self.config)
        self.addCleanup(self.tell_what_failed)
        self.home.init()
        self.home.link("fixture", manifest=manifest_of("fixture", self.service.port))
        self.home.ok("binding", "setup", FQN, "--identity", "work", "--value-file", "-", "--yes", stdin="the-value-1")
        self.folder = self.home.root / "actions"
        self.folder.mkdir()

    # ------------------------------------------------------------------------------------------------------------- helpers

    def tell_what_failed(self):
        """Why an attempt failed stands in the record alone."""
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            for line in self.home.cli("audit", "list", "--limit", "1000", "--json").lines:
                if line["event"]["event_type"] == "execution.failed":
                    print(json.dumps(line), file=sys.stderr)

    def write(self, name, **more):
        (self.folder / f"{name}.md").write_text(action(name, self.service.port, **more))

    def add(self, name, **more):
        self.write(name, **more)
        got = self.home.request("POST", "/v1/actions/link", {"path": str(self.folder / f"{name}.md")})
        self.assertEqual(got.status, 201, got.body)

    def run_action(self, name, status, path="/ok", **more):
        body = {"args": {"path": path, **more.pop("args", {})}, **more}
        got = self.home.request("POST", f"/v1/actions/{name}/run", body)
        self.assertEqual(got.status, status, got.body)
        return got.json

    def ask(self, name="send", **more):
        """A run that waits for a person; its approval's id"""
        return self.run_action(name, 202, **more)["approval_id"]

    def decide(self, approval, status=204, approved=True, **more):
        got = self.home.request("POST", f"/v1/action-approvals/{approval}/decide", {"approved": approved, **more})
        self.assertEqual(got.status, status, got.body)
        return got.json if got.body else None

    def show(self, id):
        got = self.home.request("GET", f"/v1/runs/{id}")
        self.assertEqual(got.status, 200, got.body)
        return got.json

    def state(self, id):
        return self.show(id)["state"]

    def comes_to(self, id, state, seconds=20):
        ended = ("completed", "failed", "denied", "expired", "refused", "cancelled", "outcome_unknown")
        run = wait_for(lambda: (run := self.show(id))["state"] in (state, *ended) and run, f"'{id}' to be {state}", seconds)
        self.assertEqual(run["state"], state, run)
        return run

    def paths(self):
        return [path for _, path, _, _ in self.service.seen]

    def types(self, run):
        return [event["event_type"] for event in reversed(self.home.events())
                if event["payload"].get("aileron.run.id") == run and event["event_type"] != "connector.event"]

    # ------------------------------------------------------------------------------------------------------------- at once

    def test_without_a_gate(self):
        self.add("send", gated=False)
        done = self.run_action("send", 200, call_id="call-1")
        self.assertEqual((done["status"], done["action"]), ("completed", "send"))
        self.assertEqual(set(done["steps"]), {"send"})
        run = self.show(done["run_id"])
        self.assertEqual((run["state"], run["output"]), ("completed", done["output"]))
        self.assertEqual([(a["step"], a["attempt"], a["effect"], a["binding"]) for a in run["attempts"]],
                         [("send", 1, "write", "api_key/fixture/work")])
        self.assertEqual(self.types(done["run_id"]), ["run.started", "execution.started", "execution.succeeded", "run.completed"])
        self.assertEqual(self.paths(), ["/ok"])
        # The same call again is the same run.
        again = self.run_action("send", 200, call_id="call-1")
        self.assertEqual(again, done)
        self.assertEqual(self.paths(), ["/ok"])
        listed = self.home.request("GET", "/v1/runs?action=send").json["items"]
        self.assertEqual([item["id"] for item in listed], [done["run_id"]])
        self.assertNotIn("attempts", listed[0])  # which does not say that there were none
        self.home.ok("audit", "verify")

    def test_arguments_are_checked_before_anything(self):
        self.add("send", gated=False)
        for args in ({"path": 7}, {"path": "/ok", "other": 1}, {}):
            got = self.home.request("POST", "/v1/actions/send/run", {"args": args})
            self.assertEqual(got.status, 400, got.body)
        self.assertEqual(self.home.request("POST", "/v1/actions/none/run", {}).status, 404)
        self.assertEqual(self.home.request("GET", "/v1/runs").json["items"], [])
        self.assertEqual(self.paths(), [])

    def test_what_a_person_is_to_read_has_an_end(self):
        self.add("send")
        got = self.home.request("POST", "/v1/actions/send/run", {"args": {"path": "/ok", "note": "x" * (64 << 10)}})
        self.assertEqual(got.status, 400, got.body)
        self.assertIn("64 KiB", got.json["error"]["message"])

    def test_a_preview_that_breaks_its_rules_is_not_run(self):
        preview = ('[approval.preview]\nop = "http_cred"\nargs = { url = "https://127.0.0.1:%d/ok?preview", credential = "api_key" }\n'
                   'render = { Status = "status" }\n\n' % self.service.port)
        self.add("send", preview=preview)
        approval = self.ask()
        card = wait_for(lambda: (card := self.home.request("GET", f"/v1/action-approvals/{approval}").json).get("preview") and card, "the preview")
        self.assertIn("unavailable", card["preview"])
        self.assertEqual(self.paths(), [])

    def test_dry_run(self):
        self.add("send")
        told = self.run_action("send", 200, dry_run=True)
        self.assertEqual((told["dry_run"], told["gated"]), (True, True))
        self.assertEqual(told["calls"][0]["binding"], "api_key/fixture/work")
        self.assertEqual(told["calls"][0]["arguments"]["url"], f"https://127.0.0.1:{self.service.port}/ok")
        self.assertEqual(self.home.request("GET", "/v1/runs").json["items"], [])

    def test_steps_pass_on_what_they_put_out(self):
        self.add("two", gated=False, steps=[
            {"id": "first", "op": "echo", "effect": "read", "inputs": {"value": "${args.path}"}},
            {"id": "second", "op": "http_cred", "effect": "write",
             "inputs": {"url": f"https://127.0.0.1:{self.service.port}${{first.value}}", "credential": "api_key"}}])
        done = self.run_action("two", 200, path="/ok?from=first")
        self.assertEqual(set(done["steps"]), {"first", "second"})
        self.assertEqual(self.paths(), ["/ok?from=first"])

    def test_an_action_reaches_less_than_its_connector_and_never_more(self):
        self.add("more", gated=False, hosts=["127.0.0.1:1"])
        got = self.home.request("POST", "/v1/actions/more/run", {"args": {"path": "/ok"}})
        self.assertEqual((got.status, got.json["error"]["class"], got.json["error"]["boundary"]), (403, "capability_denied", "action"))
        manifest = manifest_of("fixture", self.service.port).replace('hosts = [', 'hosts = ["127.0.0.1:1", ')
        self.home.link("fixture", manifest=manifest)
        self.add("less", gated=False, hosts=["127.0.0.1:1"])
        got = self.home.request("POST", "/v1/actions/less/run", {"args": {"path": "/ok"}})
        self.assertEqual((got.status, got.json["error"]["class"]), (403, "capability_denied"), got.body)
        self.assertEqual(got.json["error"]["details"]["rule"], "subset")
        self.assertEqual(self.paths(), [])

    # -------------------------------------------------------------------------------------------------------- a person says

    def test_approved(self):
        self.add("send")
        waits = self.run_action("send", 202)
        approval = waits["approval_id"]
        self.assertRegex(approval, r"^act-\d{8}T\d{6}-[0-9a-f]{16}$")
        self.assertIn(approval, waits["review_url"])
        card = self.home.request("GET", f"/v1/action-approvals/{approval}").json
        self.assertEqual((card["state"], card["title"], card["vault_locked"]), ("pending_approval", "Do send", False))
        self.assertEqual(card["steps"][0]["hosts"], [f"127.0.0.1:{self.service.port}"])
        self.assertEqual(card["steps"][0]["identity"], "work")
        self.assertEqual([item["id"] for item in self.home.request("GET", "/v1/action-approvals").json["items"]], [approval])
        self.assertEqual(self.paths(), [])
        self.decide(approval)
        run = self.comes_to(waits["run_id"], "completed")
        self.assertEqual(self.paths(), ["/ok"])
        self.assertEqual(run["decided_by"], "user")
        self.assertEqual(self.types(run["id"]), ["approval.requested", "approval.approved", "run.started", "execution.started",
                                                 "execution.succeeded", "run.completed"])
        result = self.home.request("GET", f"/v1/action-approvals/{approval}/result").json
        self.assertEqual(result["status"], "completed")
        self.assertEqual(json.loads(result["result"])["action"], "send")
        # Once.
        self.assertEqual(self.decide(approval, 409)["error"]["code"], "already_decided")
        self.assertEqual(self.paths(), ["/ok"])
        self.assertEqual(self.home.request("GET", "/v1/action-approvals").json["items"], [])

    def test_who_waits_leaves_room_for_the_decision(self):
        self.add("send")
        approval = self.ask()
        told = []

        def wait():
            told.append(self.home.request("POST", "/v1/actions/send/run", {"args": {"path": "/ok"}, "wait_ms": 60000}).status)
        threads = [threading.Thread(target=wait) for _ in range(40)]
        for thread in threads:
            thread.start()
        # Those for whom there is no room are answered at once, and the others hold too few to be in anybody's way.
        wait_for(lambda: len(told) == 32, "the answers of those who cannot wait")
        self.assertEqual(set(told), {202})
        # The command line, for which there is none either, hears of it all the same.
        waiting = subprocess.Popen(self.home.command("action", "run", "send", "--arg", "path=/own", "--wait=1h"), env=self.home.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        own = wait_for(lambda: [item["id"] for item in self.home.request("GET", "/v1/action-approvals").json["items"]
                                if item["id"] != approval], "its approval")[0]
        self.decide(own, approved=False)
        self.assertIn("approval_denied", waiting.communicate(timeout=30)[1])
        self.assertEqual(len(told), 32)
        self.decide(approval, approved=False)
        for thread in threads:
            thread.join()
        self.assertNotIn(202, told[32:])

    def test_who_joined_a_request_hears_of_its_end_and_asks_for_nothing_anew(self):
        self.add("send")
        other, waits = self.ask(), self.run_action("send", 202, path="/ok?joined")
        # All the room there is: the command line looks now and then, and most of the time the end falls in between.
        told = []
        threads = [threading.Thread(target=lambda: told.append(self.run_action("send", 200, wait_ms=60000))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            waiting = subprocess.Popen(self.home.command("action", "run", "send", "--arg", "path=/ok?joined", "--wait=1h"), env=self.home.env,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertIn(waits["approval_id"], waiting.stderr.readline())
            self.decide(waits["approval_id"])
            self.comes_to(waits["run_id"], "completed")
            out, err = waiting.communicate(timeout=30)
            self.assertEqual((waiting.returncode, err), (0, ""), out)
            self.assertEqual([item["id"] for item in self.home.request("GET", "/v1/action-approvals").json["items"]], [other])
            waits = self.run_action("send", 202, path="/ok?joined")
        self.decide(waits["approval_id"], approved=False)
        self.decide(other)
        for thread in threads:
            thread.join()
        self.assertEqual(len(told), 8)

    def test_a_run_is_waited_for_by_its_id(self):
        self.add("send")
        self.add("other")
        waits = self.run_action("send", 202)
        ask = lambda action, **body: self.home.request("POST", f"/v1/actions/{action}/run", body)
        again = ask("send", run_id=waits["run_id"], wait_ms=10)
        self.assertEqual((again.status, again.json["approval_id"]), (202, waits["approval_id"]))
        self.decide(waits["approval_id"])
        ended = ask("send", run_id=waits["run_id"], wait_ms=60000)
        self.assertEqual((ended.status, ended.json["status"], ended.json["run_id"]), (200, "completed", waits["run_id"]))
        self.assertEqual(ask("other", run_id=waits["run_id"]).status, 404)
        for nobodys in ("01ARZ3NDEKTSV4RRFFQ69G5FAV", ""):
            self.assertEqual(ask("send", run_id=nobodys).status, 404)
        for more in ({"args": {"path": "/ok"}}, {"call_id": "c"}, {"dry_run": False}):
            self.assertEqual(ask("send", run_id=waits["run_id"], **more).status, 400)
        self.assertEqual(len(self.home.request("GET", "/v1/runs").json["items"]), 1)

    def test_a_call_that_joined_a_request_finds_its_run_after_the_end(self):
        self.add("send")
        waits = self.run_action("send", 202, call_id="call-1")
        self.assertEqual(self.run_action("send", 202, call_id="call-2")["run_id"], waits["run_id"])
        self.home.ok("daemon", "restart")
        self.home.ok("vault", "unlock")
        self.decide(waits["approval_id"])
        self.comes_to(waits["run_id"], "completed")
        for call in ("call-1", "call-2"):
            told = self.run_action("send", 200, call_id=call)
            self.assertEqual((told["status"], told["run_id"]), ("completed", waits["run_id"]))
        self.assertEqual(self.paths(), ["/ok"])
        self.assertEqual(len(self.home.request("GET", "/v1/runs").json["items"]), 1)

    def test_denied(self):
        self.add("send")
        approval = self.ask()
        self.decide(approval, approved=False, reason="not today")
        result = self.home.request("GET", f"/v1/action-approvals/{approval}/result").json
        self.assertEqual((result["status"], result["reason"], result["failure"]["class"]), ("denied", "not today", "approval_denied"))
        self.assertEqual(result["failure"]["details"]["ran"], "no")
        told = self.decide(approval, 409)["error"]
        self.assertEqual(told["code"], "already_decided")
        self.assertIn("denied by 'user'", told["message"])
        self.assertEqual(self.paths(), [])

    def test_two_decide_at_once(self):
        self.add("send")
        for _ in range(5):
            self.service.seen.clear()
            approval = self.ask()
            start = threading.Barrier(4)
            got = []

            def one(yes):
                start.wait()
                got.append((yes, self.home.request("POST", f"/v1/action-approvals/{approval}/decide", {"approved": yes}).status))
            threads = [threading.Thread(target=one, args=(k % 2 == 0,)) for k in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(status for _, status in got), [204, 409, 409, 409], got)
            won = next(yes for yes, status in got if status == 204)
            self.comes_to(approval, "completed" if won else "denied")
            self.assertEqual(len(self.paths()), 1 if won else 0)

    def test_edited(self):
        self.add("send", editable=True)
        self.add("fixed")
        approval = self.ask()
        self.assertEqual(self.decide(approval, 400, edited_payload={"path": 5})["error"]["code"], "invalid_request")
        before = self.home.request("GET", f"/v1/action-approvals/{approval}").json["digest"]
        self.decide(approval, edited_payload={"path": "/ok?edited=1"})
        run = self.comes_to(approval, "completed")
        self.assertTrue(run["edited"])
        self.assertEqual(self.paths(), ["/ok?edited=1"])
        self.assertNotEqual(before, self.home.request("GET", f"/v1/action-approvals/{approval}").json["digest"])
        self.assertIn("approval.modified", self.types(run["id"]))
        fixed = self.ask("fixed")
        self.decide(fixed, 400, edited_payload={"path": "/other"})
        self.assertEqual(self.state(fixed), "pending_approval")

    def test_the_same_waits_once(self):
        self.add("send")
        first = self.ask()
        self.assertEqual(self.ask(), first)
        other = self.ask(path="/ok?2")
        self.assertNotEqual(other, first)
        for k in range(18):
            self.ask(path=f"/ok?more={k}")
        got = self.home.request("POST", "/v1/actions/send/run", {"args": {"path": "/ok?one-too-many"}})
        self.assertEqual(got.status, 429, got.body)
        self.decide(first, approved=False)
        self.assertNotEqual(self.ask(), first)

    def test_the_vault_is_locked(self):
        self.add("send")
        approval = self.ask()
        self.home.ok("vault", "lock")
        refused = self.decide(approval, 409)["error"]
        self.assertEqual(refused["code"], "vault_locked")
        self.assertEqual(self.state(approval), "pending_approval")
        self.assertTrue(self.home.request("GET", f"/v1/action-approvals/{approval}").json["vault_locked"])
        self.home.ok("vault", "unlock")
        self.decide(approval)
        self.comes_to(approval, "completed")

    def test_what_was_approved_and_has_not_ended_says_so(self):
        self.add("send")
        waits = self.run_action("send", 202, path="/hold", call_id="call-1")
        self.assertEqual(waits["state"], "pending_approval")
        self.decide(waits["approval_id"])
        self.assertTrue(self.service.asked.wait(20))
        runs = self.run_action("send", 202, path="/hold", call_id="call-1")
        self.assertEqual((runs["run_id"], runs["status"], runs["state"]), (waits["run_id"], "pending_approval", "running"))
        self.service.hold.set()
        self.comes_to(waits["run_id"], "completed")

    def test_something_changed(self):
        self.add("send")
        for change in ("action", "manifest", "wasm"):
            approval = self.ask()
            if change == "action":
                with open(self.folder / "send.md", "a") as file:
                    file.write("\nMore.\n")
            elif change == "manifest":
                with open(self.home.root / "connector-fixture" / "manifest.toml", "a") as file:
                    file.write("\n# more\n")
            else:
                # A custom section of no consequence: name "x", no bytes.
                with open(self.home.root / "connector-fixture" / "connector.wasm", "ab") as file:
                    file.write(b"\x00\x02\x01x")
            told = self.decide(approval, 409)["error"]  # whoever saw the change first
            self.assertEqual(told["code"], "approval_stale", told)
            run = self.comes_to(approval, "refused")
            self.assertTrue("file" in run["reason"] or "fixture" in run["reason"], run["reason"])
            result = self.home.request("GET", f"/v1/action-approvals/{approval}/result").json
            self.assertEqual(result["failure"]["class"], "approval_stale")
            self.assertEqual(self.paths(), [])

    def test_a_change_is_seen_without_a_decision(self):
        self.add("send")
        approval = self.ask()
        with open(self.folder / "send.md", "a") as file:
            file.write("\nMore.\n")
        self.comes_to(approval, "refused")

    # ------------------------------------------------------------------------------------------------------------ cancelled

    def cancel(self, id, status=200):
        got = self.home.request("POST", f"/v1/runs/{id}/cancel", {})
        self.assertEqual(got.status, status, got.body)
        return got.json

    def two_connectors(self, name, gated):
        """An action whose first step holds and whose second is another connector's; the second's module"""
        second = "github://acme/second"
        self.home.link("fixture", manifest=manifest_of("second", self.service.port), folder="second")
        self.home.ok("binding", "setup", second, "--identity", "work", "--value-file", "-", "--yes", stdin="the-value-2")
        text = action(name, self.service.port, gated=gated, steps=[
            {"id": "send", "op": "http_cred", "effect": "write"},
            {"id": "after", "op": "echo", "effect": "write", "inputs": {"value": "${args.path}"}}])
        requires = text[text.index("[[requires"):text.index("[match]")]
        text = text.replace("[match]", requires.replace(FQN, second) + "[match]", 1)
        text = text.replace(f'id = "after"\nconnector = "{FQN}"', f'id = "after"\nconnector = "{second}"')
        (self.folder / f"{name}.md").write_text(text)
        got = self.home.request("POST", "/v1/actions/link", {"path": str(self.folder / f"{name}.md")})
        self.assertEqual(got.status, 201, got.body)
        return self.home.root / "connector-second" / "connector.wasm"

    def test_a_run_ends_on_the_bytes_that_it_was_claimed_with(self):
        module = self.two_connectors("two", gated=True)
        whole = module.read_bytes()
        approval = self.ask("two", path="/hold")
        self.decide(approval)
        self.assertTrue(self.service.asked.wait(20))
        module.write_bytes(b"no module any more")  # the same file, which nobody has loaded yet
        self.service.hold.set()
        self.comes_to(approval, "completed")
        module.write_bytes(whole)

    def test_a_run_without_a_gate_ends_on_the_bytes_that_it_began_with(self):
        module = self.two_connectors("two", gated=False)
        done = []
        asker = threading.Thread(target=lambda: done.append(
            self.home.request("POST", "/v1/actions/two/run", {"args": {"path": "/hold"}})))
        asker.start()
        self.assertTrue(self.service.asked.wait(20))
        module.write_bytes(b"no module any more")
        self.service.hold.set()
        asker.join()
        self.assertEqual(done[0].status, 200, done[0].body)

    def test_cancelled_before(self):
        self.add("send")
        approval = self.ask()
        self.assertEqual(self.cancel(approval)["state"], "cancelled")
        self.cancel(approval, 409)
        self.decide(approval, 409)
        self.assertEqual(self.paths(), [])

    def test_cancelled_while_a_step_that_changes_something_is_under_way(self):
        self.add("send")
        approval = self.ask(path="/hold")
        self.decide(approval)
        self.assertTrue(self.service.asked.wait(20))
        self.cancel(approval)
        run = self.comes_to(approval, "outcome_unknown")
        self.assertEqual(run["error"]["details"]["ran"], "maybe")
        self.assertEqual(self.paths(), ["/hold"])

    def test_cancelled_while_a_step_that_reads_is_under_way(self):
        self.add("send", steps=[{"id": "look", "op": "http_cred", "effect": "read"}])
        approval = self.ask(path="/hold")
        self.decide(approval)
        self.assertTrue(self.service.asked.wait(20))
        self.cancel(approval)
        self.comes_to(approval, "cancelled")

    def test_who_asked_is_gone(self):
        """That withdraws what asks nobody, and no approval."""
        self.add("send", gated=False)
        self.add("ask")
        where = self.home.discovery
        address = urllib.parse.urlsplit(where["url"])
        for name, path in (("send", "/hold"), ("ask", "/ok")):
            conn = http.client.HTTPConnection(address.hostname, address.port)
            conn.request("POST", f"/v1/actions/{name}/run", json.dumps({"args": {"path": path}, "wait_ms": 60000}),
                         {"Authorization": "Bearer " + where["token"], "Content-Type": "application/json"})
            if name == "send":
                self.assertTrue(self.service.asked.wait(20))
            else:
                wait_for(lambda: self.home.request("GET", "/v1/action-approvals").json["items"], "the approval")
            conn.close()
        send = self.home.request("GET", "/v1/runs?action=send").json["items"][0]
        self.comes_to(send["id"], "outcome_unknown")
        approval = self.home.request("GET", "/v1/action-approvals").json["items"][0]["id"]
        self.decide(approval)
        self.comes_to(approval, "completed")

    # ------------------------------------------------------------------------------------------------------------- retried

    def test_nothing_that_may_have_run_is_tried_again(self):
        self.add("send", gated=False)
        got = self.home.request("POST", "/v1/actions/send/run", {"args": {"path": "/close"}})
        self.assertEqual(got.status, 500, got.body)
        error = got.json["error"]
        self.assertEqual((error["class"], error["details"]["cause"], error["details"]["ran"]), ("outcome_unknown", "network_error", "maybe"))
        self.assertEqual(self.paths(), ["/close"])

    def test_what_may_run_twice_is_tried_again(self):
        self.add("send", gated=False, steps=[{"id": "send", "op": "http_cred", "effect": "write", "idempotent": True}])
        start = time.monotonic()
        got = self.home.request("POST", "/v1/actions/send/run", {"args": {"path": "/close"}})
        self.assertGreater(time.monotonic() - start, 6.9)
        self.assertEqual(got.status, 502, got.body)
        self.assertEqual(len(self.paths()), 4)
        self.assertEqual(got.json["error"]["details"]["retried"], 3)
        run = self.home.request("GET", "/v1/runs").json["items"][0]
        self.assertEqual([a["attempt"] for a in self.show(run["id"])["attempts"]], [1, 2, 3, 4])
        self.assertEqual(self.types(run["id"])[-1], "run.failed")

    def test_a_service_that_is_away_was_never_asked(self):
        with socket.create_server(("127.0.0.1", 0)) as away:
            port = away.getsockname()[1]
        self.home.ok("binding", "revoke", "api_key/fixture/work", "--yes")
        self.home.link("fixture", manifest=manifest_of("fixture", port))
        self.home.ok("binding", "setup", FQN, "--identity", "work", "--value-file", "-", "--yes", stdin="the-value-1")
        (self.folder / "send.md").write_text(action("send", port, gated=False))
        got = self.home.request("POST", "/v1/actions/link", {"path": str(self.folder / "send.md")})
        self.assertEqual(got.status, 201, got.body)
        got = self.home.request("POST", "/v1/actions/send/run", {"args": {"path": "/ok"}})
        self.assertEqual(got.status, 502, got.body)
        details = got.json["error"]["details"]
        self.assertEqual((details["retried"], details["unsent"], details["ran"]), (3, 1, "no"), got.body)

    # ------------------------------------------------------------------------------------------------ not to be written down

    @contextlib.contextmanager
    def without_room(self):
        """No file of the service's grows."""
        limits = resource.prlimit(self.home.process("control"), resource.RLIMIT_FSIZE)
        resource.prlimit(self.home.process("control"), resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            yield
        finally:
            resource.prlimit(self.home.process("control"), resource.RLIMIT_FSIZE, limits)

    def test_an_end_that_cannot_be_written_down_is_not_told_as_one(self):
        for effect in ("write", "read"):
            self.add(f"send-{effect}", gated=False, steps=[{"id": "send", "op": "http_cred", "effect": effect}])
            self.service.asked.clear()
            self.service.hold.clear()
            with concurrent.futures.ThreadPoolExecutor(1) as threads:
                asked = threads.submit(self.home.request, "POST", f"/v1/actions/send-{effect}/run", {"args": {"path": "/hold"}})
                self.assertTrue(self.service.asked.wait(20))
                with self.without_room():
                    self.service.hold.set()
                    got = asked.result(60)
                    self.assertGreaterEqual(got.status, 400, got.body)
                    told = got.json["error"]
                    self.assertEqual((told["class"], told["details"]["ran"]), ("outcome_unknown", "maybe"))
                    self.assertEqual(self.state(told["details"]["run_id"]), "running")
            # With room again it is written as it was told; nobody starts anything for that.
            run = self.comes_to(told["details"]["run_id"], "outcome_unknown")
            self.assertIn("could not be recorded", run["error"]["message"])
            self.assertEqual(run["attempts"][-1]["class"], "outcome_unknown")
            self.assertIn("ended_at", run["attempts"][-1])
        self.home.ok("audit", "verify")

    def test_what_was_written_nowhere_is_written_when_there_is_room(self):
        self.add("look", gated=False, steps=[{"id": "look", "op": "http", "effect": "read",
                                              "inputs": {"url": f"https://127.0.0.1:{self.service.port}${{args.path}}"}}])
        self.run_action("look", 200, path="/ok?first")
        with self.without_room():
            got = self.home.request("POST", "/v1/actions/look/run", {"args": {"path": "/ok?second"}})
            self.assertGreaterEqual(got.status, 400, got.body)
            told = got.json["error"]
            self.assertEqual((told["class"], told["details"]["ran"]), ("outcome_unknown", "maybe"))
        wait_for(lambda: self.home.request("GET", f"/v1/runs/{told['details']['run_id']}").status == 200, "the row")
        self.assertEqual(self.state(told["details"]["run_id"]), "outcome_unknown")
        self.assertEqual(self.types(told["details"]["run_id"]), ["run.started", "run.outcome_unknown"])
        self.home.ok("audit", "verify")

    def test_an_end_that_is_not_written_before_a_kill_is_unknown(self):
        self.add("send", gated=False)
        self.service.hold.clear()
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            asked = threads.submit(self.home.request, "POST", "/v1/actions/send/run", {"args": {"path": "/hold"}})
            self.assertTrue(self.service.asked.wait(20))
            with self.without_room():
                self.service.hold.set()
                told = asked.result(60).json["error"]
                self.assertEqual(self.state(told["details"]["run_id"]), "running")
                self.kill()
        run = self.comes_to(told["details"]["run_id"], "outcome_unknown")
        self.assertEqual(run["error"]["details"]["reason"], "interrupted")
        self.home.ok("audit", "verify")

    # ---------------------------------------------------------------------------------------------------------------- killed

    def kill(self):
        """Control, at once; the parent starts another."""
        pid = self.home.process("control")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.home.cli("status", "--json").code == 0 and self.home.process("control") not in (None, pid),
                 "another control")

    def test_killed_while_it_waits(self):
        self.add("send")
        approval = self.ask()
        self.kill()
        self.assertEqual(self.state(approval), "pending_approval")
        self.decide(approval)
        self.comes_to(approval, "completed")

    def test_killed_while_it_runs(self):
        for effect in ("write", "read"):
            self.service.seen.clear()
            self.service.asked.clear()
            name = f"send-{effect}"
            self.add(name, steps=[{"id": "send", "op": "http_cred", "effect": effect}])
            approval = self.ask(name, path="/hold")
            self.decide(approval)
            self.assertTrue(self.service.asked.wait(20))
            self.kill()
            run = self.comes_to(approval, "outcome_unknown")
            details = run["error"]["details"]
            self.assertEqual((run["error"]["class"], details["step"], details["ran"]), ("outcome_unknown", "send", "maybe"))
            self.assertEqual(self.paths(), ["/hold"])
            self.assertEqual(run["attempts"][-1]["class"], "outcome_unknown")
        self.home.ok("audit", "verify")

    def test_restarted_when_all_is_over(self):
        self.add("send")
        approval = self.ask()
        self.decide(approval)
        self.comes_to(approval, "completed")
        self.home.ok("daemon", "stop")
        self.home.start()
        self.assertEqual(self.state(approval), "completed")
        self.assertEqual(self.paths(), ["/ok"])

    # ---------------------------------------------------------------------------------------- between decision and claim

    def fill_executors(self):
        """As many runs that hold as there are threads for them, and one more that was approved and waits for its turn"""
        self.add("send")
        held = [self.ask(path=f"/hold?{k}") for k in range(8)]
        for approval in held:
            self.decide(approval)
        wait_for(lambda: len(self.service.seen) == 8, "eight requests")
        queued = self.ask(path="/ok?queued")
        self.decide(queued)
        self.assertEqual(self.state(queued), "queued")
        return held, queued

    def test_locked_between_decision_and_claim(self):
        held, queued = self.fill_executors()
        self.home.ok("vault", "lock")
        self.service.hold.set()
        for approval in held:
            self.comes_to(approval, "completed")
        self.comes_to(queued, "awaiting_vault")
        self.assertNotIn("/ok?queued", self.paths())
        self.home.ok("vault", "unlock")
        self.comes_to(queued, "completed")
        self.assertEqual(self.paths().count("/ok?queued"), 1)

    def test_changed_between_decision_and_claim(self):
        held, queued = self.fill_executors()
        with open(self.folder / "send.md", "a") as file:
            file.write("\nMore.\n")
        self.service.hold.set()
        run = self.comes_to(queued, "refused")
        self.assertIn("the action's file", run["reason"])
        for approval in held:  # on the bytes that they were claimed with
            self.comes_to(approval, "completed")
        self.assertNotIn("/ok?queued", self.paths())

    def test_what_is_bound_anew_is_not_used_by_what_was_approved_before(self):
        def step(id, path):
            return {"id": id, "op": "http_cred", "effect": "write",
                    "inputs": {"url": f"https://127.0.0.1:{self.service.port}{path}", "credential": "api_key"}}
        self.add("send", steps=[step("first", "/hold?first"), step("second", "/ok?second")])
        approval = self.ask()
        self.decide(approval)
        self.assertTrue(self.service.asked.wait(20))
        self.home.ok("binding", "rebind", "api_key/fixture/work", "--value-file", "-", "--yes", stdin="another-value")
        self.service.hold.set()
        run = self.comes_to(approval, "failed")
        self.assertEqual((run["error"]["class"], run["error"]["details"]["step"], run["error"]["details"]["ran"]),
                         ("binding_failed", "second", "yes"))
        self.assertEqual(self.paths(), ["/hold?first"])
        again = self.ask()
        self.decide(again)
        self.comes_to(again, "completed")

    def test_a_keeper_that_is_away_refuses_nothing(self):
        held, queued = self.fill_executors()
        waiting = self.ask(path="/ok?waiting")
        keeper = self.home.process("keeper")
        os.kill(keeper, signal.SIGSTOP)
        try:
            self.service.hold.set()
            for approval in held:
                self.comes_to(approval, "completed")
            self.decide(waiting, 503)
            self.assertEqual((self.state(waiting), self.state(queued)), ("pending_approval", "queued"))
        finally:
            os.kill(keeper, signal.SIGCONT)
        self.comes_to(queued, "completed")
        self.decide(waiting)
        self.comes_to(waiting, "completed")
        self.assertEqual(self.paths().count("/ok?queued"), 1)

    def test_what_waits_for_the_vault_is_told(self):
        held, queued = self.fill_executors()
        self.assertEqual(self.home.request("GET", "/v1/action-approvals").json["awaiting_vault"], 0)
        self.home.ok("vault", "lock")
        self.service.hold.set()
        self.comes_to(queued, "awaiting_vault")
        self.assertEqual(self.home.request("GET", "/v1/action-approvals").json["awaiting_vault"], 1)
        status = self.home.request("GET", "/v1/status").json
        self.assertEqual((status["action_count"], status["approval_count"], status["awaiting_vault_count"]), (1, 0, 1))
        self.assertRegex(self.home.ok("status").out, "Approved runs +1 wait for the vault: 'aileron vault unlock'")
        self.assertIn("wait for the vault: 1;", self.home.ok("approval", "list").err)
        self.home.ok("vault", "unlock")
        self.comes_to(queued, "completed")
        self.assertNotIn("wait for the vault", self.home.ok("status").out)

    def test_cancelled_between_decision_and_claim(self):
        held, queued = self.fill_executors()
        self.cancel(queued)
        self.service.hold.set()
        for approval in held:
            self.comes_to(approval, "completed")
        self.comes_to(queued, "cancelled")
        self.assertNotIn("/ok?queued", self.paths())

    def test_a_cancel_that_cannot_be_written_down_is_none(self):
        _, queued = self.fill_executors()
        with self.without_room():
            self.service.hold.set()  # from now on an executor has it, and cannot claim it
            until = time.monotonic() + 3
            while time.monotonic() < until:
                self.cancel(queued, 500)
        self.comes_to(queued, "completed")
        self.assertEqual(self.paths().count("/ok?queued"), 1)

    def test_killed_between_decision_and_claim(self):
        held, queued = self.fill_executors()
        self.kill()
        for approval in held:
            self.comes_to(approval, "outcome_unknown")
        self.comes_to(queued, "completed")
        self.assertEqual(len(self.paths()), 9)
        self.home.ok("audit", "verify")

    def test_a_stop_lets_what_runs_end(self):
        self.add("send")
        approval = self.ask(path="/hold")
        self.decide(approval)
        self.assertTrue(self.service.asked.wait(20))
        stop = threading.Thread(target=self.home.cli, args=("daemon", "stop"))
        stop.start()
        wait_for(lambda: "control_stopping" in (self.home.state / "daemon.log").read_text(), "the stop to begin")
        self.service.hold.set()
        stop.join()
        self.home.start()
        self.assertEqual(self.state(approval), "completed")

    # ------------------------------------------------------------------------------------------------------------- watching

    def test_watched(self):
        self.add("send")
        where = self.home.discovery
        curl = subprocess.Popen(["curl", "-sN", "-H", f"Authorization: Bearer {where['token']}",
                                 where["url"] + "/v1/action-approvals/watch"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(curl.kill)

        def event():
            name = curl.stdout.readline().strip()
            data = curl.stdout.readline().strip()
            curl.stdout.readline()
            return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))
        self.assertEqual(event(), ("snapshot", {"items": [], "awaiting_vault": 0}))
        approval = self.ask()
        name, card = event()
        self.assertEqual((name, card["id"], card["steps"][0]["op"]), ("pending", approval, "http_cred"))
        self.decide(approval, approved=False, reason="no")
        name, told = event()
        self.assertEqual((name, told["id"], told["approved"], told["reason"]), ("resolved", approval, False, "no"))
        curl.terminate()
        curl.wait()
        curl.stdout.close()

    def test_who_signed_out_watches_no_more(self):
        where = self.home.discovery
        code = urllib.parse.urlsplit(self.home.ok("open", "--print").out.strip().splitlines()[-1]).fragment.removeprefix("code=")
        given = self.home.request("POST", "/v1/person/tokens", {"code": code}, token="", headers={"Origin": where["url"]})
        token, streams = given.json["token"], []
        for path in ("/v1/action-approvals/watch", "/v1/audit/tail"):
            watching = http.client.HTTPConnection(urllib.parse.urlsplit(where["url"]).netloc, timeout=10)  # less than a heartbeat
            self.addCleanup(watching.close)
            watching.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            streams.append(watching.getresponse())
            self.assertEqual(streams[-1].status, 200)
        self.assertEqual(self.home.request("DELETE", "/v1/person/tokens/current", token=token).status, 204)
        for stream in streams:
            stream.read()  # to its end

    def add_previewed(self, path, render='"Status" = "status"'):
        """What a preview may run is what some action calls without asking."""
        self.add("look", gated=False, steps=[{"id": "look", "op": "http", "effect": "read", "idempotent": True,
                                              "inputs": {"url": f"https://127.0.0.1:{self.service.port}${{args.path}}"}}])
        self.add("send", preview=f"""[approval.preview]
op = "http"
args = {{ url = "https://127.0.0.1:{self.service.port}{path}" }}
render = {{ {render} }}

""")

    def test_a_dry_run_tells_what_a_person_would_be_given(self):
        self.add_previewed("/ok?preview", '"Status" = "status", "Nothing" = "there.is.none"')
        told = self.run_action("send", 200, dry_run=True)
        self.assertEqual((told["editable"], told["expires_in_s"]), (False, 24 * 3600))
        self.assertEqual(told["preview"], {"op": "http", "labels": ["Status", "Nothing"],
                                           "arguments": {"url": f"https://127.0.0.1:{self.service.port}/ok?preview"}})
        page = self.home.ok("action", "run", "send", "--arg", "path=/ok", "--dry-run").out
        for part in ("24 h", "stay as they are", "Status, Nothing", "/ok?preview"):
            self.assertIn(part, page)
        # What nobody would be asked for has neither time nor preview.
        told = self.run_action("look", 200, dry_run=True)
        self.assertEqual([name for name in ("expires_in_s", "preview") if name in told], [])
        # Without the action that says so, the operation is not known to be harmless.
        self.home.ok("action", "unlink", str(self.folder / "look.md"))
        told = self.run_action("send", 200, dry_run=True)
        self.assertNotIn("arguments", told["preview"])
        self.assertIn("idempotent", told["preview"]["problem"])
        self.assertIn("idempotent", self.home.ok("action", "run", "send", "--arg", "path=/ok", "--dry-run").out)
        self.assertEqual(self.paths(), [])

    def test_previewed(self):
        self.add_previewed("/ok?preview", '"Status" = "status", "Nothing" = "there.is.none"')
        approval = self.ask()
        card = wait_for(lambda: (card := self.home.request("GET", f"/v1/action-approvals/{approval}").json).get("preview") and card,
                        "the preview")
        self.assertEqual(card["preview"]["fields"][0], {"label": "Status", "value": "200"}, card["preview"])
        self.assertTrue(card["preview"]["fields"][1]["missing"])
        self.assertEqual(self.paths(), ["/ok?preview"])
        self.decide(approval, approved=False)
        self.assertNotIn("preview", self.home.request("GET", f"/v1/action-approvals/{approval}").json)
        denied = [e for e in self.home.events() if e["event_type"] == "approval.denied"][0]
        self.assertRegex(denied["payload"]["aileron.approval.preview_sha256"], "^[0-9a-f]{64}$")

    def test_a_preview_that_a_kill_came_between_is_fetched_at_the_start(self):
        self.add_previewed("/hold?preview")
        approval = self.ask()
        self.assertTrue(self.service.asked.wait(20))
        card = self.home.request("GET", f"/v1/action-approvals/{approval}").json
        self.assertNotIn("preview", card)
        self.assertTrue(card["preview_awaited"])
        self.assertIn("not fetched yet", self.home.ok("approval", "show", approval).out)
        self.kill()
        self.service.hold.set()
        card = wait_for(lambda: (card := self.home.request("GET", f"/v1/action-approvals/{approval}").json).get("preview") and card,
                        "the preview")
        self.assertEqual(card["preview"]["fields"], [{"label": "Status", "value": "200"}])
        self.assertNotIn("preview_awaited", card)

    def test_settings_that_decide_who_is_asked_refuse_what_waits(self):
        self.add("send")
        approval = self.ask()
        said = self.home.ok("config", "set", "approvals.expiry", "48h").out
        self.assertIn("into effect", said)
        self.assertNotIn("refuses", said)
        self.home.ok("daemon", "restart")
        self.home.ok("vault", "unlock")
        self.decide(approval)
        self.comes_to(approval, "completed")
        waiting = self.ask(path="/ok?waiting")
        self.assertIn("refuses what waits", self.home.ok("config", "set", "approvals.grants", "true").out)
        self.home.ok("daemon", "restart")
        self.home.ok("vault", "unlock")
        self.assertEqual(self.decide(waiting, 409)["error"]["code"], "approval_stale")
        self.assertIn("settings", self.comes_to(waiting, "refused")["reason"])

    def test_what_is_approved_does_not_wait_for_previews(self):
        self.add_previewed("/hold?preview")
        self.add("plain")
        for k in range(12):
            self.ask(path=f"/ok?{k}")
        wait_for(lambda: len(self.service.seen) == 2, "two previews")
        approval = self.ask("plain", path="/ok?plain")
        self.decide(approval)
        self.comes_to(approval, "completed")
        self.assertEqual(sorted(self.paths()), ["/hold?preview", "/hold?preview", "/ok?plain"])
        self.service.hold.set()

    def test_grants_are_off(self):
        self.add("send", grants=True)
        approval = self.ask()
        self.decide(approval, 400, grant=True)
        self.assertEqual(self.state(approval), "pending_approval")


class Expiring(Runs):
    config = "approvals:\n  expiry: 2s\n"

    def test_expires(self):
        self.add("send")
        approval = self.ask()
        self.comes_to(approval, "expired")
        self.assertEqual(self.decide(approval, 409)["error"]["code"], "already_decided")
        result = self.home.request("GET", f"/v1/action-approvals/{approval}/result").json
        self.assertEqual(result["failure"]["class"], "approval_timeout")
        self.assertEqual(self.paths(), [])


class Granting(Runs):
    config = "approvals:\n  grants: true\n"

    def test_a_lock_ends_grants_though_it_cannot_be_written(self):
        self.add("send", grants=True)
        approval = self.ask()
        self.decide(approval, grant=True)
        self.comes_to(approval, "completed")
        with self.without_room():
            for verb in ("lock", "unlock"):  # done, though neither can be recorded
                self.home.cli("vault", verb)
        self.ask(path="/ok?after")
        self.assertEqual(self.paths(), ["/ok"])

    def test_granted_for_a_while(self):
        self.add("send", grants=True)
        approval = self.ask()
        self.decide(approval, grant=True)
        self.comes_to(approval, "completed")
        grant = self.home.request("GET", "/v1/grants").json["items"]
        self.assertEqual([g["action"] for g in grant], ["send"])
        done = self.run_action("send", 200, path="/ok?granted")
        self.assertEqual(self.show(done["run_id"])["grant_id"], grant[0]["id"])
        self.assertEqual(self.paths(), ["/ok", "/ok?granted"])
        self.assertEqual(self.home.request("DELETE", f"/v1/grants/{grant[0]['id']}").status, 204)
        self.ask(path="/ok?again")

    def test_a_lock_ends_it(self):
        self.add("send", grants=True)
        approval = self.ask()
        self.decide(approval, grant=True)
        self.comes_to(approval, "completed")
        self.home.ok("vault", "lock")
        self.home.ok("vault", "unlock")
        wait_for(lambda: self.home.request("GET", "/v1/grants").json["items"] == [], "the grant to end")
        self.ask(path="/ok?after")


class Confirming(Runs):
    config = "approvals:\n  confirm: passphrase\n"

    def seal(self, approval, terms, passphrase=PASSPHRASE):
        """docs/formats/sealed.md"""
        given = self.home.request("POST", "/v1/vault/nonce", {}).json
        nonce, public = base64.b64decode(given["nonce"]), bytes.fromhex(given["public_key"])
        key_id = hashlib.sha256(public).digest()[:8]
        own = X25519PrivateKey.generate()
        ephemeral = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        derived = HKDF(SHA256(), 44, ephemeral + public, b"aileron-sealed-1").derive(
            own.exchange(X25519PublicKey.from_public_bytes(public)))
        texts = (b"approval.decide", approval.encode(), json.dumps(terms, sort_keys=True, separators=(",", ":")).encode())
        aad = b"aileron-sealed-1\0" + key_id + nonce + b"".join(struct.pack("<I", len(text)) + text for text in texts)
        field = b"\x01" + struct.pack("<I", len(passphrase)) + passphrase.encode()
        return base64.b64encode(b"\x01" + key_id + nonce + ephemeral + AESGCM(derived[:32]).encrypt(derived[32:], field, aad)).decode()

    def test_a_yes_wants_the_passphrase(self):
        self.add("send", editable=True)
        approval = self.ask()
        card = self.home.request("GET", f"/v1/action-approvals/{approval}").json
        self.assertEqual(card["confirm"], "passphrase")
        terms = {"approved": True, "digest": card["digest"], "grant": False}
        self.assertEqual(self.decide(approval, 400)["error"]["code"], "sealed_required")
        wrong = self.decide(approval, 401, sealed=self.seal(approval, terms, "wrong"))
        self.assertEqual(wrong["error"]["code"], "wrong_passphrase")
        # What was sealed for one thing is a yes to nothing else.
        other = self.seal(approval, {**terms, "digest": "0" * 64})
        self.assertEqual(self.decide(approval, 400, sealed=other)["error"]["code"], "sealed_refused")
        edited = self.seal(approval, terms)
        self.decide(approval, 400, sealed=edited, edited_payload={"path": "/ok?else"})
        self.assertEqual(self.state(approval), "pending_approval")
        self.assertEqual(self.paths(), [])
        arguments = {"path": "/ok?edited"}
        told = hashlib.sha256(json.dumps(arguments, separators=(",", ":")).encode()).hexdigest()
        self.decide(approval, sealed=self.seal(approval, {**terms, "edited": told}), edited_payload=arguments)
        self.comes_to(approval, "completed")
        self.assertEqual(self.paths(), ["/ok?edited"])

    def test_a_no_wants_nothing(self):
        self.add("send")
        approval = self.ask()
        self.decide(approval, approved=False)
        self.comes_to(approval, "denied")

    def test_tries_are_counted(self):
        self.add("send")
        approval = self.ask()
        terms = {"approved": True, "digest": self.home.request("GET", f"/v1/action-approvals/{approval}").json["digest"], "grant": False}
        statuses = [self.home.request("POST", f"/v1/action-approvals/{approval}/decide",
                                      {"approved": True, "sealed": self.seal(approval, terms, "wrong")}).status for _ in range(4)]
        self.assertEqual(statuses, [401, 401, 401, 429])


for inherited in (Expiring, Granting, Confirming):
    for test in [name for name in dir(Runs) if name.startswith("test_")]:
        setattr(inherited, test, None)

if __name__ == "__main__":
    unittest.main()
