"""SIGKILL at random points of every process under load: nothing that was acknowledged is lost, nothing runs twice, the chain
stays whole, each time the daemon comes back by itself, and nothing is left over at the end.

AILERON_KILLS and AILERON_SEED choose another number of kills and another order."""
import contextlib
import json
import os
import random
import signal
import threading
import time
import unittest

from daemon import Home, adopt_orphans, manifest_of, programs_below, wait_for
from house import SANITIZED
from service import Service

KILLS = int(os.environ.get("AILERON_KILLS", "25" if SANITIZED else "300"))
SEED = int(os.environ.get("AILERON_SEED", "20261121"))
VICTIMS = ("parent", "control", "keeper", "egress", "runner")
CHILDREN = ("control", "keeper", "egress")
SETTLED = 0.7  # the share of kills after which it is watched how the daemon comes back; the others hit it while it does


class Load:
    """One who works with the daemon through its command line: stores and deletes secrets, makes, renews and revokes a binding
    of a connector of its own, and calls that connector; and remembers what was acknowledged, and what may have happened."""

    def __init__(self, home, service, key, lane, seed):
        self.home, self.service, self.key, self.lane = home, service, key, lane
        self.rng = random.Random(seed)
        self.fqn, self.binding = f"github://acme/{lane}", f"api_key/{lane}/work"
        self.there, self.gone = set(), set()  # paths that were acknowledged, one way and the other
        self.values = {None}  # one of these is what the binding holds; None: there is no binding
        self.number = 0
        self.called, self.wrong, self.failed, self.done = [], [], {}, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        steps = (self.put, self.put, self.call, self.call, self.call, self.delete, self.bind, self.bind)
        while not self.stop.is_set():
            self.number += 1
            self.rng.choice(steps)()

    def cli(self, *args, **more):
        done = self.home.cli(*args, "--key-file", self.key, **more)
        if done.code == 0:
            self.done += 1
        else:
            why = done.err.strip().splitlines()[-1:] or ["?"]
            self.failed.setdefault(f"{done.code} {why[0][:160]}", []).append(args[:2])
        return done

    def put(self):
        path = f"secret/{self.lane}-{self.number}"
        if self.cli("vault", "put", path, "--value-file", "-", stdin="v" + path).code == 0:
            self.there.add(path)

    def delete(self):
        if not self.there:
            return
        path = self.rng.choice(sorted(self.there))
        self.there.remove(path)
        if self.cli("vault", "delete", path, "--yes").code == 0:
            self.gone.add(path)

    def bind(self):
        """setup, or one of rebind and revoke; whatever fails may have happened all the same"""
        value = f"{self.lane}-value-{self.number}"
        if self.values == {None} or (None in self.values and self.rng.random() < 0.5):
            verb, after = ("setup", self.fqn, "--identity", "work"), value
        elif self.rng.random() < 0.3:
            verb, after = ("revoke", self.binding), None
        else:
            verb, after = ("rebind", self.binding), value
        flags = ("--value-file", "-") if after else ()
        done = self.cli("binding", *verb, *flags, "--yes", stdin=after)
        self.values = {after} if done.code == 0 else self.values | {after}

    def call(self):
        name = f"{self.lane}-{self.number}"
        done = self.cli("connector", "call", self.fqn, "--op", "http_cred", "--json", "--args", json.dumps(
            {"url": f"https://127.0.0.1:{self.service.port}/ok?{name}", "credential": "api_key"}))
        if done.code == 0:
            self.called.append(name)
            self.judge_value(name)

    def judge_value(self, name):
        sent = [headers["authorization"] for _, path, headers, _ in list(self.service.seen) if path == f"/ok?{name}"]
        if not sent or sent[0].removeprefix("Bearer ") not in self.values:
            self.wrong.append((name, sent, self.values))


class Kill(unittest.TestCase):
    def test_kills(self):
        adopt_orphans()
        service = Service()
        self.addCleanup(service.close)
        self.rng = random.Random(SEED)
        with Home(ca=service.ca) as home:
            key = home.root / "member.key"
            home.init()
            home.ok("vault", "member", "add", "robot", "--new-key-file", key)
            del home.env["AILERON_VAULT_PASSPHRASE"]
            lanes = [Load(home, service, key, lane, SEED + i) for i, lane in enumerate(("ada", "bob"))]
            for lane in lanes:
                home.link("fixture", manifest=manifest_of(lane.lane, service.port), folder=lane.lane)
                lane.thread.start()
            killed = dict.fromkeys(VICTIMS, 0)
            try:
                while sum(killed.values()) < KILLS:
                    self.kill_one(home, killed)
            finally:
                for lane in lanes:
                    lane.stop.set()
                for lane in lanes:
                    lane.thread.join(120)
            self.judge(home, service, key, lanes)
            self.judge_what_is_left(home)
            print(f"seed {SEED}: killed {killed}, {sum(lane.done for lane in lanes)} acknowledged, told that they failed:")
            reasons = {}
            for lane in lanes:
                for why, verbs in lane.failed.items():
                    reasons[why] = reasons.get(why, 0) + len(verbs)
            for why, n in sorted(reasons.items(), key=lambda row: -row[1]):
                print(f"    {n:4} {why}")

    # ---------------------------------------------------------------------------------------------------------- killing

    def family(self, home):
        """{role: pid} of what runs, as the API says, or None when nobody says anything"""
        try:
            where = home.discovery
            status = home.request("GET", "/v1/status", check=False).json
        except (OSError, ValueError, KeyError):
            return None
        if "processes" not in status:
            return None
        found = {p["role"]: p["pid"] for p in status["processes"] if p["running"]}
        found["parent"] = where["pid"]
        if status["runners"]:
            found["runner"] = self.rng.choice(status["runners"])["pid"]
        return found

    def kill_one(self, home, killed):
        # When it comes is what is random here; nothing is waited for.
        time.sleep(self.rng.random() * 0.4)
        victim = self.rng.choice(VICTIMS)
        family = self.family(home)
        if family is None or victim not in family:
            return  # it is just being started
        with contextlib.suppress(ProcessLookupError):
            os.kill(family[victim], signal.SIGKILL)
            killed[victim] += 1
            if self.rng.random() < SETTLED:
                self.watch_it_come_back(home, victim, family)

    def watch_it_come_back(self, home, victim, before):
        """A child comes back without anybody's doing; the parent takes its children along, and the next verb starts another."""
        if victim == "parent":
            for role, pid in before.items():
                wait_for(lambda: not is_alive(pid), f"the end of {role} {pid} after the parent's", 10)
        if victim != "runner":
            def back():
                now = self.family(home)
                return now is not None and all(role in now for role in CHILDREN) and now[victim] != before[victim]
            wait_for(back, f"another {victim}", 30)

    # ---------------------------------------------------------------------------------------------------------- judging

    @staticmethod
    def works(lane):
        """Whether a new call is answered; a binding that was revoked last has none to answer with."""
        lane.number += 1
        called = len(lane.called)
        lane.call()
        return len(lane.called) > called or None in lane.values

    def judge(self, home, service, key, lanes):
        wait_for(lambda: home.cli("vault", "unlock", "--key-file", key).code == 0, "the daemon after the last kill")
        there = {entry["path"] for entry in home.ok("vault", "list", "--json").lines}
        for lane in lanes:
            self.assertEqual(lane.there - there, set(), "acknowledged writes are lost")
            self.assertEqual(lane.gone & there, set(), "what was deleted is there again")
            self.assertEqual(lane.wrong, [], "a call carried a value that was not the binding's")
            wait_for(lambda: self.works(lane), f"a call that works after the last kill, not {list(lane.failed)[-1:]}")
            self.assertEqual(lane.wrong, [], "a binding holds a value that was not the last that was acknowledged")
        asked = [path.split("?")[1] for _, path, _, _ in service.seen]
        self.assertEqual(sorted(set(asked)), sorted(asked), "a call was sent twice")
        for lane in lanes:
            self.assertEqual([name for name in lane.called if name not in asked], [])
            self.assertGreater(len(lane.called), 0)
        self.judge_record(home, sum(len(lane.called) for lane in lanes))

    def judge_record(self, home, called):
        self.assertTrue(home.ok("audit", "verify", "--json").json["intact"])
        export = home.root / "export.ndjson"
        export.write_text(home.ok("audit", "export").out)
        home.ok("audit", "verify", export, "--key", home.state / "device.pub")
        events = [json.loads(line).get("event", {}) for line in export.read_text().splitlines()]

        def executions(*types):
            return [e["payload"]["aileron.execution.id"] for e in events if e.get("event_type") in types
                    and "aileron.execution.id" in e["payload"]]
        starts, ends = executions("execution.started"), executions("execution.succeeded", "execution.failed")
        self.assertEqual(len(starts), len(set(starts)), "an execution started twice")
        self.assertEqual(len(ends), len(set(ends)), "an execution ended twice")
        self.assertEqual(set(ends), set(starts), "an execution has a start and no end, or the other way round")
        self.assertGreaterEqual(len(executions("execution.succeeded")), called, "a call that was answered has no end")

    def judge_what_is_left(self, home):
        """After an orderly end: no process, and no file that a killed one was just writing."""
        home.ok("daemon", "stop")
        self.assertEqual(programs_below(), {}, "processes are left behind")
        vault = sorted(path.name for path in (home.state / "vault").iterdir())
        self.assertLessEqual(len(vault), 6, vault)
        state = sorted(str(path.relative_to(home.state)) for path in home.state.rglob("*") if path.is_file())
        self.assertLessEqual(len(state), 24, state)


def is_alive(pid):
    """not counting one that ended and was not asked yet how"""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main()
