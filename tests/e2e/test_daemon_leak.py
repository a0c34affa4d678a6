"""One canary for each kind of secret, a whole round of use, and a search for all of them in every process, file and line."""
import base64
import contextlib
import hmac
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest

from daemon import AILERON, Home, wait_for
from house import SANITIZED, environment
from service import Service
from test_leak import LEAKS, memory_of, spellings
import test_oauth

PASSPHRASE = 'pA55phr4se "Qz8~ canary'
VALUE = 'cAn4ry"Zq7~\\kW/x+%&=<9Vb>m'
OTHER = "second-canary-8f3b1d77a04c"
EXPORT = "export-canary-5d21aa90"
NOBODY = 65534
# Where a program may leave something beside its own folder.
SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run")


def search(blob, *secrets):
    """For text in every spelling, for bytes as they are and as they are printed."""
    found = []
    for secret in secrets:
        spelled = spellings(secret) if isinstance(secret, str) else {
            "raw": secret, "hex": secret.hex().encode(), "base64": base64.b64encode(secret).rstrip(b"=")}
        found += [(secret[:6], name) for name, text in spelled.items() if text in blob]
    return found


def family(home):
    """{name: pid} of the daemon and all that it started"""
    status = home.ok("status", "--json").json
    found = {"parent": home.discovery["pid"]}
    for process in status["processes"]:
        if process.get("pid") and process["running"]:
            found[process["role"]] = process["pid"]
    for runner in status["runners"]:
        found[f"runner {runner['pid']}"] = runner["pid"]
    return found


def unbound_calls(pid):
    """(calls into libraries that a process has, those of them that the loader is to bind yet): a slot of these leads to the .plt"""
    n, unbound = 0, []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, _, offset, _, _, *name = line.split()
            if int(offset, 16) != 0 or not name or ".so" not in name[0]:
                continue
            base = int(span.split("-")[0], 16)
            told = subprocess.run(["readelf", "-rSW", name[0]], capture_output=True, text=True, check=True).stdout
            plt = [(int(at, 16), int(size, 16)) for at, size in re.findall(r" \.plt +PROGBITS +(\w+) \w+ (\w+)", told)]
            for at in re.findall(r"^(\w+) .*_JUMP_SL", told, re.M):
                mem.seek(base + int(at, 16))
                to = int.from_bytes(mem.read(8), "little") - base
                n += 1
                if any(first <= to < first + size for first, size in plt):
                    unbound.append(f"{name[0]} {at}")
    return n, unbound


def open_files(pid):
    """What a process holds open that has no name any more, or never had one: [(link, bytes)]"""
    found = []
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            link = os.readlink(fd)
            if "memfd:" in link or link.endswith("(deleted)"):
                with open(fd, "rb") as file:
                    found.append((link, file.read()))
        except OSError:
            continue
    return found


class Looking(unittest.TestCase):
    """What both rounds look at."""

    def setUp(self):
        self.began = time.time()
        self.said = []
        self.spans = Service(tls=False)
        self.addCleanup(self.spans.close)
        self.service = Service()
        self.addCleanup(self.service.close)

    def tell(self, done):
        self.said += [done.out, done.err]
        return done

    def look_everywhere(self, home, secrets, own_files=()):
        token = home.discovery["token"]
        self.assertGreater(len(self.said), 0)
        for text in self.said:
            self.assertEqual(search(text.encode(), *secrets, token), [], text[:1000])
        for path in [p for p in home.root.rglob("*") if p.is_file() and not p.is_symlink() and p not in own_files]:
            also = () if path.name == "daemon.json" else (token,)
            self.assertEqual(search(path.read_bytes(), *secrets, *also), [], path)
        self.look_at_shared_folders(home, secrets)
        self.look_at_spans(secrets, token)
        members = family(home)
        for name, pid in members.items():
            with self.subTest(name):
                self.look_at_process(pid, secrets, token)
        if os.geteuid() != 0 or SANITIZED:
            print("skipped: reading the processes' memory takes root and a build without sanitizers")
            return
        for name, pid in members.items():
            with self.subTest(name, memory=True):
                self.look_at_memory(name, pid, secrets)
        self.look_at_keeper(home, members["keeper"], secrets)

    def look_at_shared_folders(self, home, secrets):
        """Whatever was written there since, by whomever; not what other runs of tests keep in folders of theirs."""
        for path in (path for folder in SHARED for path in pathlib.Path(folder).iterdir()):
            with contextlib.suppress(OSError):
                if path.is_file() and path.stat().st_mtime >= self.began:
                    self.assertEqual(search(path.read_bytes(), *secrets), [], path)

    def look_at_spans(self, secrets, token):
        wait_for(lambda: any(b"resourceSpans" in body for _, _, _, body in self.spans.seen), "spans of the calls", 30)
        for method, path, headers, body in self.spans.seen:
            self.assertEqual(search(json.dumps(headers).encode() + path.encode() + body, *secrets, token), [])

    def look_at_process(self, pid, secrets, token):
        proc = pathlib.Path(f"/proc/{pid}")
        self.assertEqual(search((proc / "cmdline").read_bytes(), *secrets, token), [])
        self.assertRegex((proc / "limits").read_text(), r"Max core file size +0 +0 ")
        self.assertRegex((proc / "status").read_text(), r"VmSwap:\s+0 kB")
        if os.geteuid() == 0:
            self.assertEqual(search((proc / "environ").read_bytes(), *secrets, token), [])
            for link, content in open_files(pid):
                self.assertEqual(search(content, *secrets, token), [], link)

    def look_at_memory(self, name, pid, secrets):
        blob = memory_of(pid)
        self.assertGreater(len(blob), 100_000, "the search saw nothing")
        # A value lies in the keeper while the vault is open, sealed; and in egress for the length of a call alone.
        self.assertEqual(search(blob, *secrets), [], name)

    def look_at_keeper(self, home, pid, secrets):
        def locked():
            return int((pathlib.Path(f"/proc/{pid}/status").read_text()).split("VmLck:")[1].split()[0])
        self.assertGreater(locked(), 0, "the keys of an open vault may be swapped out")
        home.ok("vault", "lock")
        self.assertEqual(search(memory_of(pid), *secrets), [], "the keeper keeps what it knew after it was locked")


class Leak(Looking):
    def use_everything(self, home):
        value = home.root / "value"
        value.write_text(VALUE)
        home.ok("vault", "init")
        key = home.root / "member.key"
        self.tell(home.ok("vault", "member", "add", "robot", "--new-key-file", key))
        home.link("fixture", self.service.port)
        self.tell(home.ok("binding", "setup", "github://acme/fixture", "--identity", "work", "--value-file", value, "--yes"))
        self.tell(home.ok("vault", "put", "secret/other", "--value-file", "-", stdin=OTHER))
        value.unlink()
        url = f"https://127.0.0.1:{self.service.port}"
        for op, args in (("http_cred", {"url": url + "/echo"}), *(("leak_through", {"url": f"{url}/leak?as={how}", "to": to})
                         for how in LEAKS for to in ("log", "error", "stdout", "trap"))):
            self.tell(home.cli("connector", "call", "github://acme/fixture", "--op", op, "--json", "--args",
                               json.dumps({**args, "credential": "api_key"})))
        self.assertIn(VALUE, [headers.get("authorization", "").removeprefix("Bearer ") for _, _, headers, _ in self.service.seen])
        passphrase = home.root / "export-passphrase"
        passphrase.write_text(EXPORT)
        self.tell(home.ok("vault", "export", "--output", home.root / "export.json", "--new-passphrase-file", passphrase))
        passphrase.unlink()
        for wrong in ("wrong-1", "wrong-2"):
            self.tell(home.cli("vault", "unlock", env={"AILERON_VAULT_PASSPHRASE": wrong}))
        home.ok("vault", "lock")
        self.tell(home.ok("vault", "unlock", "--key-file", key))
        self.tell(home.ok("audit", "export"))
        self.tell(home.ok("vault", "list", "--json"))
        return key

    def test_nowhere(self):
        with Home(ca=self.service.ca, AILERON_OTLP_ENDPOINT=f"http://127.0.0.1:{self.spans.port}") as home:
            home.env["AILERON_VAULT_PASSPHRASE"] = PASSPHRASE
            key = self.use_everything(home)
            secrets = (PASSPHRASE, VALUE, OTHER, EXPORT, key.read_bytes())
            self.assertEqual(len(secrets[-1]), 32)
            self.look_everywhere(home, secrets, own_files=(key,))

    def test_the_caveat_key_is_control_s_and_the_parent_s(self):
        """It is found by what it signs, and then looked for elsewhere."""
        if os.geteuid() != 0 or SANITIZED:
            self.skipTest("reading the processes' memory takes root and a build without sanitizers")
        with Home(ca=self.service.ca) as home:
            home.start()
            home.init()
            home.link("fixture", self.service.port)
            home.cli("connector", "call", "github://acme/fixture", "--op", "echo")
            token = home.request("POST", "/v1/sessions", {"agent": "claude", "working_dir": "/home/u"}).json["caveat_token"]
            members = family(home)
            key = caveat_key(memory_of(members["parent"]), token)
            self.assertIsNotNone(key)
            for name, pid in members.items():
                if name not in ("parent", "control"):
                    self.assertEqual(search(memory_of(pid), key, token), [], name)
            for path in [p for p in home.state.rglob("*") if p.is_file()]:
                self.assertEqual(search(path.read_bytes(), key, token), [], path)

    def test_the_search_finds_what_is_there(self):
        with Home() as home:
            home.start()
            if os.geteuid() == 0 and not SANITIZED:
                token = home.discovery["token"]
                self.assertTrue(search(memory_of(home.process("control")), token), "control checks the token: it must be there")

    def test_no_call_is_left_to_be_bound(self):
        """The loader would keep the registers on the stack for it, with what was copied last: a capability, for one."""
        if os.geteuid() != 0 or SANITIZED:
            self.skipTest("reading the processes' memory takes root and a build without sanitizers")
        with Home(ca=self.service.ca) as home:
            home.start()
            home.link("fixture", self.service.port)
            home.cli("connector", "call", "github://acme/fixture", "--op", "echo")
            members = family(home)
            self.assertTrue(any(name.startswith("runner") for name in members), members)
            for name, pid in members.items():
                with self.subTest(name):
                    n, unbound = unbound_calls(pid)
                    self.assertGreater(n, 100, "the search saw nothing")
                    self.assertEqual(unbound, [])

    def test_nobody_of_the_same_user_may_look(self):
        """Undumpable: /proc of each process is root's, and so closed to other processes of the person."""
        if os.geteuid() != 0:
            self.look_as(None, {"HOME": os.environ.get("HOME", "/")})
            return
        with tempfile.TemporaryDirectory(prefix="aileron-nobody-") as folder:
            os.chown(folder, NOBODY, NOBODY)
            probe = subprocess.run([str(AILERON), "version"], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True,
                                   cwd="/") if reachable() else None
            if probe is None or probe.returncode != 0:
                print("skipped: the build cannot be run by another user")
                self.skipTest("the build cannot be run by another user")
            self.look_as(NOBODY, {"HOME": folder})

    def look_as(self, user, env):
        who = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        with tempfile.TemporaryDirectory(prefix="aileron-home-") as root:
            if user is not None:
                os.chown(root, user, user)
            env = {**environment(AILERON_HOME=root + "/state"), **env}
            run = lambda *args: subprocess.run([str(AILERON), *args], env=env, cwd="/", capture_output=True, text=True, **who)
            started = run("daemon", "start")
            self.assertEqual(started.returncode, 0, started.stderr)
            try:
                status = json.loads(run("status", "--json").stdout)
                parent = json.loads(pathlib.Path(root, "state", "daemon.json").read_text())["pid"]
                pids = [parent, *(p["pid"] for p in status["processes"])]
                seen = subprocess.run(["/usr/bin/python3", "-c", INTRUDER, *map(str, pids)], cwd="/", capture_output=True,
                                      text=True, **who)
                self.assertEqual(seen.stdout.splitlines(), ["own auxv", "own memory"], seen.stderr)
            finally:
                run("daemon", "stop")


# A program of the same user that tries to look into others; first into itself, to show that it would succeed.
INTRUDER = r"""
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("n", ctypes.c_size_t)]
def can_read(path):
    try:
        return open(path, "rb").read(1) is not None
    except OSError:
        return False
def can_copy(pid, address):
    room = ctypes.create_string_buffer(8)
    here, there = Span(ctypes.cast(room, ctypes.c_void_p), 8), Span(address, 8)
    got = libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    # A wrong address is EFAULT, and told only to who may look.
    return got >= 0 or ctypes.get_errno() == 14
import os
if can_read("/proc/self/auxv"): print("own auxv")
if can_copy(os.getpid(), id(sys)): print("own memory")
PTRACE_SEIZE = 0x4206
for pid in map(int, sys.argv[1:]):
    for name in ("auxv", "mem", "environ", "maps", "fd/0", "stack"):
        if can_read(f"/proc/{pid}/{name}"): print("read", pid, name)
    if can_copy(pid, 4096): print("copied", pid)
    if libc.ptrace(PTRACE_SEIZE, pid, 0, 0) == 0: print("traced", pid)
"""


def reachable():
    """whether another user can get to the build at all"""
    return all(path.stat().st_mode & 0o001 for path in (AILERON, *AILERON.parents))


def caveat_key(memory, token):
    signed, _, signature = token.rpartition(".")
    signature = base64.urlsafe_b64decode(signature + "==")
    for at in range(0, len(memory) - 32, 8):
        if hmac.digest(memory[at:at + 32], signed.encode(), "sha256") == signature:
            return memory[at:at + 32]
    return None


class OAuthLeak(Looking):
    """The same for what an authorization server gives: tokens of a browser's flow, of a device's, and of a refresh."""

    def test_nowhere(self):
        test_oauth.OAuth.setUpClass()
        self.addCleanup(test_oauth.OAuth.tearDownClass)
        provider, flow = test_oauth.OAuth.provider, test_oauth.OAuth("end")
        self.addCleanup(flow.doCleanups)
        provider.tell(down=False, tokenLifetime=61)
        home = Home(ca=test_oauth.OAuth.service.ca, AILERON_OTLP_ENDPOINT=f"http://127.0.0.1:{self.spans.port}")
        self.addCleanup(home.__exit__)
        home.init()
        home.link("fixture", manifest=test_oauth.manifest(provider, test_oauth.OAuth.service, device=True))
        for identity, flags in (("browser", ("--no-browser",)), ("device", ("--device",))):
            process, url = flow.begin(home, "binding", "setup", "github://acme/mail", "--identity", identity, *flags, "--yes")
            test_oauth.browse(url)
            code, out, err = flow.end(process)
            self.assertEqual(code, 0, (out, err))
            self.said += [out, err]
            if identity == "browser":
                wait_for(lambda: flow.call(home).code == 0 and len(set(flow.bearers())) > 1, "a refreshed token", 20)
                self.tell(flow.call(home, "/echo"))
        self.tell(home.ok("binding", "list", "--json"))
        self.tell(home.ok("audit", "export"))
        secrets = provider.secrets()
        for what in ("access_token", "refresh_token", "code_verifier", "device_code"):
            self.assertGreater(len(secrets.get(what, [])), 0, what)
        self.look_everywhere(home, [value for values in secrets.values() for value in values])


if __name__ == "__main__":
    unittest.main()
