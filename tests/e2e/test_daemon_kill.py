"""SIGKILL at random points of every process under load: nothing that was acknowledged is lost, nothing runs twice, the chain
stays whole, and each time the daemon comes back by itself."""
import json
import os
import random
import signal
import threading
import time
import unittest

from daemon import Home, wait_for
from house import SANITIZED
from service import Service

KILLS = 20 if SANITIZED else int(os.environ.get("AILERON_KILLS", "60"))
VICTIMS = ("parent", "control", "keeper", "egress", "runner")


class Load:
    """Puts, bindings and calls, one after the other, each remembered when it was acknowledged."""

    def __init__(self, home, service, key, lane):
        self.home, self.service, self.key, self.lane = home, service, key, lane
        self.put, self.called, self.failed = [], [], 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        number = 0
        while not self.stop.is_set():
            number += 1
            name = f"{self.lane}-{number}"
            if number % 2:
                done = self.home.cli("vault", "put", f"secret/{name}", "--value-file", "-", "--key-file", self.key, stdin="v" + name)
                if done.code == 0:
                    self.put.append(name)
            else:
                done = self.home.cli("connector", "call", "github://acme/fixture", "--op", "http_cred", "--key-file", self.key,
                                     "--json", "--args", json.dumps({"url": f"https://127.0.0.1:{self.service.port}/ok?{name}",
                                                                     "credential": "api_key"}))
                if done.code == 0:
                    self.called.append(name)
            self.failed += done.code != 0


class Kill(unittest.TestCase):
    def pid_of(self, home, victim):
        where = home.discovery
        if victim == "parent":
            return where["pid"]
        status = home.request("GET", "/v1/status", check=False).json
        found = status["runners"] if victim == "runner" else [p for p in status["processes"] if p["role"] == victim and p["running"]]
        return found[0]["pid"]

    def test_kills(self):
        service = Service()
        self.addCleanup(service.close)
        rng = random.Random(int(os.environ.get("AILERON_SEED", "20261121")))
        with Home(ca=service.ca) as home:
            key = home.root / "member.key"
            home.init()
            home.ok("vault", "member", "add", "robot", "--new-key-file", key)
            del home.env["AILERON_VAULT_PASSPHRASE"]
            home.link("fixture", service.port)
            home.ok("binding", "setup", "github://acme/fixture", "--identity", "work", "--value-file", "-", "--yes", "--key-file", key,
                    stdin="value-of-the-binding")
            lanes = [Load(home, service, key, lane) for lane in "ab"]
            for lane in lanes:
                lane.thread.start()
            killed = 0
            try:
                while killed < KILLS:
                    end = time.monotonic() + rng.random() * 0.4
                    while time.monotonic() < end:
                        time.sleep(0.005)
                    try:
                        os.kill(self.pid_of(home, rng.choice(VICTIMS)), signal.SIGKILL)
                        killed += 1
                    except (OSError, ValueError, KeyError, IndexError):
                        continue  # it is just being started anew
            finally:
                for lane in lanes:
                    lane.stop.set()
                for lane in lanes:
                    lane.thread.join(120)
            self.judge(home, service, key, lanes)

    def judge(self, home, service, key, lanes):
        wait_for(lambda: home.cli("vault", "unlock", "--key-file", key).code == 0, "the daemon after the last kill")
        there = {entry["path"] for entry in home.ok("vault", "list", "--json").lines}
        for lane in lanes:
            lost = [name for name in lane.put if f"secret/{name}" not in there]
            self.assertEqual(lost, [], "acknowledged writes are lost")
        asked = [path.split("?")[1] for _, path, _, _ in service.seen]
        self.assertEqual(sorted(set(asked)), sorted(asked), "a call was sent twice")
        for lane in lanes:
            self.assertEqual([name for name in lane.called if name not in asked], [])
        self.assertTrue(home.ok("audit", "verify", "--json").json["intact"])
        export = home.root / "export.ndjson"
        export.write_text(home.ok("audit", "export").out)
        home.ok("audit", "verify", export, "--key", home.state / "device.pub")
        events = [json.loads(line).get("event", {}) for line in export.read_text().splitlines()]
        starts = {e["payload"]["aileron.execution.id"] for e in events if e.get("event_type") == "execution.started"}
        ends = [e["payload"]["aileron.execution.id"] for e in events
                if e.get("event_type") in ("execution.succeeded", "execution.failed") and "aileron.execution.id" in e["payload"]]
        self.assertEqual(len(ends), len(set(ends)), "an execution ended twice")
        self.assertEqual(set(ends), starts, "an execution has a start and no end, or the other way round")
        acknowledged = sum(len(lane.put) + len(lane.called) for lane in lanes)
        print(f"{KILLS} kills, {acknowledged} acknowledged, {sum(lane.failed for lane in lanes)} told that they failed")
        self.assertGreater(acknowledged, 10)


if __name__ == "__main__":
    unittest.main()
