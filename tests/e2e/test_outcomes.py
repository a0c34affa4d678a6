"""How a call can end, seen from outside: the fixture connector through the harness."""
import signal
import tempfile
import time
import unittest

from house import SANITIZED, children, finish, manifest_with, run, start


def whole(op, args=None, flags=(), **more):
    """The --json form: the failure as an object"""
    result = run(op, args, ["--json", *flags], **more)
    return result.line


class Outcomes(unittest.TestCase):
    def failure(self, op, args=None, flags=(), **more):
        line = whole(op, args, flags, **more)
        self.assertIn("error", line, line)
        return line["error"]

    def test_echo_round_trip(self):
        self.assertEqual(run("echo", {"value": "ä \u2028 \"x\""}).output, {"value": "ä \u2028 \"x\""})
        self.assertEqual(run("echo", {"value": "two"}).output, {"value": "two"})

    def test_log_lines_go_to_standard_error(self):
        result = run("log", {"level": "info", "message": "ping start"})
        self.assertIn(b"[connector info] ping start\n", result.err)

    def test_guest_text_cannot_make_lines_of_its_own(self):
        result = run("log", {"level": "info\nx", "message": "a\n[connector error] forged\x1b[31m\u202e"})
        lines = [line for line in result.err.split(b"\n") if line]
        self.assertEqual(len(lines), 1, result.err)
        self.assertNotIn(b"\x1b", result.err)
        self.assertNotIn("\u202e".encode(), result.err)

    def test_lines_for_the_audit(self):
        result = run("audit", {"text": '{"did":"a\\nb"}'})
        self.assertEqual(result.output, {"rc": 0})
        self.assertIn(b'[audit] {"did":"a\\nb"}\n', result.err)
        for text in ("[1]", "{", '{"a":1} x', "", '{"a":1,"a":2}'):
            result = run("audit", {"text": text})
            self.assertEqual(result.output, {"rc": -1}, text)
            self.assertNotIn(b"[audit]", result.err)
        self.assertEqual(run("audit", {"size": 4096}).output, {"rc": 0})
        self.assertEqual(run("audit", {"size": 4097}).output, {"rc": -2})
        self.assertEqual(run("audit", {"times": 100}).output, {"rc": 0})
        result = run("audit", {"times": 120})
        self.assertEqual(result.output, {"rc": -3})
        self.assertEqual(result.err.count(b"[audit] "), 100)

    def test_log_limit_is_told_and_the_call_goes_on(self):
        result = run("log", {"times": 1200, "message": "m"})
        self.assertEqual(result.output, {"logged": 1200})
        self.assertEqual(result.err.count(b"[connector info] m\n"), 1000)
        self.assertIn(b"200", result.err.split(b"\n")[-2])

    def test_unknown_op_is_the_connectors_own_class(self):
        error = self.failure("no_such_op")
        self.assertEqual(error["class"], "connector_runtime_error")
        self.assertEqual(error["details"]["connector_class"], "unknown_op")
        self.assertTrue(error["message"].startswith("unknown_op: "), error)
        self.assertEqual(error["boundary"], "sandbox")
        self.assertFalse(error["retriable"])

    def test_no_class_of_ours_can_be_forged(self):
        for name in ("capability_denied", "binding_required", "resource_limit_exceeded", "hash_mismatch", "network_error"):
            error = self.failure("forge_class", {"class": name})
            self.assertEqual((error["class"], error["details"]["connector_class"]), ("connector_runtime_error", name))
        error = self.failure("forge_class", {"class": ""})
        self.assertEqual(error["class"], "connector_runtime_error")

    def test_an_error_envelope_counts_on_a_non_zero_exit_too(self):
        error = self.failure("panic")
        self.assertEqual(error["message"], "my_class: went wrong")

    def test_exit_codes(self):
        error = self.failure("end", {"code": 1, "err": "it broke"})
        self.assertEqual(error["message"], "connector exited 1; stderr: it broke")
        error = self.failure("end", {"code": 3, "out": '{"output":{"a":1}}'})
        self.assertEqual(error["details"]["exit_code"], 3)
        error = self.failure("end", {"code": 0xffffffff})
        self.assertEqual(error["class"], "connector_runtime_error")
        self.assertEqual(error["details"]["exit_code"], 0xffffffff)
        error = self.failure("end", {"code": 2, "err": "x" * 300 + "tail"})
        self.assertTrue(error["message"].endswith("..." + "x" * 252 + "tail"), error)

    def test_standard_output_must_be_one_envelope(self):
        self.assertEqual(whole("end", {"code": 0, "out": " \n"})["output"], {})
        for text in ("not json", "[1]", '{"output":[1]}', '{"output":{}} {"output":{}}', '{"output":"x"}', '{"error":1}'):
            error = self.failure("end", {"code": 0, "out": text})
            self.assertEqual(error["class"], "connector_runtime_error", text)
            self.assertIn("not a valid JSON envelope", error["message"])
        self.assertEqual(whole("end", {"code": 0, "out": '{"output":null,"more":1}'})["output"], {})

    def test_traps(self):
        for how, name in (("unreachable", "unreachable"), ("memory", "memory_out_of_bounds"), ("stack", "stack_overflow"),
                          ("divide", "integer_divide_by_zero")):
            error = self.failure("trap", {"how": how})
            self.assertEqual((error["class"], error["details"]["trap"]), ("connector_runtime_error", name), error)
        result = run("trap", {"how": "unreachable"})
        self.assertIn("trap", result.out.decode() + result.err.decode(), "the author sees a backtrace")

    def test_memory(self):
        for then in ("trap", "exit"):
            error = self.failure("oom", {"then": then})
            self.assertEqual((error["class"], error["details"]["limit"]), ("resource_limit_exceeded", "memory"), error)
        self.assertGreater(whole("oom", {"then": "go_on"})["output"]["pages"], 900)
        small = whole("oom", {"then": "go_on"}, ["--limit", "memory=8MiB"])["output"]["pages"]
        self.assertLess(small, 128)

    def test_wall_time(self):
        started = time.monotonic()
        error = self.failure("loop", None, ["--limit", "wall_time=500ms"])
        self.assertLess(time.monotonic() - started, 5 * (10 if SANITIZED else 1))
        self.assertEqual(error["details"]["limit"], "wall_time")
        self.assertEqual(error["details"]["configured"], "500ms")
        error = self.failure("slow", {"milliseconds": 60000}, ["--limit", "wall_time=300ms"])
        self.assertEqual(error["details"]["limit"], "wall_time")

    def test_sleep_is_real(self):
        started = time.monotonic()
        self.assertEqual(whole("slow", {"milliseconds": 300})["output"], {"slept": True})
        self.assertGreaterEqual(time.monotonic() - started, 0.3)

    def test_trace_is_bounded(self):
        result = run("log", {"times": 12000, "message": "m"}, ["--trace"])
        self.assertEqual(result.output, {"logged": 12000})
        lines = result.err.split(b"\n")
        self.assertEqual(sum(line.startswith(b"[trace] ") for line in lines), 10000)
        self.assertRegex(result.err, rb"\n[a-z-]+: 20\d\d traced host calls were dropped after the first 10000\n")

    def test_standard_output_limit(self):
        error = self.failure("big_output", {"bytes": 9 << 20})
        self.assertEqual((error["class"], error["details"]["limit"]), ("resource_limit_exceeded", "stdout"))
        self.assertEqual(len(whole("big_output", {"bytes": 4 << 20})["output"]["bytes"]), 4 << 20)

    def test_spam_is_bounded(self):
        result = run("spam", {"bytes": 4 << 20})
        self.assertEqual(result.output, {"done": True})
        self.assertLess(len(result.err), 400000)
        self.assertNotIn(b"\n[connector error]", result.err)

    def test_spawn_does_not_exist_yet(self):
        for how in ("spawn", "spawn_op"):
            result = run("spawn", {"how": how}, ["--json"])
            self.assertEqual((result.line["error"]["class"], result.line["error"]["boundary"]),
                             ("spawn_sandbox_unavailable", "runtime"))
            self.assertIn(b"-3,-2,-1,-1", result.err)

    def test_what_does_not_load(self):
        with tempfile.NamedTemporaryFile(suffix=".wasm") as file:
            file.write(b"this is no module")
            file.flush()
            error = self.failure("echo", wasm=file.name)
        self.assertEqual((error["class"], error["details"]["reason"]), ("connector_load_failed", "invalid_module"))

    def test_interrupt_cancels(self):
        process = start("loop")
        while "aileron-runner" not in children(process.pid):
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        result = finish(process)
        self.assertEqual((result.code, result.out),
                         (130, b'{"error":"cancelled: the call was cancelled (boundary=runtime)"}\n'), result)

    def test_limits_of_the_manifest(self):
        with tempfile.TemporaryDirectory() as folder:
            toml = manifest_with('[connector]\nname = "github://example/fixture"\nversion = "1.0.0"\n'
                                 '[connector.limits]\nwall_time = "200ms"\n', folder)
            error = self.failure("loop", toml=toml)
            self.assertEqual(error["details"]["configured"], "200ms")

    def test_imports_of_the_manifest_are_enforced(self):
        with tempfile.TemporaryDirectory() as folder:
            toml = manifest_with('[connector]\nname = "github://example/fixture"\nversion = "1.0.0"\n'
                                 '[capabilities.runtime]\nimports = ["log"]\n', folder)
            error = self.failure("echo", toml=toml)
            self.assertEqual(error["class"], "capability_denied")
            self.assertIn("http_request", error["details"]["requested"])
            self.assertEqual(error["details"]["granted"], ["log"])


if __name__ == "__main__":
    unittest.main()
