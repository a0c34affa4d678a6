"""The harness as a program: flags, outputs, exit codes, cache, watch."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from house import HARNESS, SANITIZED, connector, environment, finish, manifest, run, start


def bare(*args, **more):
    return subprocess.run([str(HARNESS), *args], capture_output=True, env=environment(), **more)


class Harness(unittest.TestCase):
    def test_exact_encodings(self):
        self.assertEqual(run("echo", {"value": "v"}).out, b'{"output":{"value":"v"}}\n')
        result = run("panic")
        self.assertEqual(result.out, b'{"error":"connector_runtime_error: my_class: went wrong (boundary=sandbox)"}\n')
        self.assertNotIn(b"went wrong", result.err, "no second copy on standard error")
        self.assertEqual(result.code, 1)

    def test_flag_syntax(self):
        for flags in (["-wasm", connector("fixture"), "-manifest", manifest("fixture"), "-op", "echo"],
                      [f"--wasm={connector('fixture')}", f"-manifest={manifest('fixture')}", "--op=echo"]):
            done = bare(*map(str, flags))
            self.assertEqual((done.returncode, done.stdout), (0, b'{"output":{"value":""}}\n'), done.stderr)

    def test_help_and_mistakes(self):
        for flag in ("-h", "--help"):
            done = bare(flag)
            self.assertEqual(done.returncode, 0)
            self.assertIn(b"--wasm", done.stdout)
        for flags in ([], ["--wasm", "x"], ["--nonsense"], ["--wasm"], ["--limit", "x=1", "--wasm", "a", "--manifest", "b", "--op", "c"]):
            done = bare(*flags)
            self.assertEqual((done.returncode, done.stdout), (1, b""), flags)
            self.assertIn(b"aileron-connector-dev-run: ", done.stderr)

    def test_a_missing_flag_shows_the_usage_and_then_the_error(self):
        usage = bare("--help").stdout
        for flags, missing in (([], b"--wasm"), (["--wasm", "x", "--op", "y"], b"--manifest"),
                               (["--wasm", "x", "--manifest", "y"], b"--op")):
            done = bare(*flags)
            self.assertEqual((done.returncode, done.stdout), (1, b""), flags)
            self.assertEqual(done.stderr, usage + b"aileron-connector-dev-run: usage_error: " + missing +
                             b" is required\n")

    def test_version(self):
        self.assertRegex(bare("--version").stdout, rb"^aileron-connector-dev-run \d+\.\d+\.\d+\n$")

    @unittest.skipIf(SANITIZED, "sanitizers make mlock() do nothing and say that it did")
    def test_a_secret_that_cannot_be_locked_is_told_once(self):
        limit = ("import os, resource, sys\nresource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))\n"
                 "os.execv(sys.argv[1], sys.argv[1:])")
        # With CAP_IPC_LOCK, which root has, the limit does not count.
        drop = ["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-all"] if os.geteuid() == 0 else []
        command_ = [*drop, "python3", "-c", limit, str(HARNESS), "--wasm", str(connector("fixture")), "--manifest",
                    str(manifest("fixture")), "--op", "echo"]
        for token, times in (("tok-123456789", 1), (None, 0)):
            done = subprocess.run(command_, capture_output=True, env=environment(AILERON_DEV_TOKEN=token))
            self.assertEqual((done.returncode, done.stdout), (0, b'{"output":{"value":""}}\n'), done.stderr)
            self.assertEqual(done.stderr.count(b"could not be locked"), times, done.stderr)

    def test_a_call_without_requests_does_not_wait_for_egress(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in (HARNESS.name, "aileron-runner"):
                shutil.copy(HARNESS.parent / name, folder)
            # In the place of egress a program that is never ready.
            shutil.copy(shutil.which("sleep"), pathlib.Path(folder) / "aileron-egress")
            args = ["--wasm", str(connector("fixture")), "--manifest", str(manifest("fixture"))]
            harness = [str(pathlib.Path(folder) / HARNESS.name), *args]
            done = subprocess.run([*harness, "--op", "echo"], capture_output=True, env=environment())
            self.assertEqual((done.returncode, done.stdout), (0, b'{"output":{"value":""}}\n'), done.stderr)
            done = subprocess.run([*harness, "--op", "http", "--args", '{"url":"https://api.example.com/"}'],
                                  capture_output=True, env=environment())
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"egress was not ready in time", done.stdout)

    def test_failures_before_the_run(self):
        for more in ({"wasm": "/nonexistent.wasm"}, {"toml": "/nonexistent.toml"}):
            result = run("echo", **more)
            self.assertEqual((result.code, result.out), (1, b""))
            self.assertIn(b"nonexistent", result.err)
        result = run("echo", flags=["--args", "[1]"])
        self.assertEqual((result.code, result.out), (1, b""))
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "manifest.toml"
            path.write_text('[connector]\nname = "github://a/b"\nversion = "1.0.0"\nextra = 1\n')
            result = run("echo", toml=path)
            self.assertEqual((result.code, result.out), (1, b""))
            self.assertIn(b"connector.extra", result.err)

    def test_arguments_from_a_file_and_from_standard_input(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write('{"value":"from a file"}')
            file.flush()
            self.assertEqual(run("echo", flags=["--args", "@" + file.name]).output, {"value": "from a file"})
        self.assertEqual(run("echo", flags=["--args", "-"], stdin=b'{"value":"piped"}').output, {"value": "piped"})

    def test_json_form(self):
        line = run("echo", {"value": "v"}, ["--json"]).line
        self.assertEqual(line["output"], {"value": "v"})
        self.assertTrue(all(isinstance(ms, (int, float)) for ms in line["timings"].values()), line)
        error = run("panic", flags=["--json"]).line["error"]
        self.assertEqual(set(error) - {"details"}, {"class", "message", "retriable", "boundary"})

    def test_what_the_cache_holds_is_checked(self):
        with tempfile.TemporaryDirectory() as folder:
            env = {"XDG_CACHE_HOME": folder}
            self.assertEqual(run("echo", {"value": "1"}, env=env).output, {"value": "1"})
            cache = pathlib.Path(folder) / "aileron" / "compiled"
            self.assertEqual(cache.stat().st_mode & 0o777, 0o700)
            entries = [path for path in cache.iterdir() if path.is_file() and path.stat().st_size > 4096]
            self.assertEqual(len(entries), 1, entries)
            for position in (0, 100, entries[0].stat().st_size // 2, entries[0].stat().st_size - 1):
                data = bytearray(entries[0].read_bytes())
                data[position] ^= 1
                entries[0].chmod(0o600)
                entries[0].write_bytes(data)
                result = run("echo", {"value": "2"}, env=env)
                self.assertEqual(result.output, {"value": "2"}, result)
                self.assertNotEqual(entries[0].read_bytes(), bytes(data), "the damaged entry was rebuilt")

    def test_optimize(self):
        self.assertEqual(run("echo", {"value": "o"}, ["--optimize"]).output, {"value": "o"})

    def test_watch_runs_again(self):
        with tempfile.TemporaryDirectory() as folder:
            toml = pathlib.Path(folder) / "manifest.toml"
            text = manifest("fixture").read_text()
            toml.write_text(text)
            wasm = pathlib.Path(folder) / "connector.wasm"
            shutil.copy(connector("fixture"), wasm)
            process = subprocess.Popen([str(HARNESS), "--wasm", str(wasm), "--manifest", str(toml), "--op", "echo",
                                        "--watch"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                self.assertEqual(process.stdout.readline(), b'{"output":{"value":""}}\n')
                toml.write_text(text + "[nonsense]\nx = 1\n")
                for line in process.stderr:
                    if b"nonsense" in line:
                        break
                toml.write_text(text + "\n")
                self.assertEqual(process.stdout.readline(), b'{"output":{"value":""}}\n')
                # The module, replaced as compilers do it: by a new file in its place.
                fresh = pathlib.Path(folder) / "fresh.wasm"
                shutil.copy(connector("notes-c"), fresh)
                fresh.rename(wasm)
                self.assertIn(b"unknown_op", process.stdout.readline())
                shutil.copy(connector("fixture"), wasm)
                self.assertEqual(process.stdout.readline(), b'{"output":{"value":""}}\n')
            finally:
                process.send_signal(2)
                process.communicate(timeout=30)

    def test_the_examples(self):
        from service import Service

        class Notes(Service):
            def on_v1(self, conn, query, headers, body):
                if headers.get("authorization") != "Bearer t0ken-abc":
                    return self.answer(conn, 401, b"no")
                if body:
                    return self.answer(conn, 201, json.dumps({"id": 3, "title": json.loads(body)["title"]}).encode())
                return self.answer(conn, 200, b'{"notes":[{"id":1,"title":"a \\"b\\""}]}')

        service = Notes()
        try:
            flags = service.flags("notes.example.com")
            env = {"AILERON_DEV_TOKEN": "t0ken-abc"}
            for name in ("notes-c", "notes-go"):
                with self.subTest(name):
                    self.assertEqual(run("greet", {"name": "Ada"}, name=name).output, {"greeting": "hello, Ada"})
                    output = run("list_notes", {}, flags, env=env, name=name).output
                    self.assertEqual(output, {"count": 1, "notes": [{"id": 1, "title": 'a "b"'}]})
                    result = run("add_note", {"title": "x\n\u00e4"}, flags, env=env, name=name)
                    self.assertEqual(result.output, {"id": 3})
                    self.assertIn(b"[connector info] a note was added\n", result.err)
                    self.assertEqual(json.loads(service.seen[-1][3]), {"title": "x\n\u00e4"})
                    error = run("list_notes", {}, ["--json", *flags], env={"AILERON_DEV_TOKEN": "wrong-token"}, name=name).line["error"]
                    self.assertEqual((error["class"], error["boundary"], error["details"]["status"]),
                                     ("external_api_error", "external", 401))
                    self.assertIn("unknown_op", run("nope", name=name).error)
        finally:
            service.close()

    def test_kinds_of_credentials(self):
        from service import Service
        service = Service()
        kinds = {
            'kind = "api_key"\nheader = "X-API-Key"\nformat = "token {key}"': ({"AILERON_DEV_TOKEN": "abcd1234"}, "x-api-key", "token abcd1234"),
            'kind = "basic"': ({"AILERON_DEV_TOKEN": "pass word", "AILERON_DEV_USERNAME": "ada"}, "authorization", "Basic YWRhOnBhc3Mgd29yZA=="),
            'kind = "aws_sigv4"\nservice = "athena"\nregion = "us-east-1"':
                ({"AILERON_DEV_TOKEN": "wJalrXUtnFEMI", "AILERON_DEV_ACCESS_KEY_ID": "AKIDEXAMPLE", "AILERON_DEV_REGION": "eu-west-1"},
                 "authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
            'kind = "signing_key"\nalgorithm = "hmac-sha256"\nkey_id = "k1"': (None, "signature-input", 'sig1=("@method"'),
        }
        try:
            with tempfile.TemporaryDirectory() as folder:
                key = pathlib.Path(folder) / "key"
                key.write_bytes(os.urandom(32))
                key.chmod(0o600)
                for table, (env, header, value) in kinds.items():
                    with self.subTest(table):
                        toml = pathlib.Path(folder) / "manifest.toml"
                        toml.write_text('[connector]\nname = "github://example/k"\nversion = "1.0.0"\n[capabilities.network]\n'
                                        f'hosts = ["api.example.com:443"]\n[capabilities.credential]\n{table}\n')
                        kind = table.split('"')[1]
                        result = run("http_cred", {"url": "https://api.example.com/ok", "credential": kind}, service.flags(),
                                     env=env or {"AILERON_DEV_KEY_FILE": str(key)}, toml=toml)
                        self.assertEqual(result.code, 0, result)
                        self.assertIn(value, service.seen[-1][2].get(header, ""), service.seen[-1])
        finally:
            service.close()

    def test_forms_of_a_signing_key(self):
        from service import Service
        service = Service()
        pem = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True).stdout
        try:
            with tempfile.TemporaryDirectory() as folder:
                key, toml = pathlib.Path(folder) / "key", pathlib.Path(folder) / "manifest.toml"
                toml.write_text('[connector]\nname = "github://example/k"\nversion = "1.0.0"\n[capabilities.network]\n'
                                'hosts = ["api.example.com:443"]\n[capabilities.credential]\nkind = "signing_key"\n'
                                'algorithm = "ed25519"\n')
                for content in (pem, os.urandom(32), b"k" * 32 + b"\n"):
                    key.write_bytes(content)
                    line = run("http_cred", {"url": "https://api.example.com/ok", "credential": "signing_key"},
                               ["--json", *service.flags()], env={"AILERON_DEV_KEY_FILE": str(key)}, toml=toml).line
                    if content.endswith(b"k\n"):
                        self.assertEqual((line["error"]["class"], line["error"]["boundary"]), ("binding_failed", "sandbox"))
                        self.assertIn("32 bytes, or PKCS#8 in PEM", line["error"]["message"])
                    else:
                        self.assertEqual(line["output"]["status"], 200)
        finally:
            service.close()

    def test_output_is_whole_when_a_pipe_is_slow(self):
        process = start("big_output", {"bytes": 3 << 20})
        self.assertEqual(len(json.loads(finish(process).out)["output"]["bytes"]), 3 << 20)


if __name__ == "__main__":
    unittest.main()
