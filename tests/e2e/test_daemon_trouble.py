"""Trouble short of a kill: stopped and restarted under load, processes that crash while somebody waits for them, processes that
hang. Each ends in a clear error within its documented time, nothing hangs for ever, and nothing that was acknowledged is lost."""
import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
import unittest
from pathlib import Path

from daemon import Home, adopt_orphans, programs_below, wait_for
from house import SLOW
from service import Service

FQN = "github://acme/fixture"
LOCKED_S = 5  # a verb waits so long for a daemon that holds the lock and does not answer (spawn.h)
HEALTH_S = 2  # and so long for an answer about its health
KEEPER_S = 10  # control waits for the keeper
PARENT_S = 10  # and for the parent
GRACE_S = 5  # control waits for egress beyond a request's own time
SILENT_S = 10  # two turns of the parent's pulse
HUNG_S = 25  # four turns, and one for the first question


class Trouble(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        adopt_orphans()

    def setUp(self):
        self.service = Service()
        self.addCleanup(self.service.close)
        self.home = Home(ca=self.service.ca)
        self.addCleanup(self.leave)
        self.home.init()
        self.home.link("fixture", self.service.port)
        self.bind()

    def leave(self):
        self.service.hold.set()
        self.home.__exit__()
        self.assertEqual(programs_below(), {}, "processes are left behind")

    # ------------------------------------------------------------------------------------------------------------ its parts

    def bind(self):
        self.home.ok("binding", "setup", FQN, "--identity", "work", "--value-file", "-", "--yes", stdin="the-value")

    def popen(self, *args, **more):
        process = subprocess.Popen(self.home.command(*args), env=self.home.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True, **more)
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
        return process

    def call_args(self, path, *flags):
        return ("connector", "call", FQN, "--op", "http_cred", "--json", *flags, "--args", json.dumps(
            {"url": f"https://127.0.0.1:{self.service.port}{path}", "credential": "api_key"}))

    def call(self, path="/ok", *flags):
        return self.home.cli(*self.call_args(path, *flags))

    def answered(self, *verb):
        """What a verb gave, None while the daemon cannot answer"""
        done = self.home.cli(*verb)
        return done if done.code == 0 else None

    def held_call(self):
        """A call whose request is at the service, which does not answer yet"""
        self.service.hold.clear()
        self.service.asked.clear()
        process = self.popen(*self.call_args("/hold"))
        self.assertTrue(self.service.asked.wait(60))
        return process

    def end(self, process, within):
        started = time.monotonic()
        out, err = process.communicate(timeout=(within + 5) * SLOW)
        self.assertLess(time.monotonic() - started, within * SLOW, (out, err))
        return process.returncode, out, err

    def within(self, seconds, *args, **more):
        started = time.monotonic()
        done = self.home.cli(*args, timeout=seconds + 5, **more)
        self.assertLess(time.monotonic() - started, (seconds + 0.5) * SLOW, (args, done))
        return done

    def log_has(self, text):
        return lambda: text in (self.home.state / "daemon.log").read_text()

    def runner(self):
        return self.home.ok("status", "--json").json["runners"][0]["pid"]

    def ends(self, kind):
        return [e["payload"] for e in self.home.events() if e["event_type"] == kind]

    def judge_record(self):
        self.assertTrue(self.home.ok("audit", "verify", "--json").json["intact"])
        starts = [p["aileron.execution.id"] for p in self.ends("execution.started")]
        ends = [p["aileron.execution.id"] for p in self.ends("execution.succeeded") + self.ends("execution.failed")]
        self.assertEqual(sorted(starts), sorted(ends))

    @contextlib.contextmanager
    def stopped(self, pid):
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def load(self):
        """Two who store values all the time; gives what they were told"""
        told, over = [], threading.Event()

        def put(lane):
            number = 0
            while not over.is_set():
                number += 1
                path = f"secret/{lane}-{number}"
                told.append((path, self.home.cli("vault", "put", path, "--value-file", "-", stdin="value")))
        lanes = [threading.Thread(target=put, args=(lane,)) for lane in "ab"]
        for lane in lanes:
            lane.start()
        try:
            yield told
        finally:
            over.set()
            for lane in lanes:
                lane.join(120 * SLOW)

    def judge_load(self, told, also=()):
        there = {entry["path"] for entry in self.home.ok("vault", "list", "--json").lines}
        self.assertEqual([path for path, done in told if done.code == 0 and path not in there], [])
        self.assertEqual([done for _, done in told if done.code not in (0, *also)], [])
        self.assertGreater(sum(done.code == 0 for _, done in told), 0)

    # ------------------------------------------------------------------------------------------------------ stop and restart

    def test_a_restart_lets_calls_finish(self):
        before = self.home.discovery
        with self.load() as told:
            wait_for(lambda: len(told) > 2, "some load")
            call = self.held_call()
            restart = self.popen("daemon", "restart")
            wait_for(self.log_has('"daemon_stopping"'), "the daemon's word that it stops")
            self.assertIsNone(call.poll())
            self.service.hold.set()
            code, out, err = self.end(call, 20)
            self.assertEqual(code, 0, (out, err))
            self.assertEqual(self.end(restart, 40)[0], 0)
            wait_for(lambda: told[-1][1].code == 0, "an acknowledged write after the restart")
        self.assertNotEqual(self.home.discovery["instance_id"], before["instance_id"])
        self.judge_load(told, also=(69,))
        self.assertEqual(len(self.ends("execution.succeeded")), 1)
        self.assertEqual(self.ends("execution.failed"), [])
        self.judge_record()

    def test_a_second_signal_ends_at_once(self):
        call = self.held_call()
        pid = self.home.discovery["pid"]
        os.kill(pid, signal.SIGTERM)
        wait_for(self.log_has('"daemon_stopping"'), "the daemon's word that it stops")
        self.assertIsNone(call.poll())
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not programs_of_daemon(), "the end of all processes", 5)
        code, out, err = self.end(call, 5)
        self.assertEqual(code, 69, (out, err))
        self.service.hold.set()
        self.assertEqual([p["aileron.reason"] for p in self.ends("execution.failed")], ["interrupted"])
        self.assertEqual([path for _, path, _, _ in self.service.seen].count("/hold"), 1)
        self.judge_record()

    def test_hangups_under_load(self):
        log = self.home.state / "daemon.log"
        pid = self.home.discovery["pid"]
        with self.load() as told:
            for number in range(10):
                before = len(told)
                log.rename(self.home.state / f"log.{number}")
                os.kill(pid, signal.SIGHUP)
                wait_for(log.exists, "a new log")
                wait_for(lambda: len(told) > before + 1, "further writes")
        self.assertEqual(self.home.discovery["pid"], pid)
        self.judge_load(told)

    def test_a_call_that_waits_for_its_service_costs_no_time_of_the_processor(self):
        def used(name):  # seconds: utime and stime (proc(5))
            fields = Path(f"/proc/{self.home.process(name)}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        self.call()
        call = self.held_call()
        before = {name: used(name) for name in ("control", "egress", "keeper")}
        time.sleep(2)
        for name, seconds in before.items():
            self.assertLess(used(name) - seconds, 0.2, name)
        self.service.hold.set()
        self.assertEqual(self.end(call, 10)[0], 0)

    # --------------------------------------------------------------------------------------------------------------- crashes

    def test_egress_crashes_while_a_call_waits(self):
        call = self.held_call()
        os.kill(self.home.process("egress"), signal.SIGKILL)
        code, out, err = self.end(call, 10)
        self.assertEqual(code, 1, (out, err))
        self.assertRegex(out + err, "connector_runtime_error|network_error")
        self.service.hold.set()
        wait_for(lambda: self.call().code == 0, "a call that works again")
        self.assertEqual([path for _, path, _, _ in self.service.seen].count("/hold"), 1)
        self.judge_record()

    def test_the_keeper_crashes_while_a_call_waits(self):
        call = self.held_call()
        os.kill(self.home.process("keeper"), signal.SIGKILL)
        wait_for(lambda: self.home.request("GET", "/v1/health", token="").json["status"] == "ok", "another keeper")
        self.service.hold.set()
        code, out, err = self.end(call, 10)
        self.assertEqual(code, 0, ("the credential was out already", out, err))
        status = wait_for(lambda: self.answered("vault", "status", "--json"), "the new keeper's answer")
        self.assertEqual(status.json["state"], "locked")
        self.judge_record()

    def test_control_crashes_while_a_call_waits(self):
        call = self.held_call()
        os.kill(self.home.process("control"), signal.SIGKILL)
        code, out, err = self.end(call, 10)
        self.assertEqual(code, 69, (out, err))
        self.service.hold.set()
        wait_for(lambda: self.call().code == 0, "a call that works again")
        self.assertEqual([p["aileron.reason"] for p in self.ends("execution.failed")], ["interrupted"])
        self.assertEqual([path for _, path, _, _ in self.service.seen].count("/hold"), 1)
        self.judge_record()

    def runner_ends(self):
        return [(p["aileron.process.end"], p.get("aileron.connector.fqn")) for p in self.ends("process.ended")
                if p["aileron.process.role"] == "runner"]

    def test_an_idle_runner_crashes(self):
        self.assertEqual(self.call().code, 0)
        self.assertEqual(self.home.ok("status", "--json").json["runner_crashes"], {"count": 0})
        pid = self.runner()
        os.kill(pid, signal.SIGKILL)
        wait_for(self.log_has("aileron-runner ended by signal 9 (Killed)"), "the runner's end in the log")
        line = next(json.loads(line) for line in (self.home.state / "daemon.log").read_text().splitlines() if "aileron-runner ended" in line)
        self.assertEqual((line["event"], line["level"], line["program"], line["pid"]), ("child_ended", "warn", "aileron-runner", pid))
        wait_for(lambda: self.runner_ends() == [("signal 9 (Killed)", FQN)], "the runner's end on record")
        crashes = self.home.request("GET", "/v1/status").json["runner_crashes"]
        self.assertTrue(crashes.pop("last_at"))
        self.assertEqual(crashes, {"count": 1, "last_connector": FQN, "last_end": "signal 9 (Killed)"})
        self.assertRegex(self.home.ok("status").out, f"1 runner has crashed, the last at .*, of {FQN}: signal 9")
        self.assertEqual(self.call().code, 0, "the next call starts another")
        self.judge_record()

    def test_a_runner_crashes_in_a_call(self):
        call = self.held_call()
        os.kill(self.runner(), signal.SIGKILL)
        code, out, err = self.end(call, 10)
        self.assertEqual(code, 1, (out, err))
        self.assertIn("signal 9", out + err)
        self.service.hold.set()
        wait_for(lambda: self.runner_ends() == [("signal 9 (Killed)", FQN)], "the runner's end on record")
        self.assertEqual(self.call().code, 0)
        self.judge_record()

    def test_a_runner_that_is_ended_has_not_crashed(self):
        self.assertEqual(self.call().code, 0)
        egress = self.home.process("egress")
        os.kill(egress, signal.SIGKILL)
        wait_for(lambda: self.home.process("egress") not in (None, egress), "another egress")
        wait_for(lambda: self.call().code == 0, "a call that works again")
        with self.stopped(self.runner()):
            self.assertEqual(self.call("/ok", "--timeout", "1s").code, 1)
        self.assertEqual(self.call().code, 0)
        self.assertEqual(self.home.ok("status", "--json").json["runner_crashes"], {"count": 0})
        self.home.ok("daemon", "stop")
        self.assertNotIn("aileron-runner ended", (self.home.state / "daemon.log").read_text())
        self.assertEqual(self.runner_ends(), [])

    # --------------------------------------------------------------------------------------------------------------- hanging

    def silent(self, role):
        done = self.home.cli("status", "--json")
        return done.code == 0 and [p["role"] for p in done.json["processes"] if p.get("silent")] == [role]

    def test_the_keeper_hangs(self):
        self.home.ok("vault", "put", "secret/before", "--value-file", "-", stdin="x")
        with self.stopped(self.home.process("keeper")):
            status = self.within(LOCKED_S, "status", "--json").json
            self.assertEqual((status["vault_state"], status["vault"]["trouble"]), ("locked", "unavailable"))
            refused = self.within(KEEPER_S + 3, "vault", "put", "secret/x", "--value-file", "-", stdin="y")
            self.assertEqual(refused.code, 69, refused)
            self.assertIn("keeper did not answer", refused.err)
            refused = self.within(KEEPER_S + 3, *self.call_args("/ok"))
            self.assertIn(refused.code, (1, 69, 77), refused)
            wait_for(lambda: self.silent("keeper"), "the keeper to be shown as silent", SILENT_S + 5)
            self.assertIn("hangs", self.home.ok("status").out)
            doctor = self.home.cli("doctor")
            self.assertEqual(doctor.code, 1)
            self.assertRegex(doctor.out, "process keeper +process [0-9]+ gives no sign of life")
            self.assertEqual(self.home.request("GET", "/v1/health", token="").json["status"], "degraded")
        wait_for(lambda: self.home.request("GET", "/v1/health", token="").json["status"] == "ok", "the keeper's sign of life")
        self.assertIn("secret/before", {entry["path"] for entry in self.home.ok("vault", "list", "--json").lines})
        self.assertEqual(self.call().code, 0)
        self.judge_record()

    def test_egress_hangs(self):
        self.assertEqual(self.call().code, 0)
        pid = self.home.process("egress")
        with self.stopped(pid):
            refused = self.within(1 + GRACE_S + 2, *self.call_args("/ok", "--timeout", "1s"))
            self.assertEqual(refused.code, 1, refused)
            wait_for(lambda: self.home.process("egress") not in (None, pid), "another egress", HUNG_S)
            wait_for(lambda: self.call().code == 0, "a call that works again")
        self.assertIn("aileron-egress gave no sign of life", (self.home.state / "daemon.log").read_text())
        self.judge_record()

    def test_control_hangs(self):
        with self.stopped(self.home.process("control")):
            for verb in (("status",), ("connector", "list"), ("vault", "put", "secret/x", "--value-file", "-")):
                refused = self.within(LOCKED_S + 2 * HEALTH_S, *verb, stdin="x")
                self.assertEqual(refused.code, 69, (verb, refused))
                self.assertIn("does not answer", refused.err)
            doctor = self.home.cli("doctor")
            self.assertEqual(doctor.code, 1)
            self.assertIn("does not answer", doctor.out)
            wait_for(lambda: self.home.cli("status").code == 0, "another control", HUNG_S)
        self.assertEqual(self.call().code, 0)
        self.assertIn("aileron-control gave no sign of life", (self.home.state / "daemon.log").read_text())
        self.judge_record()

    def test_a_runner_hangs(self):
        self.assertEqual(self.call().code, 0)
        pid = self.runner()
        with self.stopped(pid):
            refused = self.within(4, *self.call_args("/ok", "--timeout", "1s"))
            self.assertEqual(refused.code, 1, refused)
            self.assertIn("the runner did not answer in time", refused.err)
            self.assertEqual(self.call().code, 0, "the next call starts a new one")
        self.assertNotEqual(self.runner(), pid)
        self.judge_record()

    def test_the_parent_hangs(self):
        self.assertEqual(self.call().code, 0)
        with self.stopped(self.home.discovery["pid"]):
            self.home.ok("status")
            self.home.ok("vault", "put", "secret/x", "--value-file", "-", stdin="y")
            self.assertEqual(self.call().code, 0, "what is held open needs no parent")
            other = self.home.root / "another"
            other.mkdir()
            refused = self.within(PARENT_S, "connector", "link", other)  # which the parent would have to open
            self.assertEqual(refused.code, 69, refused)
            self.assertIn("the parent did not answer", refused.err)
        self.assertEqual(self.call().code, 0)
        self.judge_record()


def programs_of_daemon():
    """those below this process that are not a verb"""
    def is_verb(pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                words = cmdline.read().split(b"\0")
            return len(words) > 1 and words[1] in (b"connector", b"daemon") and b"run" not in words
        except OSError:
            return True
    return [pid for pid in programs_below() if not is_verb(pid)]


class OAuthTrouble(unittest.TestCase):
    def test_control_crashes_in_the_middle_of_a_flow(self):
        from test_oauth import OAuth, browse
        flow = OAuth("end")
        OAuth.setUpClass()
        self.addCleanup(OAuth.tearDownClass)
        self.addCleanup(flow.doCleanups)
        home = flow.home()
        process, url = flow.begin(home, "binding", "setup", "github://acme/mail", "--identity", "alice", "--no-browser", "--yes")
        os.kill(home.process("control"), signal.SIGKILL)
        browse(url)
        started = time.monotonic()
        code, out, err = flow.end(process)
        self.assertLess(time.monotonic() - started, 20 * SLOW)
        self.assertIn(code, (1, 69), (out, err))
        self.assertRegex(err, r"aileron: [a-z_]+: \S")
        self.assertEqual(home.ok("binding", "list", "--json").lines, [])
        flow.set_up(home)
        self.assertEqual(flow.call(home).code, 0)


if __name__ == "__main__":
    unittest.main()
