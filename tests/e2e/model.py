"""Model services on loopback: what agent programs ask, and answers by a script. Plain HTTP; Anthropic's messages, OpenAI's
responses and Google's generateContent, streaming and not. It keeps which tools were offered, and calls one when asked to."""
import http.server
import json
import threading


class Model:
    """`calls`: tool names (ending) with arguments that are called, one an exchange, before it says that it is done."""

    def __init__(self, calls=()):
        self.calls = list(calls)
        self.tools = set()    # all that were offered
        self.results = []     # what tools gave back, as text
        self.paths = []
        self.authorizations = set()
        self.asked = threading.Event()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                owner.paths.append(self.path)
                self.answer(200, json.dumps({"data": [], "models": []}).encode(), "application/json")

            do_HEAD = do_GET

            def do_POST(self):
                owner.paths.append(self.path)
                for name in ("Authorization", "x-api-key", "x-goog-api-key"):
                    if self.headers.get(name):
                        owner.authorizations.add(self.headers[name])
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    asked = json.loads(body)
                except ValueError:
                    asked = {}
                self.answer(*owner.reply(self.path, asked))

            def answer(self, status, body, kind):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ------------------------------------------------------------------------------------------------------- what was asked

    def note(self, names, results):
        self.tools.update(names)
        self.results += [text for text in results if text not in self.results]
        if names:
            self.asked.set()

    def next_call(self, names):
        """The next call of the script, when its tool is among those offered: (full name, arguments)"""
        if not self.calls:
            return None
        wanted, arguments = self.calls[0]
        for name in names:
            if name.endswith(wanted):
                self.calls.pop(0)
                return name, arguments
        return None

    def reply(self, path, asked):
        plain = path.split("?")[0]
        if plain.endswith("/messages/count_tokens"):
            return 200, json.dumps({"input_tokens": 10}).encode(), "application/json"
        if plain.endswith("/messages"):
            return self.anthropic(asked)
        if plain.endswith("/responses"):
            return self.openai(asked)
        if plain.endswith("/chat/completions"):
            return self.chat(asked)
        if "enerateContent" in plain:
            return self.google(asked, "stream" in plain)
        if plain.endswith(":countTokens"):
            return 200, json.dumps({"totalTokens": 10}).encode(), "application/json"
        return 404, json.dumps({"error": {"type": "not_found_error", "message": path}}).encode(), "application/json"

    # -------------------------------------------------------------------------------------------------------- three dialects

    def anthropic(self, asked):
        names = [tool.get("name", "") for tool in asked.get("tools", [])]
        results = []
        for message in asked.get("messages", []):
            for block in message["content"] if isinstance(message.get("content"), list) else []:
                if block.get("type") == "tool_result":
                    content = block.get("content")
                    results.append(content if isinstance(content, str) else "".join(c.get("text", "") for c in content or []))
        self.note(names, results)
        call = self.next_call(names)
        block = {"type": "text", "text": "done"}
        if call:
            block = {"type": "tool_use", "id": f"toolu_{len(self.calls)}", "name": call[0], "input": call[1]}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked.get("model", "m"), "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
        reason = "tool_use" if call else "end_turn"
        if not asked.get("stream"):
            message.update(content=[block], stop_reason=reason)
            return 200, json.dumps(message).encode(), "application/json"
        empty = {**block, "input": {}} if call else {"type": "text", "text": ""}
        delta = ({"type": "input_json_delta", "partial_json": json.dumps(call[1])} if call
                 else {"type": "text_delta", "text": "done"})
        return sse([
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": empty},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ], named=True)

    def openai(self, asked):
        names = []
        for tool in asked.get("tools", []):
            # Those of a server come as a namespace of functions.
            names += [inner["name"] for inner in tool.get("tools", [])] if tool.get("type") == "namespace" else [tool.get("name", "")]
        results = [str(item.get("output")) for item in asked.get("input", []) if isinstance(item, dict)
                   and item.get("type") == "function_call_output"]
        self.note(names, results)
        call = self.next_call(names)
        item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "done", "annotations": []}]}
        if call:
            item = {"type": "function_call", "id": "f1", "call_id": f"call_{len(self.calls)}", "name": call[0],
                    "arguments": json.dumps(call[1]), "status": "completed"}
        response = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
                    "output": [item], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
                                                "input_tokens_details": {"cached_tokens": 0},
                                                "output_tokens_details": {"reasoning_tokens": 0}}}
        return sse([
            {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            *([] if call else [{"type": "response.output_text.delta", "item_id": "m1", "output_index": 0,
                                "content_index": 0, "delta": "done"}]),
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": response},
        ], named=True)

    def chat(self, asked):
        names = [tool.get("function", {}).get("name", "") for tool in asked.get("tools", [])]
        results = [str(message.get("content")) for message in asked.get("messages", []) if message.get("role") == "tool"]
        self.note(names, results)
        call = self.next_call(names)
        message = {"role": "assistant", "content": "done"}
        if call:
            message = {"role": "assistant", "content": None, "tool_calls": [
                {"index": 0, "id": "call_1", "type": "function",
                 "function": {"name": call[0], "arguments": json.dumps(call[1])}}]}
        base = {"id": "c1", "created": 1, "model": asked.get("model", "m")}
        reason = "tool_calls" if call else "stop"
        if not asked.get("stream"):
            return 200, json.dumps({**base, "object": "chat.completion", "choices": [
                {"index": 0, "message": message, "finish_reason": reason}]}).encode(), "application/json"
        chunk = {**base, "object": "chat.completion.chunk"}
        return sse([
            {**chunk, "choices": [{"index": 0, "delta": message, "finish_reason": None}]},
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}],
             "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}},
        ], end=b"data: [DONE]\n\n")

    def google(self, asked, stream):
        names = [f["name"] for tool in asked.get("tools", []) for f in tool.get("functionDeclarations", [])]
        results = [json.dumps(part["functionResponse"].get("response")) for content in asked.get("contents", [])
                   for part in content.get("parts", []) if "functionResponse" in part]
        self.note(names, results)
        call = self.next_call(names)
        part = {"functionCall": {"name": call[0], "args": call[1]}} if call else {"text": "done"}
        answer = {"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
                  "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}}
        if stream:
            return sse([answer])
        return 200, json.dumps(answer).encode(), "application/json"


def sse(events, named=False, end=b""):
    body = b"".join((f"event: {event['type']}\n" if named else "").encode() + b"data: " + json.dumps(event).encode() + b"\n\n"
                    for event in events)
    return 200, body + end, "text/event-stream"
