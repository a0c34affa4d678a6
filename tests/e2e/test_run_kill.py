"""SIGKILL at random points while agents ask, a person decides, connectors run and answers are on their way: what was approved
ran at most once, what was not did not run, and everybody is told what is true. Judged by the service that is called, which is
no process of ours.

AILERON_KILLS and AILERON_SEED choose another number of kills and another order."""
import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
import unittest

from daemon import Home, adopt_orphans, manifest_of, programs_below, wait_for
from house import SANITIZED
from mcp_client import Guest, register
from service import Service
from test_daemon_kill import is_alive
from test_run import FQN, action

KILLS = int(os.environ.get("AILERON_KILLS", "20" if SANITIZED else "300"))
SEED = int(os.environ.get("AILERON_SEED", "20261121"))
VICTIMS = ("parent", "control", "control", "keeper", "egress", "runner", "guest", "cli")
ENDED = ("completed", "failed", "denied", "expired", "refused", "cancelled", "outcome_unknown")
RAN = {"completed": {1}, "outcome_unknown": {0, 1}}  # how often the service may have been called; every other state: never


class World:
    """What all have in common: the home, what was asked for, what was told."""

    def __init__(self, home):
        self.home = home
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.asked = {}  # tag -> the approval that was told, None when nothing was told
        self.told = {}  # approval -> what the person was told of the decision: True, False
        self.tried = set()  # approvals that somebody tried to approve
        self.pids = {"guest": None, "cli": None}
        self.done = dict.fromkeys(("api", "guest", "cli", "decisions", "answers"), 0)
        self.wrong = []

    def request(self, *args, **more):
        """An answer, or None when nobody answers"""
        with contextlib.suppress(OSError, ValueError, KeyError, AssertionError):
            return self.home.request(*args, check=False, **more)
        time.sleep(0.02)
        return None


class Asker(threading.Thread):
    """Asks for runs of an action that a person has to approve, each with a tag of its own."""

    def __init__(self, world, name, seed):
        super().__init__()
        self.world, self.name, self.rng, self.number = world, name, random.Random(seed), 0

    def run(self):
        while not self.world.stop.is_set():
            self.number += 1
            tag = f"{self.name}-{self.number}"
            self.world.asked[tag] = None
            approval = self.ask(tag)
            if approval is not None:
                self.world.asked[tag] = approval
                self.world.done[self.name] += 1
            else:
                time.sleep(0.02)

    def ask(self, tag):
        raise NotImplementedError


class Api(Asker):
    """By the person's own API, with a call id: after whatever went wrong it asks again under the same one."""

    def ask(self, tag):
        body = {"args": {"path": f"/ok?{tag}"}, "call_id": tag}
        while not self.world.stop.is_set():
            got = self.world.request("POST", "/v1/actions/send/run", body)
            if got is not None and got.status == 202:
                return got.json["approval_id"]
            if got is not None and got.status == 200:
                return None  # it has been decided by now
            time.sleep(0.05)
        return None


class Agent(Asker):
    """Through aileron-guest, which is killed, too; a call that was under way then is nobody's."""

    def __init__(self, world, name, seed, agent):
        super().__init__(world, name, seed)
        self.agent, self.guest = agent, None

    def run(self):
        try:
            super().run()
        finally:
            self.end()

    def end(self):
        if self.guest is not None:
            self.world.pids["guest"] = None
            self.guest.process.kill()
            with contextlib.suppress(Exception):
                self.guest.close()
            self.guest = None

    def ask(self, tag):
        try:
            if self.guest is None:
                self.guest = Guest(self.world.home, self.agent)
                self.guest.hello()
                self.world.pids["guest"] = self.guest.process.pid
            result = self.guest.ask("tools/call", {"name": "send", "arguments": {"path": f"/ok?{tag}"}}, seconds=60)
        except (AssertionError, OSError, ValueError):
            self.end()
            return None
        said = result.get("structuredContent", {})
        return said.get("approval_id") if said.get("status") == "pending_approval" else None


class Cli(Asker):
    """By the command line, which is killed, too."""

    def ask(self, tag):
        process = subprocess.Popen(self.world.home.command("action", "run", "send", "--arg", f"path=/ok?{tag}", "--json"),
                                   env=self.world.home.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        self.world.pids["cli"] = process.pid
        with process:
            out, _ = process.communicate(timeout=60)
            self.world.pids["cli"] = None
        if process.returncode != 75:
            return None
        return json.loads(out)["approval_id"]


class Person(threading.Thread):
    """Decides what waits: mostly yes, sometimes no, sometimes not yet. Keeps the vault unlocked."""

    def __init__(self, world, seed):
        super().__init__()
        self.world, self.rng = world, random.Random(seed)

    def run(self):
        while not self.world.stop.is_set():
            self.look()
            time.sleep(0.02)

    def look(self):
        waiting = self.world.request("GET", "/v1/action-approvals")
        if waiting is None or waiting.status != 200:
            self.world.home.cli("vault", "unlock")
            return
        items = waiting.json["items"]
        if any(item["vault_locked"] for item in items) or not items:
            self.world.home.cli("vault", "unlock")
        for item in items:
            if self.rng.random() < 0.8:
                self.decide(item["id"], self.rng.random() < 0.75)

    def decide(self, approval, yes):
        if yes:
            self.world.tried.add(approval)
        got = self.world.request("POST", f"/v1/action-approvals/{approval}/decide", {"approved": yes})
        if got is not None and got.status == 204:
            self.world.told[approval] = yes
            self.world.done["decisions"] += 1


class Reader(threading.Thread):
    """Looks at runs while they change: an end that was told is never another one later."""

    def __init__(self, world, seed):
        super().__init__()
        self.world, self.rng, self.ends = world, random.Random(seed), {}

    def run(self):
        while not self.world.stop.is_set():
            approvals = [approval for approval in list(self.world.asked.values()) if approval is not None]
            if approvals:
                self.look(self.rng.choice(approvals[-50:]))
            time.sleep(0.01)

    def look(self, approval):
        got = self.world.request("GET", f"/v1/runs/{approval}")
        if got is None or got.status != 200:
            return
        state = got.json["state"]
        before = self.ends.get(approval, state)
        if before != state:
            self.world.wrong.append((approval, before, state))
        if state in ENDED:
            self.ends[approval] = state
            self.world.done["answers"] += 1


class Kill(unittest.TestCase):
    def test_kills(self):
        adopt_orphans()
        service = Service()
        self.addCleanup(service.close)
        self.rng = random.Random(SEED)
        with Home(ca=service.ca) as home:
            home.init()
            home.link("fixture", manifest=manifest_of("fixture", service.port))
            home.ok("binding", "setup", FQN, "--identity", "work", "--value-file", "-", "--yes", stdin="the-value-1")
            folder = home.root / "actions"
            folder.mkdir()
            (folder / "send.md").write_text(action("send", service.port, inputs=("path",)))
            home.ok("action", "link", folder)
            world = World(home)
            people = [Api(world, "api", SEED), Agent(world, "guest", SEED + 1, register(home, "robot")),
                      Cli(world, "cli", SEED + 2), Person(world, SEED + 3), Reader(world, SEED + 4)]
            for one in people:
                one.start()
            killed = dict.fromkeys(VICTIMS, 0)
            try:
                while sum(killed.values()) < KILLS:
                    self.kill_one(world, killed)
            finally:
                world.stop.set()
                for one in people:
                    one.join(120)
            states = self.judge(world, service)
            home.ok("daemon", "stop")
            self.assertEqual(programs_below(), {}, "processes are left behind")
            print(f"seed {SEED}: killed {killed}; {world.done}; {states}")

    def kill_one(self, world, killed):
        # When it comes is what is random here; nothing is waited for.
        time.sleep(self.rng.random() * 0.3)
        victim = self.rng.choice(VICTIMS)
        pid = world.pids.get(victim)
        if victim not in world.pids:
            pid = self.family(world).get(victim)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed[victim] += 1
            if victim == "parent":
                wait_for(lambda: not is_alive(pid), "the parent's end", 10)

    def family(self, world):
        try:
            found = {"parent": world.home.discovery["pid"]}
        except (OSError, ValueError, KeyError):
            return {}
        got = world.request("GET", "/v1/status")
        if got is None or got.status != 200:
            return found
        found.update({p["role"]: p["pid"] for p in got.json["processes"] if p["running"]})
        if got.json["runners"]:
            found["runner"] = self.rng.choice(got.json["runners"])["pid"]
        return found

    # ------------------------------------------------------------------------------------------------------------- judging

    def runs(self, home):
        found, before = [], ""
        while True:
            page = home.request("GET", f"/v1/runs?limit=200{before}").json["items"]
            found += page
            if len(page) < 200:
                return {run["args"]["path"].partition("?")[2]: run for run in found}
            before = f"&before={page[-1]['id']}"

    def settle(self, home):
        """Every run that was decided comes to an end; those that wait for a person wait."""
        def settled():
            home.cli("vault", "unlock")
            return all(run["state"] in (*ENDED, "pending_approval") for run in self.runs(home).values())
        wait_for(settled, "every decided run to come to its end", 60)

    def judge(self, world, service):
        home = world.home
        wait_for(lambda: home.cli("vault", "unlock").code == 0, "the daemon after the last kill")
        self.settle(home)
        runs = self.runs(home)
        calls = {}
        for _, path, _, _ in service.seen:
            tag = path.partition("?")[2]
            calls[tag] = calls.get(tag, 0) + 1
        self.assertEqual({tag: n for tag, n in calls.items() if n > 1}, {}, "something ran twice")
        self.assertEqual(set(calls) - set(runs), set(), "something ran that nobody knows of")
        for tag, run in runs.items():
            state, approval, n = run["state"], run["approval_id"], calls.get(tag, 0)
            self.assertIn(n, RAN.get(state, {0}), (tag, run))
            if n > 0:
                self.assertIn(approval, world.tried, "it ran although nobody approved it")
            if world.told.get(approval) is False:
                self.assertEqual((state, n), ("denied", 0), "a no that was acknowledged is lost")
            if world.told.get(approval) is True:
                self.assertNotIn(state, ("pending_approval", "denied"), "a yes that was acknowledged is lost")
            if state in ENDED and state != "completed":
                result = home.request("GET", f"/v1/action-approvals/{approval}/result").json
                self.assertIn("ran", result.get("failure", {}).get("details", {}), (run, result))
                told = result["failure"]["details"]["ran"]
                # One that failed may have run as far as to the refusal.
                honest = ("yes", "no") if state == "failed" else ("maybe",) if state == "outcome_unknown" else ("no",)
                self.assertIn(told, honest, run)
        for tag, approval in world.asked.items():
            if approval is not None:
                self.assertEqual(runs.get(tag, {}).get("approval_id"), approval, "a request that was acknowledged is lost")
        self.assertEqual(world.wrong, [], "an end became another one")
        self.assertTrue(all(world.done.values()), world.done)
        self.judge_record(home, runs)
        return {state: sum(run["state"] == state for run in runs.values()) for state in sorted({r["state"] for r in runs.values()})}

    def judge_record(self, home, runs):
        self.assertTrue(home.ok("audit", "verify", "--json").json["intact"])
        export = home.ok("audit", "export").out
        events = [json.loads(line).get("event", {}) for line in export.splitlines()]

        def of(*types):
            return [e["payload"]["aileron.run.id"] for e in events if e.get("event_type") in types]
        started = of("run.started")
        self.assertEqual(len(started), len(set(started)), "a run was claimed twice")
        approved, completed = set(of("approval.approved")), of("run.completed")
        self.assertEqual(set(started) - approved, set(), "a run was started without a yes in the record")
        self.assertEqual(sorted(completed), sorted(run["id"] for run in runs.values() if run["state"] == "completed"))


if __name__ == "__main__":
    unittest.main()
