"""What Schemathesis is told about this API: ids that exist, what a server error may be, and that an agent's token opens nothing.

Loaded by it as SCHEMATHESIS_HOOKS; test_openapi_fuzz.py starts it. FUZZ_KNOWN is a file with the ids, FUZZ_CALLS the file that
gets a line a call, FUZZ_AGENT=1 says that the token is an agent's.
"""
import json
import os
import pathlib
import zlib

import schemathesis

KNOWN = json.loads(pathlib.Path(os.environ["FUZZ_KNOWN"]).read_text())
CALLS = open(os.environ["FUZZ_CALLS"], "a", encoding="utf-8")
# What another side did wrong, or what is missing here, is told by these (docs/formats/errors.md); what else there is of 500 and
# more stands for a defect.
TOLD = {500: {"connector_runtime_error"}, 501: {"spawn_sandbox_unavailable"}, 503: {"unavailable", "gateway_not_configured"},
        502: {"network_error", "external_api_error", "upstream_error"}, 507: {"resource_limit_exceeded"}}


def name_of(operation):
    return operation.definition.raw["operationId"]


@schemathesis.hook
def map_path_parameters(ctx, path_parameters):
    """Two of three names are such as exist: which, follows from what was drawn, so that a seed gives the same again."""
    known = KNOWN.get(name_of(ctx.operation)) or KNOWN.get(ctx.operation.path)
    drawn = zlib.crc32(repr(path_parameters).encode())
    if not known or not path_parameters or drawn % 3 == 0:
        return path_parameters
    return {name: known[drawn % len(known)] for name in path_parameters}


@schemathesis.hook
def map_body(ctx, body):
    """A run is given what its action wants, two of three times, and nobody is waited for. What is wrong stays wrong."""
    if name_of(ctx.operation) != "action_run" or not isinstance(body, dict):
        return body
    drawn = zlib.crc32(repr(body).encode())
    args, wait = body.get("args", {}), body.get("wait_ms")
    return {**body, **({"args": {"path": "/ok"}} if drawn % 3 and isinstance(args, dict) else {}),
            **({"wait_ms": 50} if type(wait) is int and 50 < wait <= 60000 else {})}


@schemathesis.hook
def after_call(ctx, case, response):
    print(json.dumps([name_of(case.operation), response.status_code]), file=CALLS, flush=True)


def class_of(response):
    try:
        error = response.json()["error"]
        return error.get("code") or error.get("class")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@schemathesis.check
def server_error_is_told(ctx, response, case):
    if response.status_code >= 500:
        said = class_of(response)
        assert said in TOLD.get(response.status_code, ()), f"{response.status_code} '{said}': {response.text[:500]}"


@schemathesis.check
def agents_stay_outside(ctx, response, case):
    """An agent's token is for /mcp: to the API it is none."""
    if os.environ.get("FUZZ_AGENT") == "1" and case.operation.definition.raw["security"]:
        assert response.status_code >= 400, f"an agent's token got {response.status_code}"
