"""Runs the harness over the example connectors, as an author would, with a cache and a home of its own."""
import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("AILERON_BUILD", ROOT / "build" / "release"))
HARNESS = BUILD / "bin" / "aileron-connector-dev-run"
SANITIZED = bool(os.environ.get("AILERON_SANITIZE"))
SLOW = 10 if SANITIZED else 1  # how much more time a step may take under a sanitizer

_home = tempfile.TemporaryDirectory(prefix="aileron-e2e-")
HOME = pathlib.Path(_home.name)


def connector(name):
    return BUILD / "examples" / name / "connector.wasm"


def manifest(name):
    return ROOT / "examples" / "connectors" / name / "manifest.toml"


def environment(**more):
    """What the harness is started with: nothing of ours but what it needs."""
    env = {"HOME": str(HOME), "XDG_CACHE_HOME": str(HOME / "cache"), "PATH": "/usr/bin:/bin"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    env.update({name: value for name, value in more.items() if value is not None})
    return env


@dataclasses.dataclass
class Result:
    code: int
    out: bytes
    err: bytes

    @property
    def line(self):
        """standard output as the one JSON line that it must be"""
        assert self.out.count(b"\n") == 1 and self.out.endswith(b"\n"), (self.out, self.err)
        return json.loads(self.out)

    @property
    def output(self):
        assert self.code == 0 and "output" in self.line, (self.code, self.out, self.err)
        return self.line["output"]

    @property
    def error(self):
        assert self.code == 1 and "error" in self.line, (self.code, self.out, self.err)
        return self.line["error"]


def command(op, args=None, flags=(), wasm=None, toml=None, name="fixture"):
    return [str(HARNESS), "--wasm", str(wasm or connector(name)), "--manifest", str(toml or manifest(name)), "--op", op,
            *(["--args", json.dumps(args)] if args is not None else []), *map(str, flags)]


def run(op, args=None, flags=(), env=None, timeout=60, stdin=None, **which):
    done = subprocess.run(command(op, args, flags, **which), env=environment(**(env or {})), input=stdin,
                          capture_output=True, timeout=timeout * SLOW)
    return Result(done.returncode, done.stdout, done.stderr)


def start(op, args=None, flags=(), env=None, **which):
    return subprocess.Popen(command(op, args, flags, **which), env=environment(**(env or {})), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process, timeout=60):
    out, err = process.communicate(timeout=timeout * SLOW)
    return Result(process.returncode, out, err)


def children(pid):
    """{program name: pid} of the living children of a process"""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                exe = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0].decode()
            except OSError:
                continue
            found[pathlib.Path(exe).name] = int(child)
    return found


def manifest_with(text, folder):
    path = pathlib.Path(folder) / "manifest.toml"
    path.write_text(text)
    return path
