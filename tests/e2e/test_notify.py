"""Notices on the desktop: a real session bus of our own, and a service on it that writes down what it is told."""
import json
import select
import shutil
import subprocess
import sys
import unittest

import skips
from house import SLOW
from test_approval_cli import Cli

try:
    import dbus  # noqa: F401
    from gi.repository import GLib  # noqa: F401
    MISSING = "" if shutil.which("dbus-daemon") else "dbus-daemon"
except ImportError:
    MISSING = "python3-dbus or python3-gi"


class Bus:
    """A session bus, and a desktop on it when wanted."""

    def __init__(self, case):
        self.case = case
        self.daemon = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address=1"], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True)
        case.addCleanup(self.end, self.daemon)
        self.address = self.daemon.stdout.readline().strip()
        self.env = {"DBUS_SESSION_BUS_ADDRESS": self.address}

    def end(self, process):
        process.kill()
        process.wait()
        process.stdout.close()

    def desktop(self):
        service = subprocess.Popen([sys.executable, "-B", "notifications.py"], stdout=subprocess.PIPE, bufsize=0,
                                   env={**self.case.home.env, **self.env})
        self.case.addCleanup(self.end, service)
        self.case.assertEqual(service.stdout.readline(), b"ready\n")
        return service

    def told(self, service):
        """The next notice; one line a notice, so that nothing is left in between"""
        ready, _, _ = select.select([service.stdout], [], [], 20 * SLOW)
        self.case.assertTrue(ready, "no notice came")
        return json.loads(service.stdout.readline())


class Notified(Cli):
    def setUp(self):
        if MISSING:
            skips.without(self, MISSING)
        super().setUp()

    def restart(self, env):
        self.home.ok("daemon", "stop")
        self.home.env.update(env)
        self.home.ok("vault", "unlock")


class Notices(Notified):
    def test_the_program_alone(self):
        bus = Bus(self)
        nobody = self.home.cli("notify", "act-1", env=bus.env)
        self.assertEqual((nobody.code, nobody.out), (69, ""), nobody.err)
        desktop = bus.desktop()
        self.home.ok("notify", "act-20260101T000000-0123456789abcdef", env=bus.env)
        self.assertEqual(bus.told(desktop), ["aileron", 0, "", "An agent asks for approval",
                                             "act-20260101T000000-0123456789abcdef", [], {}, -1])
        for bad in ("<b>", "a b", "", "x" * 41, "a\n"):
            self.assertEqual(self.home.cli("notify", bad, env=bus.env).code, 2, bad)
        self.assertEqual(self.home.cli("notify", "act-1").code, 69)
        gone = self.home.cli("notify", "act-1", env={"DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.home.root}/none"})
        self.assertEqual(gone.code, 1, gone.err)
        folder = self.home.root / "run"
        folder.mkdir()
        (folder / "bus").symlink_to(bus.address.split("path=")[1].split(",")[0])
        self.home.ok("notify", "act-2", env={"XDG_RUNTIME_DIR": str(folder)})
        self.assertEqual(bus.told(desktop)[4], "act-2")

    def test_what_waits_is_told_once(self):
        bus = Bus(self)
        desktop = bus.desktop()
        self.restart(bus.env)
        self.add("send")
        first = self.ask()
        self.assertEqual(bus.told(desktop)[3:5], ["An agent asks for approval", first["approval_id"]])
        again = self.ask()  # the same request: nobody is told twice
        self.assertEqual(again["approval_id"], first["approval_id"])
        other = self.home.cli("action", "run", "send", "--arg", "path=/ok?2", "--json")
        self.assertEqual(bus.told(desktop)[4], json.loads(other.out)["approval_id"])

    def test_many_at_once_are_few_notices(self):
        bus = Bus(self)
        desktop = bus.desktop()
        self.restart(bus.env)
        self.add("send")
        asked = [self.home.request("POST", "/v1/actions/send/run", {"args": {"path": f"/ok?{i}"}}).json["approval_id"] for i in range(12)]
        told = [bus.told(desktop)[4]]
        while told[-1] != asked[-1]:
            told.append(bus.told(desktop)[4])
        self.assertEqual(told[0], asked[0])
        self.assertLess(len(told), len(asked))

    def test_without_a_bus_all_goes_on(self):
        self.restart({"DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.home.root}/none"})
        self.add("send")
        asked = self.ask()
        self.home.ok("approval", "approve", asked["approval_id"], "--yes")
        self.comes_to(asked["run_id"], "completed")


class Off(Notified):
    config = "approvals:\n  notify: false\n"

    def test_what_waits_is_told_once(self):
        bus = Bus(self)
        desktop = bus.desktop()
        self.restart(bus.env)
        self.add("send")
        self.ask()
        # The next notice that comes is one of ours.
        self.home.ok("notify", "act-ours", env=bus.env)
        self.assertEqual(bus.told(desktop)[4], "act-ours")


if __name__ == "__main__":
    unittest.main()
