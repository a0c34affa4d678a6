"""Real agent programs from npm, pinned in agents/package.json, in a scratch home with a dummy key and loopback alone."""
import ctypes
import json
import os
import pathlib
import subprocess

from house import ROOT

FOLDER = pathlib.Path(__file__).parent / "agents"
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000

PACKAGES = {"claude": "@anthropic-ai/claude-code", "codex": "@openai/codex", "gemini": "@google/gemini-cli", "opencode": "opencode-ai"}


def installed():
    """Where tools/check has put them, or None; the folder of the programs."""
    place = os.environ.get("AILERON_AGENTS")
    return pathlib.Path(place) / "node_modules" / ".bin" if place else None


def program(name):
    """The program, of exactly the version that is pinned; or why there is none."""
    folder = installed()
    if folder is None or not (folder / name).exists():
        return None, f"{name} from npm"
    package = json.loads((folder.parent / PACKAGES[name] / "package.json").read_text())
    pinned = json.loads((FOLDER / "package.json").read_text())["dependencies"][PACKAGES[name]]
    if package["version"] != pinned:
        return None, f"{name} {pinned} from npm ({package['version']} is there)"
    return folder / name, None


def loopback_alone():
    """Moves this process into a network namespace with nothing but loopback; why not, when it cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNET if uid == 0 else CLONE_NEWNET | CLONE_NEWUSER
    if libc.unshare(flags) != 0:
        return f"no network namespace: {os.strerror(ctypes.get_errno())}"
    if uid != 0:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            pathlib.Path(f"/proc/self/{name}").write_text(text)
    done = subprocess.run(["ip", "link", "set", "lo", "up"], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode != 0 else None
