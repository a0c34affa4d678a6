"""The whole of it once, as a person lives it: a fresh home, a vault, a connector, a binding, actions; an agent's own program
asks through the official SDKs; the person approves in a browser; the agent reads what came of it; the record holds, and its
export is verified in another home, by another key's absence and then by this one's."""
import json
import os
import pathlib
import shutil
import unittest

from daemon import Home, wait_for
from mcp_client import GUEST, register
from skips import without
from test_mcp_sdk import NODE as SDK, PYTHON, Client
from test_page import DecidingTest

TYPESCRIPT = [str(SDK / "mcp.mjs")]


class Story(DecidingTest):
    def clients(self):
        node = shutil.which("node")
        if node is None or not (SDK / "node_modules" / "@modelcontextprotocol").is_dir():
            without(self, "the TypeScript SDK")
        yield "typescript", [node, *TYPESCRIPT], {"sdk": "v1"}
        yield "typescript-2026", [node, *TYPESCRIPT], {"sdk": "v2", "mode": {"pin": "2026-07-28"}}
        if PYTHON:
            yield "python", [PYTHON, str(pathlib.Path(__file__).with_name("mcp_python_sdk.py"))], {}
        else:
            print("told: without the Python SDK (AILERON_MCP_PYTHON)")

    def connect(self, home, command, how, agent):
        given = {"AILERON_HOME": str(home.state), "HOME": str(home.root),
                 **{name: value for name, value in home.env.items() if name.endswith("SAN_OPTIONS")}}
        client = Client(command, {"door": "stdio", "command": str(GUEST), "args": ["mcp", "--as", agent["id"]], "env": given, **how},
                        {**os.environ, "HOME": str(home.root)})
        self.addCleanup(client.process.kill)
        return client

    def test_an_agent_asks_a_person_decides_the_record_shows_it(self):
        home = self.stage()
        base = self.enter(home)
        runs = {}
        for name, command, how in self.clients():
            agent = register(home, name)
            client = self.connect(home, command, how, agent)
            self.assertIn("send_mail", [tool["name"] for tool in client.step("list")])
            asked = client.call("send_mail", to="ada@example.com", subject=f"From {name}")["structuredContent"]
            self.assertEqual(asked["status"], "pending_approval")
            self.assertNotIn("The thread of", json.dumps(asked), "the preview is for the person alone")
            self.assertEqual(self.sent(), [f"From {one}" for one in runs])
            # Out of band: in the browser, with who asks and what will be sent in view.
            card = {"in": f"From {name}"}
            self.browser.wait(text=f"The thread of From {name}", **card)
            self.assertIn(name, self.browser.text(**card))
            self.browser.click(name="Approve", **card)
            ended = wait_for(lambda: (got := client.call("check_action_status", approval_id=asked["approval_id"])
                                      ["structuredContent"])["status"] == "completed" and got, "the approved run")
            self.assertEqual(ended["run_id"], asked["run_id"])
            self.assertEqual(ended["output"]["status"], 200, ended)
            runs[name] = ended["run_id"]
            code, _, err = client.close()
            self.assertEqual(code, 0, err)
        self.assertEqual(self.sent(), [f"From {one}" for one in runs])
        self.assert_quiet(base)
        self.judge_record(home, runs)

    def sent(self):
        return [body.decode() for _, _, _, body in self.service.seen]

    def judge_record(self, home, runs):
        said = home.ok("audit", "verify", "--json").json
        self.assertTrue(said["intact"])
        events = home.events()
        for run in runs.values():
            of_run = [e["event_type"] for e in reversed(events) if e["payload"].get("aileron.run.id") == run]
            self.assertEqual(of_run, ["approval.requested", "execution.started", "execution.succeeded",  # the preview
                                      "approval.approved", "run.started", "execution.started", "execution.succeeded",
                                      "run.completed"])
        # Another machine has the file, and the device's public key when the person brings it along.
        export = home.root / "export.ndjson"
        export.write_text(home.ok("audit", "export").out)
        self.assertNotIn("sk-mail-0001", export.read_text())
        with Home() as other:
            told = other.ok("audit", "verify", export, "--json").json
            self.assertTrue(told["intact"])
            self.assertFalse(told["origin_proven"])
            proven = other.ok("audit", "verify", export, "--key", home.state / "device.pub", "--json").json
            self.assertTrue(proven["origin_proven"])
            bad = other.root / "bad.ndjson"
            bad.write_text(export.read_text().replace('"approval.approved"', '"approval.denied"', 1))
            self.assertNotEqual(other.cli("audit", "verify", bad).code, 0)


del DecidingTest


if __name__ == "__main__":
    unittest.main()
