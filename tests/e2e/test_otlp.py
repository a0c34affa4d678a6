"""Spans: held against the protocol's own schema, and taken by a real OpenTelemetry Collector.

    pip install --target FOLDER opentelemetry-proto==1.45.2      AILERON_OTLP_PROTO=FOLDER
    go build -C tests/e2e/collector -o FILE .                    AILERON_COLLECTOR=FILE

What is not there is skipped, and said so.
"""
import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
import unittest
import urllib.request

from daemon import Home, manifest_of, wait_for
from house import BUILD, SLOW
from service import Service
from skips import NO_SKIP, without

COLLECTOR = os.environ.get("AILERON_COLLECTOR", "")
FQN = "github://acme/fixture"


def printed():
    """one request with everything that a span can have"""
    return subprocess.run([BUILD / "tests" / "test_otlp", "--print"], capture_output=True, check=True).stdout


class Schema(unittest.TestCase):
    def test_every_member_is_the_protocols(self):
        folder = os.environ.get("AILERON_OTLP_PROTO")
        if folder:
            sys.path.insert(0, folder)
        try:
            from google.protobuf import json_format
            from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
        except ImportError:
            without(self, "opentelemetry-proto")
        body = json.loads(printed())
        # OTLP writes ids as hex digits, where Protobuf's own JSON has base64.
        for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            for name in {"traceId", "spanId", "parentSpanId"} & span.keys():
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
        read = json_format.ParseDict(body, ExportTraceServiceRequest(), ignore_unknown_fields=False)
        full, root = read.resource_spans[0].scope_spans[0].spans
        self.assertEqual((full.name, full.kind, full.status.code, full.status.message),
                         ("aileron.connector.call", full.SPAN_KIND_CLIENT, full.status.STATUS_CODE_ERROR, "network_error"))
        self.assertEqual((full.trace_id[0], len(full.trace_id), len(full.span_id), len(full.parent_span_id)), (0xA0, 16, 8, 8))
        self.assertEqual((full.start_time_unix_nano, full.end_time_unix_nano), (1767225662123456789, 2**64 - 1))
        values = [getattr(attribute.value, attribute.value.WhichOneof("value")) for attribute in full.attributes]
        self.assertEqual(values, ['a"b\ufffd\n', -(2**63), True, 0.5])
        self.assertEqual((root.kind, root.parent_span_id, root.end_time_unix_nano), (root.SPAN_KIND_INTERNAL, b"", 2))


class Collector:
    """A real one that writes what it takes to its log."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        config = {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self.port}"}}}},
            "exporters": {"debug": {"verbosity": "detailed"}},
            "service": {"telemetry": {"metrics": {"level": "none"}},
                        "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}}},
        }
        self.process = subprocess.Popen([COLLECTOR, "--config=yaml:" + json.dumps(config)], stderr=subprocess.PIPE, text=True)
        self.log = ""
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        self.wait_for("Everything is ready")

    def read(self):
        for line in self.process.stderr:
            with self.changed:
                self.log += line
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, pattern):
        with self.changed:
            found = self.changed.wait_for(lambda: re.search(pattern, self.log), timeout=60 * SLOW)
        assert found, (pattern, self.log)
        return found

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()


@unittest.skipUnless(COLLECTOR or NO_SKIP, "AILERON_COLLECTOR names no collector: go build -C tests/e2e/collector")
class RealCollector(unittest.TestCase):
    def setUp(self):
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def test_a_request_is_taken(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.collector.port}/v1/traces", data=printed(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30 * SLOW) as answer:
            self.assertEqual((answer.status, json.load(answer)), (200, {"partialSuccess": {}}))
        for pattern in (r"Trace ID +: a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\n", r"Parent ID +: 2e2e2e2e2e2e2e2e\n",
                        r"Start time +: 2026-01-01 00:01:02\.123456789", r"Status code +: Error\n",
                        r"aileron\.call\.requests: Int\(-9223372036854775808\)", r"aileron\.call\.warm: Bool\(true\)",
                        r"aileron\.call\.share: Double\(0\.5\)", r"service\.version: Str\(0\.1\.0\)"):
            self.collector.wait_for(pattern)

    def test_a_call_of_the_daemon_arrives(self):
        service = Service()
        self.addCleanup(service.close)
        with Home(ca=service.ca, AILERON_OTLP_ENDPOINT=f"http://127.0.0.1:{self.collector.port}") as home:
            home.init()
            home.link("fixture", manifest=manifest_of("fixture", service.port))
            home.cli("connector", "call", FQN, "--op", "http_cred", "--json", "--args", json.dumps(
                {"url": f"https://127.0.0.1:{service.port}/ok", "credential": "api_key"}))
            self.collector.wait_for(r"Name +: aileron\.connector\.call\n")
            self.collector.wait_for(r"Status code +: Error\n")
            self.collector.wait_for(r"aileron\.connector\.fqn: Str\(" + re.escape(FQN) + r"\)")
            event = home.events("--type", "execution.failed")[0]
            self.assertEqual(event["payload"]["aileron.failure.class"], "binding_required")
            wait_for(lambda: "service.name: Str(aileron)" in self.collector.log, "the name of the service")


if __name__ == "__main__":
    unittest.main()
