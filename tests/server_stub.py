"""A server for tests, with the completions endpoint, deterministic answers and faults on order."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from paced.run.seeds import uniforms

NUM_TOKENS = 260
END = 0


def answer_of(prompt, key, max_tokens):
    """The stub's completion: tokens from a hash of the prompt and the key's noise, ended by 0 one time in ten."""
    salt = int.from_bytes(hashlib.blake2b(bytes(str(list(prompt)), "ascii"), digest_size=8).digest(), "little")
    tokens = []
    for position in range(max_tokens):
        u = float(uniforms(key ^ salt, position))
        tokens.append(END if u < 0.1 and position else 1 + int(u * (NUM_TOKENS - 1)))
        if tokens[-1] == END:
            break
    return tokens


class Stub:
    """One server. ``fault(number, body)`` names what goes wrong with the request of that number, or nothing."""

    def __init__(self, fault=lambda number, body: "", *, takes_noise=True, top_k=0, key="", cut_at=0, ids=True):
        self.fault, self.takes_noise, self.top_k, self.key, self.cut_at, self.ids = (
            fault, takes_noise, top_k, key, cut_at, ids,
        )  # fmt: skip
        self.requests, self.faults, self.bodies = 0, Counter(), []
        self.running = self.most_running = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                stub.get(self)

            def do_POST(self):
                stub.post(self)

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.die()

    def die(self):
        """Refuse every connection from now on."""
        if not self.closing.is_set():
            self.closing.set()
            self.server.shutdown()
            self.server.server_close()

    def get(self, handler):
        if handler.path == "/v1/models":
            self.reply(handler, {"data": [{"id": "stub", "max_model_len": 64}]})
        elif handler.path == "/version":
            self.reply(handler, {"version": "1.2.3"})
        else:
            self.reply(handler, {"error": {"message": "nothing here"}}, status=404)

    def post(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        if self.closing.is_set():
            return self.drop(handler)
        if self.key and handler.headers.get("Authorization") != f"Bearer {self.key}":
            sent = handler.headers.get("Authorization", "")
            return self.reply(handler, {"error": {"message": f"wrong key: {sent}"}}, status=401)
        noise = (body.get("vllm_xargs") or {}).get("paced")
        if noise is not None and self.takes_noise and len(noise) < 4:
            return self.reply(handler, {"error": {"message": "paced needs four numbers"}}, status=400)
        if body["temperature"] > 2:
            return self.reply(handler, {"error": {"message": "temperature must be in [0, 2]"}}, status=400)
        if body["temperature"] == 2.0 or (noise and (len(noise) < 4 or noise[1] == 100.0)):
            return self.reply(handler, self.completion(body))  # a trial
        with self.lock:
            self.requests += 1
            number = self.requests
            self.bodies.append(body)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            fault = self.fault(number, body)
            self.faults[fault] += 1
            return getattr(self, f"with_{fault}" if fault else "whole")(handler, body)
        finally:
            with self.lock:
                self.running -= 1

    def completion(self, body):
        noise = (body.get("vllm_xargs") or {}).get("paced")
        if noise and self.takes_noise:
            key, limit = noise[0], body["max_tokens"]
        else:
            key, limit = (0 if noise else body["seed"]), body["max_tokens"]
        tokens = answer_of(body["prompt"], key, limit)
        if self.top_k:
            tokens = [1 + token % self.top_k for token in tokens]
        if self.cut_at:
            tokens = tokens[: self.cut_at]
        choice = {
            "index": 0, "text": "".join(map(chr, tokens)) if self.ids else f"={tokens[0]}",
            "finish_reason": "stop" if tokens[-1] == END else "length", "stop_reason": None,
        }  # fmt: skip
        if self.ids and body.get("return_token_ids"):
            choice |= {"token_ids": tokens, "prompt_token_ids": body["prompt"]}
        return {"choices": [choice], "usage": {"completion_tokens": len(tokens)}, "system_fingerprint": "stub-1"}

    def reply(self, handler, answer, *, status=200, headers=()):
        content = json.dumps(answer).encode()
        handler.send_response(status)
        for name, value in (("Content-Length", str(len(content))), *headers):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    def whole(self, handler, body):
        self.reply(handler, self.completion(body))

    def drop(self, handler):
        handler.close_connection = True
        handler.connection.close()

    def with_drop(self, handler, body):
        self.drop(handler)

    def with_500(self, handler, body):
        self.reply(handler, {"error": {"message": "out of luck"}}, status=500)

    def with_429(self, handler, body):
        self.reply(handler, {"error": {"message": "busy"}}, status=429, headers=[("Retry-After", "0.05")])

    def with_late(self, handler, body):
        self.reply(handler, {"error": {"message": "busy"}}, status=429, headers=[("Retry-After", "86400")])

    def with_400(self, handler, body):
        self.reply(handler, {"error": {"message": "this prompt is not to my taste"}}, status=400)

    def with_half(self, handler, body):
        """Half of the JSON in a reply that is whole as HTTP."""
        content = json.dumps(self.completion(body)).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) // 2))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])

    def with_short(self, handler, body):
        """Fewer bytes than announced."""
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(b'{"choices"')
        self.drop(handler)

    def with_other_form(self, handler, body):
        self.reply(handler, {"choices": []})

    def with_endless(self, handler, body):
        """A byte now and then, for ever."""
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not self.closing.is_set():
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)
        handler.close_connection = True

    def with_death(self, handler, body):
        threading.Thread(target=self.die, daemon=True).start()
        self.drop(handler)
