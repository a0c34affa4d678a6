"""SIGKILL at random points: each call ends with an answer or a clear error, nothing hangs, nothing is left behind."""
import os
import pathlib
import random
import signal
import time
import unittest

from house import HARNESS, SANITIZED, children, finish, run, start
from service import Service

CALLS = 60 if SANITIZED else 500


def zombies_and_orphans():
    """processes of ours that are still there"""
    found = []
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(HARNESS.parent).encode() in (proc / "cmdline").read_bytes():
                found.append(proc.name)
        except OSError:
            continue
    return found


class Kill(unittest.TestCase):
    def test_children_killed_at_random_points(self):
        service = Service()
        rng = random.Random(20261121)
        answered = failed = 0
        args = {"url": "https://api.example.com/ok", "times": 20}
        run("many_requests", args, service.flags())  # compile once
        for number in range(CALLS):
            victim = rng.choice(["aileron-runner", "aileron-egress"])
            delay = rng.random() * 0.05
            process = start("many_requests", args, service.flags())
            deadline = time.monotonic() + delay
            while time.monotonic() < deadline:
                pass
            try:
                pid = children(process.pid).get(victim)
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
            except (OSError, KeyError):
                pass
            result = finish(process, timeout=20)
            if result.code == 0:
                answered += 1
                self.assertEqual(result.output, {"worked": 20})
            else:
                failed += 1
                self.assertEqual(result.code, 1, (number, result))
                text = result.line["error"] if result.out else result.err.decode()
                self.assertRegex(text, "runner|egress", number)
        service.close()
        self.assertEqual(zombies_and_orphans(), [])
        print(f"{answered} answered, {failed} ended with a clear error")
        self.assertGreater(answered, 0)
        self.assertGreater(failed, 0)

    def test_the_harness_killed_takes_its_children_along(self):
        process = start("loop")
        family = {}
        until = time.monotonic() + 30
        while "aileron-runner" not in family and time.monotonic() < until:
            family = children(process.pid)
        self.assertIn("aileron-runner", family)
        process.kill()
        finish(process)
        until = time.monotonic() + 10
        while zombies_and_orphans() and time.monotonic() < until:
            time.sleep(0.01)
        self.assertEqual(zombies_and_orphans(), [])


if __name__ == "__main__":
    unittest.main()
