"""The official conformance suite against the fixtures, over HTTP and over lines, without a list of expected failures."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

from bridge import Bridge

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from skips import without  # noqa: E402

BUILD = pathlib.Path(os.environ["AILERON_BUILD"])
FIXTURES = BUILD / "tests" / "conformance" / "aileron-mcp-fixtures"
MODULES = HERE / "node_modules"
NODE = MODULES / "node" / "bin" / "node"
SUITE = MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"

# Scored scenarios of each requirement set, and which of them say something of HTTP alone: through the bridge they pass by its
# doing, and are not counted there.
SCORED = {"2025-11-25": 30, "2026-07-28": 37}
HTTP_ONLY = {"dns-rebinding-protection", "server-sse-multiple-streams"}


class Report:
    """what the suite printed"""

    def __init__(self, url, requirements):
        run = subprocess.run([NODE, SUITE, "server", "--url", url, "--requirements", requirements], cwd=HERE,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        self.status, self.text = run.returncode, run.stdout
        summary, _, rest = self.text.partition("=== SUMMARY ===")[2].partition("\nNot scored for ")
        every = re.findall(r"^(\S+) ([\w-]+): (\d+) passed, (\d+) failed", summary, re.M)
        self.unscored = {name: mark for mark, name in re.findall(r"^\s+(\S+) ([\w-]+) \([\w-]+\)", rest, re.M)}
        self.scored = {name: (mark, int(passed), int(failed)) for mark, name, passed, failed in every
                       if name not in self.unscored}

    def passed(self):
        return {name for name, (mark, passed, failed) in self.scored.items() if mark == "✓" and passed and not failed}


class Conformance(unittest.TestCase):
    def setUp(self):
        if not SUITE.exists() or not NODE.exists():
            without(self, "the conformance suite (npm ci in tests/conformance)")

    def judge(self, door, url, requirements, uncounted):
        report = Report(url, requirements)
        counted = set(report.scored) - uncounted
        passed = report.passed() - uncounted
        print(f"\n{door}, {requirements}: {len(passed)} of {len(counted)} scored scenarios pass")
        for name in sorted(uncounted & set(report.scored)):
            print(f"  not counted, HTTP alone: {name}")
        for name, mark in sorted(report.unscored.items()):
            print(f"  not scored: {mark} {name}")
        self.assertEqual(counted - passed, set(), report.text)
        self.assertEqual(len(report.scored), SCORED[requirements], report.text)
        self.assertEqual(report.status, 0, report.text)

    def test_over_http(self):
        process = subprocess.Popen([FIXTURES, "http"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            port = process.stdout.readline().split()[1]
            for requirements in SCORED:
                with self.subTest(requirements):
                    self.judge("http", f"http://localhost:{port}/mcp", requirements, set())
            process.stdin.close()
            self.assertEqual(process.wait(timeout=30), 0)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def test_over_lines(self):
        bridge = Bridge([FIXTURES, "lines"])
        try:
            url = f"http://localhost:{bridge.server_address[1]}/mcp"
            for requirements in SCORED:
                with self.subTest(requirements):
                    self.judge("lines", url, requirements, HTTP_ONLY)
        finally:
            codes = bridge.close()
        self.assertEqual(set(codes), {0})


class Product(unittest.TestCase):
    def test_product_has_no_fixture(self):
        """no program of ours but the tests' own holds the name of a fixture, nor says how to start without a token"""
        names = set(re.findall(rb'^\s*\{"(\w{8,})"', b"".join(f.read_bytes() for f in HERE.glob("*.c")), re.M))
        names |= {b"aileron-mcp-fixtures", b"test_input_required_result_", b"test://static-text"}
        self.assertGreater(len(names), 20)
        held = FIXTURES.read_bytes()
        self.assertTrue(all(name in held for name in names - {b"aileron-mcp-fixtures"}))
        programs = [p for p in (BUILD / "bin").iterdir() if p.is_file() and p.name.startswith("aileron")]
        self.assertTrue(programs)
        for program in programs:
            held = program.read_bytes()
            self.assertEqual([name for name in sorted(names) if name in held], [], program.name)


if __name__ == "__main__":
    unittest.main()
