"""One canary secret, every path: nowhere but in the TLS connection and in egress may it be found, in any spelling."""
import base64
import json
import os
import pathlib
import signal
import unittest
import urllib.parse

from house import children, finish, run, start, SANITIZED
from service import Service

# Visible ASCII that every encoding has to escape somewhere.
CANARY = 'cAn4ry"Zq7~\\kW/x+%&=<9Vb>m'

# What the service can answer with: service.Service.on_leak
LEAKS = ("raw", "base64", "base64_1", "base64_2", "base64url", "hex", "HEX", "url", "url_all", "json", "json_u")


def spellings(secret=CANARY):
    raw = secret.encode()
    found = {"raw": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(),
             "url": urllib.parse.quote(secret, safe="").encode(), "url_lower": urllib.parse.quote(secret, safe="").lower().encode(),
             "json": json.dumps(secret)[1:-1].encode(), "json_go": json.dumps(secret)[1:-1].replace("<", "\\u003c").replace(
                 ">", "\\u003e").replace("&", "\\u0026").encode()}
    for offset in range(3):
        # The characters that depend on the secret alone, whatever stands around it.
        for alphabet, encode in (("", base64.b64encode), ("url", base64.urlsafe_b64encode)):
            start_ = -(-offset * 8 // 6)
            bits = (offset + len(raw)) * 8
            found[f"base64{alphabet}_{offset}"] = encode(b"\0" * offset + raw + b"\0\0\0")[start_:bits // 6]
    return found


def search(blob):
    return [name for name, spelled in spellings().items() if spelled in blob]


class Leak(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service()

    @classmethod
    def tearDownClass(cls):
        cls.service.close()

    def flags(self, *more):
        return [*self.service.flags("api.example.com", "other.example.com"), *more]

    def args(self, path, **more):
        return {"url": "https://api.example.com" + path, "credential": "api_key", **more}

    def assert_clean(self, *blobs):
        for blob in blobs:
            self.assertEqual(search(blob), [], blob[:2000])

    def test_the_search_finds_what_it_looks_for(self):
        for name, spelled in spellings().items():
            self.assertIn(name, search(b"x" + spelled + b"y"))
        self.assertTrue(any("base64" in name for name in search(base64.b64encode(b"Bearer " + CANARY.encode()))))

    def test_every_ordinary_path(self):
        token = {"AILERON_DEV_TOKEN": CANARY}
        paths = {
            "success": ("http_cred", self.args("/ok"), []),
            "trace": ("http_cred", self.args("/ok"), ["--trace", "-v"]),
            "not found": ("http_cred", self.args("/nothing"), []),
            "redirect": ("http_cred", self.args("/redirect?to=https://other.example.com/echo"), []),
            "refused redirect": ("http_cred", self.args("/redirect?to=https://evil.example/"), []),
            "timeout": ("http_cred", self.args("/drip"), ["--limit", "wall_time=700ms"]),
            "broken transfer": ("http_cred", self.args("/bad-chunk"), []),
            "wrong kind": ("http_cred", {**self.args("/ok"), "credential": "oauth2"}, []),
        }
        for name, (op, args, more) in paths.items():
            for form in ([], ["--json"]):
                with self.subTest(name, form=form):
                    before = len(self.service.seen)
                    result = run(op, args, self.flags(*more, *form), env=token)
                    self.assert_clean(result.out, result.err)
                    if name == "success":
                        self.assertEqual(self.service.seen[before][2]["authorization"], "Bearer " + CANARY)

    def test_what_a_guest_says_of_an_answer(self):
        token = {"AILERON_DEV_TOKEN": CANARY}
        for to in ("log", "error", "stdout", "stderr", "trap"):
            for how in LEAKS:
                with self.subTest(to, how=how):
                    result = run("leak_through", {**self.args(f"/leak?as={how}"), "to": to}, self.flags("--json", "--trace", "-v"),
                                 env=token)
                    self.assert_clean(result.out, result.err)
                    # The answer got where it was to be carried, so that the secret would have been there with it.
                    carried = {"log": result.err, "trap": result.err, "error": result.out, "stderr": result.out,
                               "stdout": result.err}[to]
                    self.assertIn(b"before ", carried)
                    self.assertIn(b" after", carried)

    def test_echoed_secrets_are_struck_out(self):
        token = {"AILERON_DEV_TOKEN": CANARY}
        for how in LEAKS:
            for code in (200, 401):
                with self.subTest(how, code=code):
                    result = run("http_cred", self.args(f"/leak?as={how}&code={code}"), self.flags("--json", "--trace"), env=token)
                    self.assert_clean(result.out, result.err)
                    body = result.line["output"]["body"]
                    self.assertTrue(body.startswith("before ") and body.endswith(" after"), body)
                    self.assertNotIn(CANARY, urllib.parse.unquote(body))

    @unittest.skipIf(SANITIZED, "sanitizers keep copies of what a process has read and freed")
    def test_processes_while_a_request_is_under_way(self):
        self.service.hold.clear()
        self.service.asked.clear()
        process = start("http_cred", self.args("/hold"), self.flags(), env={"AILERON_DEV_TOKEN": CANARY})
        try:
            self.assertTrue(self.service.asked.wait(60))
            family = children(process.pid)
            self.assertIn("aileron-runner", family)
            self.assertIn("aileron-egress", family)
            for name, pid in (("harness", process.pid), *family.items()):
                with self.subTest(name):
                    proc = pathlib.Path(f"/proc/{pid}")
                    self.assert_clean((proc / "cmdline").read_bytes())
                    limits = (proc / "limits").read_text()
                    self.assertRegex(limits, r"Max core file size +0 +0 ")
                    if os.geteuid() == 0:
                        self.assert_clean((proc / "environ").read_bytes())
            if os.geteuid() != 0:
                print("skipped: reading the processes' memory takes root (they are not dumpable)")
                with self.assertRaises(PermissionError):
                    open(f"/proc/{process.pid}/mem", "rb")
            else:
                self.assertEqual(search(memory_of(process.pid)), [], "the harness still holds the token")
                self.assertEqual(search(memory_of(family["aileron-runner"])), [], "the runner saw the token")
                # The positive control: it has to be where it is used, else the search proves nothing.
                self.assertIn("raw", search(memory_of(family["aileron-egress"])))
        finally:
            self.service.hold.set()
            result = finish(process)
        self.assert_clean(result.out, result.err)
        self.assertEqual(result.code, 0, result)

    def test_crashes_of_the_children(self):
        for victim in ("aileron-runner", "aileron-egress"):
            with self.subTest(victim):
                self.service.hold.clear()
                self.service.asked.clear()
                process = start("http_cred", self.args("/hold"), self.flags("--trace", "-v"), env={"AILERON_DEV_TOKEN": CANARY})
                self.assertTrue(self.service.asked.wait(60))
                os.kill(children(process.pid)[victim], signal.SIGKILL)
                result = finish(process)
                self.service.hold.set()
                self.assert_clean(result.out, result.err)
                self.assertEqual(result.code, 1, result)


def memory_of(pid):
    """Every private or anonymous page that can be read"""
    blob = bytearray()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, perms, _, _, inode, *name = line.split()
            first, last = (int(x, 16) for x in span.split("-"))
            if not perms.startswith("rw") or (name and name[0] in ("[vvar]", "[vsyscall]")) or last - first > 512 << 20:
                continue
            try:
                mem.seek(first)
                blob += mem.read(last - first)
            except OSError:
                continue
    return bytes(blob)


if __name__ == "__main__":
    unittest.main()
