"""The official SDKs as clients of ours, over both doors.

    npm ci --prefix tests/e2e/node
    python3 -m venv FOLDER && FOLDER/bin/pip install mcp==2.3.0      AILERON_MCP_PYTHON=FOLDER/bin/python

What is not there is skipped, and said so.
"""
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from daemon import wait_for
from house import ROOT, SLOW
from mcp_client import GUEST
from skips import without
from test_mcp import Mcp

NODE = ROOT / "tests" / "e2e" / "node"
PYTHON = os.environ.get("AILERON_MCP_PYTHON", "")


class Client:
    """A process with an SDK in it, told what to do a step at a time."""

    def __init__(self, command, how, env):
        self.process = subprocess.Popen([*command, json.dumps(how)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=env)
        self.hello = self.read()

    def read(self):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        said = json.loads(line)
        assert "error" not in said, said["error"]
        return said

    def step(self, do, **more):
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()
        return self.read()["result"]

    def call(self, name, **arguments):
        return self.step("call", name=name, arguments=arguments)

    def close(self):
        out, err = self.process.communicate(timeout=30 * SLOW)
        return self.process.returncode, out, err


class Sdk(Mcp):
    def story(self, command, how):
        self.add("now", gated=False)
        self.add("later")
        # Nothing of the test's own environment reaches the guest but what is given here.
        given = {"AILERON_HOME": str(self.home.state), "HOME": str(self.home.root),
                 **{name: value for name, value in self.home.env.items() if name.endswith("SAN_OPTIONS")}}
        doors = {"stdio": {"command": str(GUEST), "args": ["mcp", "--as", self.agent["id"]], "env": given},
                 "http": {"url": self.home.discovery["url"] + "/mcp", "token": self.agent["token"]}}
        for door, more in doors.items():
            with self.subTest(door=door, **how):
                self.service.seen.clear()
                self.walk(Client(command, {"door": door, **more, **how}, {**os.environ, "HOME": str(self.home.root)}))

    def walk(self, client):
        self.addCleanup(client.process.kill)
        self.assertEqual(client.hello["server"]["name"], "aileron")
        self.assertTrue(client.hello["capabilities"]["tools"]["listChanged"])
        tools = {tool["name"]: tool for tool in client.step("list")}
        self.assertEqual(sorted(tools), ["aileron_diagnostics", "check_action_status", "later", "now"])
        self.assertIn("needs a person's approval", tools["later"]["description"])
        # The SDKs hold structured content against the output schema.
        done = self.envelope(client.call("now", path="/ok"))
        self.assertEqual((done["status"], self.paths()), ("completed", ["/ok"]))
        self.assertIn("path", self.failure(client.call("now")))
        waits = self.envelope(client.call("later", path="/v1"))
        self.assertEqual(waits["status"], "pending_approval")
        self.decide(waits["approval_id"])
        ended = wait_for(lambda: (got := self.envelope(client.call("check_action_status", approval_id=waits["approval_id"])))
                         ["status"] == "completed" and got, "the approved run")
        self.assertEqual((ended["run_id"], self.paths()), (waits["run_id"], ["/ok", "/v1"]))
        denied = self.envelope(client.call("later", path="/ok"))
        self.decide(denied["approval_id"], approved=False)
        self.assertIn("did not run", self.failure(client.call("check_action_status", approval_id=denied["approval_id"])))
        code, _, err = client.close()
        self.assertEqual(code, 0, err)

    def typescript(self, **how):
        node = shutil.which("node")
        if node is None or not (NODE / "node_modules" / "@modelcontextprotocol").is_dir():
            without(self, "the TypeScript SDK")
        self.story([node, str(NODE / "mcp.mjs")], how)

    def test_typescript_v1(self):
        self.typescript(sdk="v1")

    def test_typescript_v2_with_a_handshake(self):
        self.typescript(sdk="v2", mode="legacy")

    def test_typescript_v2_stateless(self):
        self.typescript(sdk="v2", mode={"pin": "2026-07-28"})

    def test_typescript_v2_finds_out(self):
        self.typescript(sdk="v2", mode="auto")

    def test_python(self):
        if not PYTHON:
            without(self, "the Python SDK")
        self.story([PYTHON, str(pathlib.Path(__file__).with_name("mcp_python_sdk.py"))], {})


del Mcp


if __name__ == "__main__":
    unittest.main()
