"""The API's description of itself against a daemon in use, by Schemathesis: no answer is a defect's, each is as described.

    python3 -m venv FOLDER && FOLDER/bin/pip install schemathesis==4.32.5      AILERON_SCHEMATHESIS=FOLDER/bin/schemathesis

What it draws follows from a seed; how much, from a number of examples an operation. The operations that put an end to what the
others need go last. What is never asked is named in UNASKED.
"""
import collections
import json
import os
import pathlib
import subprocess
import unittest

from daemon import wait_for
from house import SANITIZED, SLOW
from mcp_client import register
from skips import without
from test_mcp import Mcp

SCHEMATHESIS = os.environ.get("AILERON_SCHEMATHESIS", "")
FOLDER = pathlib.Path(__file__).with_name("openapi")
CHECKS = ("response_schema_conformance", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "negative_data_rejection", "server_error_is_told", "agents_stay_outside")
EXAMPLES = {"daemon": 4, "person": 3, "agent": 1, "last": 1} if SANITIZED else {
    "daemon": 15, "person": 15, "agent": 3, "last": 4}
# The first goes through every boundary of every field; what a token opens is the same for all of them.
PHASES = {"daemon": "coverage,fuzzing", "person": "fuzzing", "agent": "fuzzing", "last": "fuzzing"}
UNASKED = {
    "audit_tail": "a stream without an end",
    "approval_watch": "a stream without an end",
    "session_hold": "a stream without an end",
}
# vault_tune measures for up to seconds each time.
LAST = ("vault_tune", "vault_lock", "connector_unlink", "action_unlink", "token_revoke")


class Fuzz(Mcp):
    config = "approvals:\n  grants: true\n"

    def setUp(self):
        if not os.access(SCHEMATHESIS, os.X_OK):
            without(self, "Schemathesis (AILERON_SCHEMATHESIS)")
        super().setUp()
        self.operations = [operation["operationId"] for methods in self.home.openapi()["paths"].values()
                           for operation in methods.values()]
        self.known = self.furnish()
        (self.home.root / "known").write_text(json.dumps(self.known))

    def furnish(self):
        """Something of each kind; its names, by operation or by route"""
        self.add("say", gated=False, steps=[{"id": "say", "op": "echo", "effect": "read", "inputs": {"value": "${args.path}"}}])
        self.add("ask", editable=True, grants=True)
        done = self.run_action("say", "/ok")
        asked = [self.run_action("ask", f"/ok?{text}") for text in "abcd"]
        approvals = [one["approval_id"] for one in asked]
        self.decide(approvals[1], grant=True)
        run = "/v1/runs/" + asked[1]["run_id"]
        wait_for(lambda: self.home.request("GET", run).json["state"] == "completed", "the approved run")
        self.home.ok("vault", "put", "secret/one", "--value-file", "-", stdin="1")
        agents = [register(self.home, f"other-{i}")["id"] for i in range(2)]
        session = self.home.request("POST", "/v1/sessions", {"agent": "claude", "working_dir": "/home/u"}).json["id"]
        grants = [row["id"] for row in self.home.request("GET", "/v1/grants").json["items"]]
        runs = [one["run_id"] for one in (done, *asked)]
        return {"/v1/runs/{id}": runs, "/v1/runs/{id}/cancel": [asked[2]["run_id"], done["run_id"]],
                "/v1/action-approvals/{id}": approvals, "/v1/action-approvals/{id}/result": approvals,
                "/v1/action-approvals/{id}/decide": approvals[1:2] + approvals[3:], "/v1/grants/{id}": grants,
                "/v1/actions/{name}": ["say", "ask"], "/v1/actions/{name}/run": ["say", "ask"],
                "/v1/connectors/{fqn}": ["github://acme/fixture"], "/v1/connectors/{fqn}/call": ["github://acme/fixture"],
                "/v1/bindings/{name}": ["api_key/fixture/work"], "/v1/bindings/{name}/rebind": ["api_key/fixture/work"],
                "/v1/vault/consent/{path}": ["api_key/fixture/work"], "/v1/vault/entries/{path}": ["secret/one"],
                "/v1/vault/members/{name}/remove": ["robot"], "/v1/agents/{id}": agents[1:],
                "/v1/sessions/{id}": [session], "/v1/sessions/{id}/end": [session],
                "/v1/audit/{id}": [event["audit_id"] for event in self.home.events()[:20]]}

    def run_action(self, name, path):
        return self.home.request("POST", f"/v1/actions/{name}/run", {"args": {"path": path}}).json

    def person(self):
        url = self.home.ok("open", "--print").out.strip().splitlines()[-1]
        got = self.home.request("POST", "/v1/person/tokens", {"code": url.rpartition("code=")[2]}, token="", headers={
            "Origin": self.home.discovery["url"]})
        self.assertEqual(got.status, 201, got.body)
        return got.json["token"]

    def ask_all(self, who, token, operations):
        """One process of Schemathesis; how often each operation gave which status"""
        calls = self.home.root / f"calls-{who}-{len(operations)}"
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.home.root), "PYTHONDONTWRITEBYTECODE": "1", "FUZZ_TOKEN": token,
               "FUZZ_HOOKS": str(FOLDER / "hooks.py"), "FUZZ_KNOWN": str(self.home.root / "known"), "FUZZ_CALLS": str(calls),
               "FUZZ_AGENT": "1" if who == "agent" else "0"}
        done = subprocess.run(
            [SCHEMATHESIS, "--config-file", str(FOLDER / "schemathesis.toml"), "run", self.home.discovery["url"] + "/openapi.json",
             "--no-color", "--phases", PHASES[who], "--max-examples", str(EXAMPLES[who]),
             "--checks", ",".join(CHECKS),
             *(word for name in operations for word in ("--include-operation-id", name))],
            env=env, cwd=self.home.root, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300 * SLOW)
        self.assertEqual(done.returncode, 0, done.stdout[-20000:] + done.stderr[-2000:])
        counts = collections.Counter(tuple(json.loads(line)) for line in calls.read_text().splitlines())
        self.assertEqual({name for name, _ in counts}, set(operations), "each was asked")
        return counts

    def tell(self, who, counts):
        statuses = collections.Counter()
        for (_, status), n in counts.items():
            statuses[status] += n
        print(f"{who}: {sum(statuses.values())} calls of {len({name for name, _ in counts})} operations:",
              ", ".join(f"{n} x {status}" for status, n in sorted(statuses.items())))

    def test_every_answer_is_as_described(self):
        for name, why in UNASKED.items():
            print(f"not asked: {name}: {why}")
        asked = [name for name in self.operations if name not in (*UNASKED, *LAST)]
        self.assertEqual(len(asked) + len(UNASKED) + len(LAST), len(self.operations), "a name here is no operation's")
        before = self.home.ok("status", "--json").json["processes"]
        counts = {}
        for who, token in (("agent", self.home.request("POST", "/v1/agents", {"name": "a", "kind": "http"}).json["token"]),
                           ("person", self.person()), ("daemon", self.home.discovery["token"])):
            counts[who] = self.ask_all(who, token, asked)
            self.tell(who, counts[who])
        counts["last"] = self.ask_all("last", self.person(), LAST)
        self.tell("last, a person", counts["last"])
        # Not everything was refused: the known names were found, and most operations did what they are for at least once.
        did = {name for of in ("person", "daemon", "last") for name, status in counts[of] if status < 300}
        print("never succeeded:", ", ".join(sorted({*asked, *LAST} - did)))
        self.assertGreater(len(did), len(self.operations) // 2)
        # Nothing died meanwhile, and the record holds.
        after = self.home.ok("status", "--json").json["processes"]
        self.assertEqual([(p["role"], p.get("pid")) for p in after], [(p["role"], p.get("pid")) for p in before])
        self.home.ok("audit", "verify")


if __name__ == "__main__":
    unittest.main()
