"""MCP end to end: the real daemon, aileron-guest, and clients: bare ones here, official SDKs in test_mcp_sdk.py."""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import unittest
import urllib.parse

import jsonschema

from daemon import Home, manifest_of, wait_for
from house import SANITIZED, SLOW
from mcp_client import GUEST, HELLO, MODERN, TASKS, Guest, Web, register
from service import Service
from test_run import FQN, action


class Mcp(unittest.TestCase):
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
        self.home.init()
        self.home.link("fixture", manifest=manifest_of("fixture", self.service.port))
        self.home.ok("binding", "setup", FQN, "--identity", "work", "--value-file", "-", "--yes", stdin="the-value-1")
        self.folder = self.home.root / "actions"
        self.folder.mkdir()
        self.agent = register(self.home, "claude")

    def add(self, name, **more):
        (self.folder / f"{name}.md").write_text(action(name, self.service.port, **more))
        got = self.home.request("POST", "/v1/actions/link", {"path": str(self.folder / f"{name}.md")})
        self.assertEqual(got.status, 201, got.body)

    def guest(self, agent=None, **more):
        guest = Guest(self.home, agent or self.agent, **more)
        self.addCleanup(guest.close)
        return guest

    def decide(self, approval, approved=True, **more):
        got = self.home.request("POST", f"/v1/action-approvals/{approval}/decide", {"approved": approved, **more})
        self.assertEqual(got.status, 204, got.body)

    def paths(self):
        return [path for _, path, _, _ in self.service.seen]

    def run_of(self, id):
        return self.home.request("GET", f"/v1/runs/{id}").json

    def envelope(self, result):
        """structuredContent, which stands in the last text as well"""
        self.assertFalse(result.get("isError"), result)
        self.assertEqual(json.loads(result["content"][-1]["text"]), result["structuredContent"])
        return result["structuredContent"]

    def failure(self, result):
        self.assertTrue(result.get("isError"), result)
        self.assertNotIn("structuredContent", result)
        return result["content"][0]["text"]


class Doors(Mcp):
    def doors(self):
        web = Web(self.home, self.agent["token"])
        guest = self.guest()
        for door in (guest, web):
            self.assertEqual(door.hello()["serverInfo"]["name"], "aileron")
            yield door

    def test_a_tool_is_called(self):
        self.add("send-it", gated=False)
        for door in self.doors():
            self.service.seen.clear()
            tool = next(tool for tool in door.ask("tools/list")["tools"] if tool["name"] == "send_it")
            self.assertEqual((tool["title"], tool["description"]), ("Do send-it", "Sends a request."))
            self.assertEqual(sorted(tool["inputSchema"]["properties"]), ["note", "path"])
            self.assertEqual(tool["inputSchema"]["required"], ["path"])
            self.assertFalse(tool["inputSchema"]["additionalProperties"])
            self.assertEqual(tool["outputSchema"]["type"], "object")
            hints = {key: tool["annotations"][key] for key in ("readOnlyHint", "destructiveHint", "idempotentHint",
                                                               "openWorldHint")}
            self.assertEqual(hints["readOnlyHint"], False)
            said = self.envelope(door.call("send_it", {"path": "/ok"}))
            self.assertEqual((said["status"], said["action"]), ("completed", "send-it"))
            self.assertIn("output", said)
            self.assertEqual(self.paths(), ["/ok"])
            run = self.run_of(said["run_id"])
            self.assertEqual((run["state"], run["caller"]), ("completed", {"id": self.agent["id"], "name": "claude"}))
            again = self.envelope(door.call("check_action_status", {"run_id": said["run_id"]}))
            self.assertEqual(again["output"], said["output"])

    def test_what_a_call_can_do_wrong(self):
        self.add("send", gated=False)
        for door in self.doors():
            for arguments, word in (({}, "path"), ({"path": 1}, "path"), ({"path": "/ok", "more": 1}, "more")):
                text = self.failure(door.call("send", arguments))
                self.assertIn(word, text)
                self.assertIn("did not run", text)
            self.assertIn("error", door.post("tools/call", {"name": "nothing"}) if isinstance(door, Web)
                          else door.answer(door.begin("tools/call", {"name": "nothing"})))
            self.assertIn("may have run", self.failure(door.call("send", {"path": "/close"})))
            for arguments in ({}, {"approval_id": "x", "run_id": "y"}, {"id": "x"}, {"run_id": 7}):
                self.failure(door.call("check_action_status", arguments))
            self.assertIn("OK", door.call("aileron_diagnostics")["content"][0]["text"])
        self.assertEqual(set(self.paths()), {"/close"})

    def test_a_gate(self):
        self.add("send")
        for door in self.doors():
            self.service.seen.clear()
            result = door.call("send", {"path": "/ok"})
            said = self.envelope(result)
            self.assertEqual(said["status"], "pending_approval")
            port = self.home.discovery["url"].rpartition(":")[2]
            self.assertEqual(said["review_url"], f"http://127.0.0.1:{port}/approvals?focus={said['approval_id']}")
            message = result["content"][0]["text"]
            self.assertIn(said["approval_id"], message)
            self.assertIn(said["review_url"], message)
            # The same once more is the same; nothing that the agent says decides.
            self.assertEqual(self.envelope(door.call("send", {"path": "/ok"}))["approval_id"], said["approval_id"])
            waits = self.envelope(door.call("check_action_status", {"approval_id": said["approval_id"]}))
            self.assertEqual(waits["status"], "pending_approval")
            self.assertEqual(self.paths(), [])
            self.decide(said["approval_id"])
            done = wait_for(lambda: (got := self.envelope(door.call("check_action_status", {
                "approval_id": said["approval_id"]})))["status"] == "completed" and got, "the approved run")
            self.assertEqual((self.paths(), done["run_id"]), (["/ok"], said["run_id"]))

    def test_an_answer_is_what_its_tool_declares(self):
        self.add("now", gated=False)
        self.add("later")
        for door in self.doors():
            schemas = {tool["name"]: tool["outputSchema"] for tool in door.ask("tools/list")["tools"] if "outputSchema" in tool}

            def declared(name, arguments):
                said = self.envelope(door.call(name, arguments))
                jsonschema.Draft202012Validator({**schemas[name], "additionalProperties": False}).validate(said)
                return said
            self.assertEqual(declared("now", {"path": "/ok"})["status"], "completed")
            asked = {"approval_id": declared("later", {"path": "/ok"})["approval_id"]}
            self.assertEqual(declared("check_action_status", asked)["status"], "pending_approval")
            self.decide(asked["approval_id"])
            wait_for(lambda: declared("check_action_status", asked)["status"] == "completed", "the approved run")

    def test_a_no(self):
        self.add("send")
        for door in self.doors():
            said = self.envelope(door.call("send", {"path": "/ok"}))
            self.decide(said["approval_id"], approved=False, reason="not today")
            text = self.failure(door.call("check_action_status", {"approval_id": said["approval_id"]}))
            self.assertIn("approval_denied", text)
            self.assertIn("not today", text)
            self.assertIn("did not run", text)
        self.assertEqual(self.paths(), [])

    def test_progress_is_told(self):
        self.add("twice", gated=False, steps=[{"id": "one", "op": "http_cred"}, {"id": "two", "op": "http_cred"}])
        guest = self.guest()
        guest.hello()
        self.envelope(guest.call("twice", {"path": "/ok"}, _meta={"progressToken": 0}))
        told = []
        while not guest.said.empty():
            told.append(guest.said.get())
        values = [message["params"]["progress"] for message in told if message["method"] == "notifications/progress"]
        self.assertGreaterEqual(len(values), 2)
        self.assertEqual(values, sorted(set(values)))

    def test_stopping_waits_for_no_client(self):
        guest = self.guest()
        guest.hello()
        web = Web(self.home, self.agent["token"])
        web.hello()
        stream = http.client.HTTPConnection(web.address.hostname, web.address.port, timeout=30 * SLOW)
        self.addCleanup(stream.close)
        stream.request("GET", "/mcp", headers={"Accept": "text/event-stream", "Authorization": f"Bearer {web.token}",
                                               "Mcp-Session-Id": web.session})
        got = stream.getresponse()
        self.assertEqual(got.status, 200)
        began = time.monotonic()
        self.home.ok("daemon", "stop")
        self.assertLess(time.monotonic() - began, 2 * SLOW)
        got.read()

    def test_tools_come_and_go(self):
        door = self.guest()
        door.hello()
        self.assertEqual(door.tools(), ["check_action_status", "aileron_diagnostics"])
        self.add("first")
        door.hear("notifications/tools/list_changed")
        self.assertIn("first", door.tools())
        self.assertEqual(self.home.request("PATCH", "/v1/actions/first", {"enabled": False}).status, 200)
        door.hear("notifications/tools/list_changed")
        self.assertNotIn("first", door.tools())

    def test_the_stateless_revision(self):
        self.add("send")
        for door in self.doors():
            found = door.ask("server/discover", {"_meta": MODERN})
            self.assertEqual(found["supportedVersions"], ["2026-07-28"])
            self.assertIn("io.modelcontextprotocol/tasks", found["capabilities"]["extensions"])
            self.assertNotIn("io.modelcontextprotocol/tool-approval", found["capabilities"]["extensions"])
            self.assertIn("send", [tool["name"] for tool in door.ask("tools/list", {"_meta": MODERN})["tools"]])
            said = self.envelope(door.call("send", {"path": "/ok"}, _meta=MODERN))
            self.assertEqual(said["status"], "pending_approval")
            task = door.call("send", {"path": "/ok"}, _meta=TASKS)
            self.assertEqual((task["resultType"], task["status"], task["pollIntervalMs"]), ("task", "working", 2000))
            self.assertGreater(task["ttlMs"], 24 * 3600 * 1000)
            self.assertNotIn(said["approval_id"], task["taskId"])
            self.assertNotIn("io.modelcontextprotocol/authorization", task.get("_meta", {}))
            of = {"taskId": task["taskId"], "_meta": TASKS}
            self.assertEqual(door.call("send", {"path": "/ok"}, _meta=TASKS)["taskId"], task["taskId"])
            self.assertEqual(door.ask("tasks/get", of)["status"], "working")
            self.decide(said["approval_id"])
            got = wait_for(lambda: (got := door.ask("tasks/get", of))["status"] == "completed" and got, "the task")
            self.assertEqual(self.envelope(got["result"])["run_id"], said["run_id"])
            # Another agent's task is nobody's.
            other = Web(self.home, register(self.home, "other")["token"])
            self.assertEqual(other.post("tasks/get", of)["error"]["code"], -32602)

    def test_a_cancelled_task(self):
        self.add("send")
        door = Web(self.home, self.agent["token"])
        task = door.call("send", {"path": "/ok"}, _meta=TASKS)
        of = {"taskId": task["taskId"], "_meta": TASKS}
        door.ask("tasks/cancel", of)
        self.assertEqual(door.ask("tasks/get", of)["status"], "cancelled")
        door.ask("tasks/cancel", of)
        self.assertEqual(self.home.request("GET", "/v1/action-approvals").json["items"], [])


class Drafted(Mcp):
    config = "mcp:\n  experimental_tool_approval: true\n"

    def test_tasks_say_what_the_draft_says(self):
        self.add("send")
        door = self.guest()
        extensions = door.ask("server/discover", {"_meta": MODERN})["capabilities"]["extensions"]
        self.assertEqual(extensions.get("io.modelcontextprotocol/tool-approval"), {})
        task = door.call("send", {"path": "/ok"}, _meta=TASKS)
        self.assertEqual(task["_meta"]["io.modelcontextprotocol/authorization"]["remediation"], "available")
        of = {"taskId": task["taskId"], "_meta": TASKS}
        approval, = self.home.request("GET", "/v1/action-approvals").json["items"]
        self.decide(approval["id"], approved=False)
        got = wait_for(lambda: (got := door.ask("tasks/get", of))["status"] == "completed" and got, "the task")
        meta = got["result"]["_meta"]
        self.assertEqual(meta["io.modelcontextprotocol/tool-approval-disposition"], "denied-not-executed")
        self.assertEqual(meta["io.modelcontextprotocol/authorization"]["remediation"], "unavailable")
        self.assertTrue(got["result"]["isError"])


class Callers(Mcp):
    def test_who_is_let_in(self):
        token = self.agent["token"]
        for bad, header in (("", 'Bearer realm="aileron"'), (token[:-1] + ("a" if token[-1] != "a" else "b"), "invalid_token"),
                            (self.home.discovery["token"], "invalid_token"), ("agent_", "invalid_token")):
            for method in ("POST", "GET", "DELETE"):
                status, headers, _ = Web(self.home, bad).raw(method, {"jsonrpc": "2.0", "id": 1, "method": "ping"}
                                                             if method == "POST" else None)
                self.assertEqual(status, 401)
                self.assertIn(header, headers["WWW-Authenticate"])
        for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp",
                     "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/register"):
            for bearer in ("", token):
                self.assertEqual(Web(self.home, bearer).raw("GET", path=path)[0], 404, path)

    def test_an_agent_is_no_person(self):
        token = self.agent["token"]
        self.add("send")
        said = self.envelope(Web(self.home, token).call("send", {"path": "/ok"}, _meta=MODERN))
        for method, path, body in (("GET", "/v1/status", None), ("GET", "/v1/agents", None), ("GET", "/v1/actions", None),
                                   ("POST", "/v1/agents", {"name": "x", "kind": "http"}), ("POST", "/v1/vault/lock", None),
                                   ("POST", f"/v1/action-approvals/{said['approval_id']}/decide", {"approved": True}),
                                   ("POST", "/v1/person/codes", None), ("GET", "/v1/runs", None)):
            got = self.home.request(method, path, body, token=token)
            self.assertEqual((got.status, got.json["error"]["code"]), (403, "forbidden"), (method, path))
        # No door of a person's takes a token of an agent's, and no word of an agent's is a decision.
        self.assertEqual(self.run_of(said["run_id"])["state"], "pending_approval")

    def test_another_agents_runs_are_nobodys(self):
        self.add("send")
        said = self.envelope(self.guest().call("send", {"path": "/ok"}, _meta=MODERN))
        other = self.guest(register(self.home, "codex"))
        for ids in ({"approval_id": said["approval_id"]}, {"run_id": said["run_id"]}):
            self.assertIn("not_found", self.failure(other.call("check_action_status", ids, _meta=MODERN)))
        later = self.guest()
        self.assertEqual(self.envelope(later.call("check_action_status", {"run_id": said["run_id"]},
                                                  _meta=MODERN))["status"], "pending_approval")

    def test_a_revoked_token_ends_at_once(self):
        guest = self.guest()
        guest.hello()
        self.assertEqual(self.home.request("DELETE", f"/v1/agents/{self.agent['id']}").status, 204)
        # A call that was on its way when the connection was cut is given up after half a minute.
        wait_for(lambda: "token" in guest.ask("tools/call", {"name": "aileron_diagnostics", "arguments": {}}, seconds=45)["content"][0]["text"],
                 "the guest to be shut out, and to say why", 60)
        self.assertEqual(Web(self.home, self.agent["token"]).raw("POST", {})[0], 401)

    def test_a_revoked_stream_ends_at_once(self):
        web = Web(self.home, self.agent["token"])
        web.hello()
        conn = http.client.HTTPConnection(web.address.hostname, web.address.port, timeout=10 * SLOW)
        self.addCleanup(conn.close)
        conn.request("GET", "/mcp", None, {"Authorization": f"Bearer {web.token}", "Mcp-Session-Id": web.session,
                                           "Accept": "text/event-stream"})
        stream = conn.getresponse()
        self.assertEqual(stream.status, 200)
        self.assertEqual(self.home.request("DELETE", f"/v1/agents/{self.agent['id']}").status, 204)
        self.add("late")
        self.assertNotIn(b"list_changed", stream.read())  # to its end

    def test_sessions(self):
        folder = self.home.root / "a b%\u00e9"
        folder.mkdir()
        self.add("send")
        guest = self.guest(cwd=folder)
        said = self.envelope(guest.call("send", {"path": "/ok"}, _meta=MODERN))
        run = self.run_of(said["run_id"])
        self.assertEqual(run["working_dir"], str(folder))
        row = self.home.request("GET", f"/v1/sessions/{run['session']}").json
        self.assertEqual((row["agent"], row["status"], row["working_dir"]), ("claude", "running", str(folder)))
        guest.close()
        wait_for(lambda: self.home.request("GET", f"/v1/sessions/{run['session']}").json["status"] == "ended", "its end")
        # A session's end withdraws nothing.
        self.assertEqual(self.run_of(said["run_id"])["state"], "pending_approval")
        said = self.envelope(Web(self.home, self.agent["token"]).call("send", {"path": "/v1"}, _meta=MODERN))
        self.assertEqual(self.run_of(said["run_id"])["session"], self.agent["id"])

    def test_a_launch(self):
        session = self.home.request("POST", "/v1/sessions", {"agent": "claude", "working_dir": "/somewhere"}).json
        agent = register(self.home, "claude", "launch", session=session["id"])
        self.add("send")
        guest = self.guest(agent)
        said = self.envelope(guest.call("send", {"path": "/ok"}, _meta=MODERN))
        run = self.run_of(said["run_id"])
        self.assertEqual((run["session"], run["working_dir"]), (session["id"], "/somewhere"))
        self.assertEqual(self.home.request("POST", f"/v1/sessions/{session['id']}/end", {"exit_code": 0}).status, 200)
        self.assertEqual(Web(self.home, agent["token"]).raw("POST", {})[0], 401)

    def upgraded(self, session):
        """A connection as the guest makes it, which names a session; the one that it has"""
        where = urllib.parse.urlsplit(self.home.discovery["url"])
        sock = socket.create_connection((where.hostname, where.port), timeout=20 * SLOW)
        self.addCleanup(sock.close)
        sock.sendall((f"POST /mcp HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: Upgrade\r\nUpgrade: aileron-mcp-lines\r\n"
                      f"Authorization: Bearer {self.agent['token']}\r\nAileron-Session: {session}\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            more = sock.recv(4096)
            self.assertTrue(more, head)
            head += more
        self.assertIn(b" 101 ", head.split(b"\r\n")[0])
        return re.search(rb"(?i)aileron-session: (\w+)", head)[1].decode()

    def test_a_session_that_is_alive_is_nobody_elses(self):
        self.add("send", gated=False)
        guest = self.guest()
        guest.hello()
        session = self.run_of(self.envelope(guest.call("send", {"path": "/ok"}))["run_id"])["session"]
        self.assertNotEqual(self.upgraded(session), session)
        guest.close()
        wait_for(lambda: self.home.request("GET", f"/v1/sessions/{session}").json["ended_at"], "its end")
        self.assertEqual(self.upgraded(session), session)

    def test_a_session_that_a_person_ended_is_not_continued(self):
        self.add("send", gated=False)
        guest = self.guest()
        guest.hello()
        session = self.run_of(self.envelope(guest.call("send", {"path": "/ok"}))["run_id"])["session"]
        self.assertEqual(self.home.request("POST", f"/v1/sessions/{session}/end").status, 200)
        guest.hear("notifications/tools/list_changed")  # on a connection anew
        again = self.run_of(self.envelope(guest.call("send", {"path": "/v1"}))["run_id"])["session"]
        self.assertNotEqual(again, session)
        self.assertNotEqual(self.upgraded(session), session)
        rows = {row["id"]: row["ended_at"] for row in self.home.request("GET", "/v1/sessions").json["items"]}
        self.assertTrue(rows[session])
        self.assertIsNone(rows[again])

    def test_an_agent_over_http_has_no_session_that_could_be_over(self):
        self.add("send")
        web = Web(self.home, self.agent["token"])
        web.hello()
        said = self.envelope(web.call("send", {"path": "/ok"}))
        card = self.home.request("GET", f"/v1/action-approvals/{said['approval_id']}").json
        self.assertFalse(card["session_ended"])

    def test_an_agent_over_http_is_shown_as_its_session(self):
        self.add("send")
        agent = register(self.home, "web", "http")
        said = self.envelope(Web(self.home, agent["token"]).call("send", {"path": "/ok"}, _meta=MODERN))
        session = self.run_of(said["run_id"])["session"]
        shown = self.home.ok("sessions", "get", session, "--json").json
        self.assertEqual((shown["agent"], shown["status"], shown["started_at"], shown["is_agent"]), ("web", "running", agent["created_at"], True))
        self.assertEqual(self.home.ok("sessions", "list", "--active", "--json").lines, [shown])
        refused = self.home.request("POST", f"/v1/sessions/{session}/end")
        self.assertEqual((refused.status, refused.json["error"]["code"]), (409, "conflict"))
        self.assertEqual(self.home.request("DELETE", f"/v1/agents/{agent['id']}").status, 204)
        ended = self.home.ok("sessions", "get", session, "--json").json
        self.assertEqual((ended["status"], ended["exit_code"]), ("ended", None))
        self.assertTrue(ended["ended_at"])
        card = self.home.request("GET", f"/v1/action-approvals/{said['approval_id']}").json
        self.assertTrue(card["session_ended"], card)

    def test_a_token_outlives_the_daemon(self):
        self.home.ok("daemon", "restart")
        self.assertIn("check_action_status", [tool["name"] for tool in Web(self.home, self.agent["token"]).ask(
            "tools/list", {"_meta": MODERN})["tools"]])

    def test_the_token_is_nowhere(self):
        self.home.ok("daemon", "stop")
        for path in self.home.state.rglob("*"):
            if path.is_file() and path.parent.name != "agents":
                self.assertNotIn(self.agent["token"].encode(), path.read_bytes(), path)


class Granting(Mcp):
    config = "approvals:\n  grants: true\n"

    def test_no_grant_outlives_the_session_that_asked(self):
        self.add("send", grants=True)
        guest = self.guest()
        guest.hello()
        approval = self.envelope(guest.call("send", {"path": "/ok"}))["approval_id"]
        guest.close()
        wait_for(lambda: self.home.request("GET", f"/v1/action-approvals/{approval}").json["session_ended"], "the session's end")
        got = self.home.request("POST", f"/v1/action-approvals/{approval}/decide", {"approved": True, "grant": True})
        self.assertEqual(got.status, 409, got.body)
        self.assertIn("session that asked has ended", got.body)
        self.assertEqual(self.home.request("GET", "/v1/grants").json["items"], [])
        self.decide(approval)


class Restarts(Mcp):
    def restart(self):
        self.home.ok("daemon", "restart")
        self.home.ok("vault", "unlock")

    def kill_control(self):
        pid = self.home.process("control")
        os.kill(pid, signal.SIGKILL)

    def test_a_guest_outlives_a_restart(self):
        self.add("send", gated=False)
        guest = self.guest()
        guest.hello()
        said = self.envelope(guest.call("send", {"path": "/ok"}))
        session = self.run_of(said["run_id"])["session"]
        self.restart()
        guest.hear("notifications/tools/list_changed")
        again = self.envelope(guest.call("send", {"path": "/v1"}))
        self.assertEqual(self.run_of(again["run_id"])["session"], session, "its session is continued")
        self.assertEqual(self.paths(), ["/ok", "/v1"])

    def test_a_call_under_way_is_asked_for_and_not_sent_again(self):
        self.add("send", gated=False)
        guest = self.guest()
        guest.hello()
        id = guest.begin("tools/call", {"name": "send", "arguments": {"path": "/hold"}})
        wait_for(lambda: self.paths() == ["/hold"], "the request")
        self.kill_control()
        self.service.hold.set()
        result = guest.answer(id, 40)["result"]
        text = self.failure(result)
        self.assertIn("outcome_unknown", text)
        self.assertIn("may have run", text)
        self.assertEqual(self.paths(), ["/hold"], "it never ran twice")

    def test_a_gated_call_survives(self):
        self.add("send")
        guest = self.guest()
        guest.hello()
        said = self.envelope(guest.call("send", {"path": "/ok"}))
        self.home.ok("daemon", "restart")
        waits = self.envelope(guest.call("check_action_status", {"approval_id": said["approval_id"]}))
        self.assertEqual(waits["status"], "pending_approval")

    def test_without_a_daemon(self):
        self.add("send", gated=False)
        guest = self.guest()
        guest.hello()
        self.home.ok("daemon", "stop")
        text = wait_for(lambda: (got := guest.call("aileron_diagnostics")["content"][0]["text"])[:2] != "OK" and got,
                        "the guest to see it")
        self.assertIn("aileron daemon start", text)
        text = self.failure(guest.call("send", {"path": "/ok"}))
        self.assertIn("did not run", text)
        self.assertEqual(guest.tools(), ["aileron_diagnostics"])
        early = self.guest()
        self.assertEqual(early.hello()["protocolVersion"], "2025-11-25")
        self.assertEqual(early.ask("ping"), {})
        self.home.start()
        self.home.ok("vault", "unlock")
        for each in (guest, early):
            each.hear("notifications/tools/list_changed")
            self.assertIn("send", each.tools())
            self.assertEqual(self.envelope(each.call("send", {"path": "/ok"}))["status"], "completed")


class Share(Mcp):
    def test_what_hangs_leaves_room_for_the_person(self):
        self.add("send", gated=False)
        self.add("gate")
        other = self.guest(register(self.home, "other"))
        other.hello()
        approval = self.envelope(other.call("gate", {"path": "/ok"}))["approval_id"]
        guest = self.guest()
        guest.hello()
        ids = [guest.begin("tools/call", {"name": "send", "arguments": {"path": f"/hold?{k}"}}) for k in range(40)]
        wait_for(lambda: len(self.paths()) == 8, "as many requests as may be under way")
        guest.ask("ping")  # the forty were read
        begun = time.monotonic()
        self.assertEqual(self.home.request("GET", "/v1/runs").status, 200)
        self.decide(approval, approved=False)
        self.assertLess(time.monotonic() - begun, 2 * SLOW)
        # Nor does another agent wait.
        self.assertIn("denied", self.failure(other.call("check_action_status", {"approval_id": approval})))
        self.assertLess(time.monotonic() - begun, 4 * SLOW)
        self.service.hold.set()
        for id in ids:
            self.assertEqual(self.envelope(guest.answer(id)["result"])["status"], "completed")

    def test_what_waits_ends_with_the_daemon(self):
        self.add("send", gated=False)
        guest = self.guest()
        guest.hello()
        for k in range(40):
            guest.begin("tools/call", {"name": "send", "arguments": {"path": f"/hold?{k}"}})
        wait_for(lambda: len(self.paths()) == 8, "as many requests as may be under way")
        guest.ask("ping")
        self.home.ok("daemon", "stop")
        self.assertEqual(len(self.paths()), 8, "what waited never began")


class Giving_up(Mcp):
    def test_an_ungated_call(self):
        self.add("send", gated=False)
        for how in ("cancel", "leave"):
            self.service.seen.clear()
            self.service.hold.clear()
            guest = self.guest()
            guest.hello()
            id = guest.begin("tools/call", {"name": "send", "arguments": {"path": "/hold"}})
            wait_for(lambda: self.paths() == ["/hold"], "the request")
            if how == "cancel":
                guest.notify("notifications/cancelled", {"requestId": id})
                guest.ask("ping")
            else:
                guest.process.kill()
            self.service.hold.set()
            ended = wait_for(lambda: (runs := self.home.request("GET", "/v1/runs").json["items"])[0]["state"] != "running"
                             and runs[0], "the run to end")
            self.assertIn(ended["state"], ("outcome_unknown", "cancelled", "completed"))
            self.assertNotIn(id, guest.answers)

    def test_a_gated_call(self):
        self.add("send")
        guest = self.guest()
        guest.hello()
        id = guest.begin("tools/call", {"name": "send", "arguments": {"path": "/ok"}})
        guest.answer(id)
        guest.notify("notifications/cancelled", {"requestId": id})
        guest.ask("ping")
        guest.process.kill()
        guest.process.wait()
        self.assertEqual(len(self.home.request("GET", "/v1/action-approvals").json["items"]), 1)


class Program(unittest.TestCase):
    def test_it_ends_with_its_input(self):
        with Home() as home:
            home.start()
            agent = register(home)
            guest = Guest(home, agent)
            guest.hello()
            began = time.monotonic()
            self.assertEqual(guest.close(), 0)
            self.assertLess(time.monotonic() - began, 0.4 * SLOW)
            # All that was asked before the end is answered.
            lines = "".join(json.dumps({"jsonrpc": "2.0", "id": i, **what}) + "\n" for i, what in enumerate((
                {"method": "initialize", "params": HELLO}, {"method": "tools/list"}, {"method": "ping"})))
            done = subprocess.run([GUEST, "mcp", "--as", agent["id"]], env=home.env, input=lines, capture_output=True, text=True,
                                  timeout=20 * SLOW)
            self.assertEqual((done.returncode, sorted(json.loads(line)["id"] for line in done.stdout.splitlines())),
                             (0, [0, 1, 2]), done.stderr)

    def test_lines_that_are_none(self):
        with Home() as home:
            home.start()
            guest = Guest(home, register(home))
            self.addCleanup(guest.close)
            for text in ("\n", "   \r\n", '{"jsonrpc":"2.0","id":7,"method":"ping"}\r\n'):
                guest.process.stdin.write(text)
            guest.process.stdin.flush()
            self.assertEqual(guest.answer(7)["result"], {})
            guest.process.stdin.write('{"jsonrpc":"2.0","id":8,"method":"ping","x":"' + "a" * (5 << 20) + '"}\n')
            guest.process.stdin.flush()
            self.assertEqual(guest.answer(None)["error"]["code"], -32700)
            guest.send({"jsonrpc": "2.0", "id": 9, "method": "ping"})
            self.assertEqual(guest.answer(9)["result"], {})

    def test_who_may_read_the_token(self):
        with Home() as home:
            home.start()
            agent = register(home)
            file = home.state / "run" / "agents" / agent["id"]
            os.chmod(file, 0o644)
            with Guest(home, agent) as guest:
                guest.hello()
                self.assertIn("read by others", guest.call("aileron_diagnostics")["content"][0]["text"])
                os.chmod(file, 0o600)
                wait_for(lambda: guest.call("aileron_diagnostics")["content"][0]["text"].startswith("OK"), "the way in")

    def test_in_a_container(self):
        with Home() as home:
            home.start()
            agent = register(home)
            env = {"AILERON_URL": home.discovery["url"], "AILERON_TOKEN": agent["token"]}
            ping = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "tools/list", "params": {"_meta": MODERN}}) + "\n"
            mcp = GUEST.with_name("aileron-mcp")
            done = subprocess.run([mcp], env=env, input=ping, capture_output=True, text=True, timeout=20 * SLOW)
            self.assertIn("check_action_status", done.stdout, done.stderr)
            env["AILERON_URL"] = "http://example.com:80"
            done = subprocess.run([mcp], env=env, input=ping, capture_output=True, text=True, timeout=20 * SLOW)
            self.assertIn("numeric address", done.stderr)

    def test_its_words(self):
        for arguments, code in ((["--version"], 0), (["--help"], 0), ([], 2), (["mcp", "--what"], 2), (["mcp", "x"], 2)):
            done = subprocess.run([GUEST, *arguments], capture_output=True, text=True, timeout=20 * SLOW,
                                  stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, code, arguments)
        self.assertRegex(subprocess.run([GUEST, "--version"], capture_output=True, text=True).stdout, r"^aileron-guest \d")

    @unittest.skipIf(SANITIZED, "a sanitizer is linked then")
    def test_it_is_static_and_resolves_nothing(self):
        shown = subprocess.run(["readelf", "-ldW", GUEST], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("NEEDED", shown)
        self.assertNotIn("INTERP", shown)
        self.assertIn("DYN", subprocess.run(["readelf", "-hW", GUEST], capture_output=True, text=True, check=True).stdout)
        symbols = subprocess.run(["nm", GUEST], capture_output=True, text=True, check=True).stdout
        self.assertIn("guest_relay", symbols)
        self.assertNotRegex(symbols, r"(?i)\b_*(getaddrinfo|gethostby\w+|res_\w*(init|query|search|send)|getservby\w+)\b")


if __name__ == "__main__":
    unittest.main()
