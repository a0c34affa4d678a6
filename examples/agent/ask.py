#!/usr/bin/env python3
"""The least that an agent program does with MCP: start the server that it was told of, list its tools, call one.

    ask.py COMMAND… -- TOOL [ARGUMENTS]     ARGUMENTS is a JSON object; without TOOL the tools are listed

    ask.py aileron-guest mcp --as ID -- add_note '{"title": "try it"}'

Prints what a model would be given: the text of the result. No library is needed, only lines of JSON.
"""
import json
import subprocess
import sys


class Server:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.number = 0
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "ask", "version": "1"}})
        self.send({"method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params=None):
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params or {}})
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") != self.number:
                continue  # a notification
            if "error" in message:
                sys.exit(message["error"]["message"])
            return message["result"]
        sys.exit("the server ended")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    if "--" not in sys.argv[2:]:
        sys.exit(__doc__)
    split = sys.argv.index("--")
    server = Server(sys.argv[1:split])
    wanted = sys.argv[split + 1:]
    if wanted:
        result = server.ask("tools/call", {"name": wanted[0], "arguments": json.loads(wanted[1]) if wanted[1:] else {}})
        print(result["content"][0]["text"])
    else:
        for tool in server.ask("tools/list")["tools"]:
            print(f"{tool['name']:24} {tool['description'].splitlines()[0]}")
    server.close()


if __name__ == "__main__":
    main()
