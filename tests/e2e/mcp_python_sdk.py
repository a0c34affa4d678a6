"""The official Python SDK as a client, in an interpreter that has it: mcp_python_sdk.py '{"door": "stdio" | "http", …}'

Lines of JSON: a step of the test comes in, what the SDK made of it goes out (as node/mcp.mjs).
"""
import asyncio
import contextlib
import json
import sys

import mcp
from mcp import ClientSession, StdioServerParameters, stdio_client

HOW = json.loads(sys.argv[1])


def say(what):
    print(json.dumps(what), flush=True)


@contextlib.asynccontextmanager
async def transport():
    if HOW["door"] == "stdio":
        parameters = StdioServerParameters(command=HOW["command"], args=HOW["args"], env=HOW["env"])
        with open("/dev/null", "w") as nowhere:
            async with stdio_client(parameters, errlog=nowhere) as streams:
                yield streams
        return
    headers = {"Authorization": f"Bearer {HOW['token']}"}
    from mcp.client import streamable_http
    if hasattr(streamable_http, "streamable_http_client"):
        import httpx2
        async with httpx2.AsyncClient(headers=headers) as client:
            async with streamable_http.streamable_http_client(HOW["url"], http_client=client) as streams:
                yield streams
    else:
        async with streamable_http.streamablehttp_client(HOW["url"], headers=headers) as streams:
            yield streams


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def main():
    async with transport() as streams, ClientSession(streams[0], streams[1]) as session:
        hello = plain(await session.initialize())
        say({"server": hello["serverInfo"], "capabilities": hello["capabilities"]})
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            step = json.loads(line)
            if step["do"] == "list":
                say({"result": plain(await session.list_tools())["tools"]})
            else:
                say({"result": plain(await session.call_tool(step["name"], step["arguments"]))})


asyncio.run(main())
