"""A state directory without room, and one that cannot be written: clear errors, nothing acknowledged is lost, nothing leaves
that is not recorded, and all works again when there is room."""
import ctypes
import json
import os
import select
import signal
import subprocess
import unittest

from daemon import Home, Ran, wait_for
from house import SLOW
from service import Service

FQN = "github://acme/fixture"
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000


def own_mounts():
    """Moves this process into a mount namespace of its own, as root or in a user namespace; why not, when it cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
            return f"no user namespace: {os.strerror(ctypes.get_errno())}"
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    elif libc.unshare(CLONE_NEWNS) != 0:
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    done = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode != 0 else None


class Full(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reason = own_mounts()
        if reason is not None:
            print("skipped: needs a small file system of its own,", reason)
            raise unittest.SkipTest(reason)

    def setUp(self):
        self.service = Service()
        self.addCleanup(self.service.close)
        self.home = Home(ca=self.service.ca)
        self.home.state.mkdir(mode=0o700)
        self.mount("-t", "tmpfs", "-o", "size=24m,mode=700", "none", self.home.state)
        self.addCleanup(self.leave)
        self.filler = self.home.state / "filler"
        self.home.init()
        self.home.link("fixture", self.service.port)
        self.home.ok("binding", "setup", FQN, "--identity", "work", "--value-file", "-", "--yes", stdin="the-value")
        self.assertEqual(self.call("before").code, 0)

    def leave(self):
        self.home.cli("daemon", "stop")
        subprocess.run(["umount", "-l", self.home.state], check=True)
        self.home.__exit__()

    def mount(self, *args):
        subprocess.run(["mount", *map(str, args)], check=True, capture_output=True)

    def fill(self):
        with open(self.filler, "wb", 0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass

    def kill_daemon(self):
        """Waits for the end: until then the dying one may still be found, and answer."""
        pid = self.home.discovery["pid"]
        died = os.pidfd_open(pid)
        self.addCleanup(os.close, died)
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(select.select([died], [], [], 20 * SLOW)[0], "the daemon did not die")

    def put(self, path):
        return self.home.cli("vault", "put", path, "--value-file", "-", stdin="v" * 3000)

    def call(self, name):
        return self.home.cli("connector", "call", FQN, "--op", "http_cred", "--json", "--args", json.dumps(
            {"url": f"https://127.0.0.1:{self.service.port}/ok?{name}", "credential": "api_key"}))

    def sent(self):
        return [path.partition("?")[2] for _, path, _, _ in self.service.seen]

    def judge(self, puts, calls):
        there = {entry["path"] for entry in self.home.ok("vault", "list", "--json").lines}
        self.assertEqual([path for path, done in puts.items() if done.code == 0 and path not in there], [])
        self.assertTrue(self.home.ok("audit", "verify", "--json").json["intact"])
        events = self.home.events()
        started = [e["payload"]["aileron.execution.id"] for e in events if e["event_type"] == "execution.started"]
        ended = [e["payload"]["aileron.execution.id"] for e in events if e["event_type"] in (
            "execution.succeeded", "execution.failed")]
        self.assertEqual(sorted(ended), sorted(started))
        self.assertLessEqual(len(self.sent()), len(started), "a call was sent that is not in the record")
        self.assertEqual(len(set(self.sent())), len(self.sent()))
        self.assertEqual([name for name, done in calls.items() if done.code == 0 and name not in self.sent()], [])

    def assert_clear(self, done):
        self.assertIn(done.code, (1, 69, 77), done)
        self.assertRegex(done.err, "^aileron: .*(No space left on device|no space is left)", done)

    def test_no_room(self):
        puts, calls = {}, {}
        self.fill()
        for number in range(20):
            puts[f"secret/full-{number}"] = self.put(f"secret/full-{number}")
            calls[f"full-{number}"] = self.call(f"full-{number}")
        refused = [done for done in [*puts.values(), *calls.values()] if done.code != 0]
        self.assertGreater(len(refused), 0, "there was room all the same")
        for done in refused:
            self.assert_clear(done)
        self.home.ok("status")
        self.home.ok("vault", "list")
        self.filler.unlink()
        self.assertEqual(self.put("secret/after").code, 0)
        after = self.call("after")
        self.assertEqual(after.code, 0, after)
        puts["secret/after"] = self.put("secret/after")
        self.judge(puts, calls)

    def test_room_ends_while_a_call_runs(self):
        self.service.hold.clear()
        call = subprocess.Popen(self.home.command("connector", "call", FQN, "--op", "http_cred", "--args", json.dumps(
            {"url": f"https://127.0.0.1:{self.service.port}/hold?held", "credential": "api_key"})), env=self.home.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertTrue(self.service.asked.wait(60))
        self.fill()
        tried = []

        def is_refused():
            tried.append(self.call(f"full-{len(tried)}"))
            return "store_error" in tried[-1].err

        wait_for(is_refused, "a record without room")
        self.service.hold.set()
        out, err = call.communicate(timeout=60)
        held = Ran(call.returncode, out, err)
        if held.code != 0:
            self.assert_clear(held)
        self.filler.unlink()
        self.home.ok("daemon", "restart")
        self.judge({}, {"held": held})
        answered = 1 + [done.code for done in (held, *tried)].count(0)  # and the one of before
        succeeded = [e for e in self.home.events() if e["event_type"] == "execution.succeeded"]
        untold = [e for e in self.home.events() if e["payload"].get("aileron.reason") in ("not_recorded", "interrupted")]
        self.assertEqual((len(succeeded), len(untold)), (answered, len(self.sent()) - answered))

    def test_a_crash_without_room(self):
        puts = {f"secret/{number}": self.put(f"secret/{number}") for number in range(3)}
        self.fill()
        puts["secret/full"] = self.put("secret/full")
        self.kill_daemon()
        started = self.home.cli("daemon", "start")
        if started.code != 0:
            self.assert_clear(started)
        self.filler.unlink()
        wait_for(lambda: self.home.cli("vault", "unlock").code == 0, "a daemon with room")
        after = self.call("after")
        self.assertEqual(after.code, 0, after)
        self.judge(puts, {})

    def test_read_only(self):
        puts = {"secret/before": self.put("secret/before")}
        self.home.ok("daemon", "stop")
        self.mount("-o", "remount,ro", self.home.state)
        for verb in (("daemon", "start"), ("connector", "list"), ("vault", "unlock")):
            done = self.home.cli(*verb)
            self.assertIn(done.code, (1, 69), done)
            self.assertRegex(done.err.lower(), "read-only", done)
        self.assertEqual(self.home.cli("status").code, 69)
        doctor = self.home.cli("doctor")
        self.assertNotIn("Traceback", doctor.out)
        self.mount("-o", "remount,rw", self.home.state)
        self.assertEqual(self.put("secret/after").code, 0)
        self.judge(puts, {})


if __name__ == "__main__":
    unittest.main()
