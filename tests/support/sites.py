"""A web server of files in memory on loopback, with the faults that a test wants."""

import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dclm_spark.files import faults
from dclm_spark.files.inputs import open_source

ALWAYS = 10**9


class Site:
    """A web server of files in memory.

    Attributes:
        files: By path.
        has_ranges: Answers range requests as such; else gives the whole file, as Python's own server does.
        headers: Sent with every answer that is not an error.
        faults: How many answers, of whatever file, break off in the middle.
        is_down: Every answer is 503.
        down: How many requests of a path are answered with 503.
        cut: How many answers with the body of a path break off in the middle.
        once_listed: The same as `down`, of requests with GET alone: what looks for a file finds it.
        error_headers: Sent with every 503.
        redirects: Path -> where its requests are sent to.
        requests: How often each method was asked for.
        asked: How often each path was.
        authorizations: The headers of that name that came.
    """

    def __init__(
        self,
        files: dict[str, bytes],
        *,
        has_ranges: bool = True,
        headers: dict | None = None,
        host: str = "127.0.0.1",
    ):
        self.files, self.has_ranges, self.headers = files, has_ranges, headers or {}
        self.faults = 0
        self.is_down = False
        self.down: dict[str, int] = {}
        self.cut: dict[str, int] = {}
        self.once_listed: dict[str, int] = {}
        self.error_headers: dict[str, str] = {}
        self.redirects: dict[str, str] = {}
        self.requests: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.authorizations: set[str] = set()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer(with_body=False)

            def do_GET(self):
                self.answer(with_body=True)

            def answer(self, with_body: bool):
                site.requests[self.command] += 1
                site.asked[self.path] += 1
                if "Authorization" in self.headers:
                    site.authorizations.add(self.headers["Authorization"])
                if self.path in site.redirects:
                    self.send_response(302)
                    self.send_header("Location", site.redirects[self.path])
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                content = site.files.get(self.path)
                is_down = site.is_down or site.counted(site.down, self.path)
                is_down = is_down or (with_body and site.counted(site.once_listed, self.path))
                if is_down or content is None:
                    self.send_response(503 if is_down else 404)
                    for header, value in (site.error_headers if is_down else {}).items():
                        self.send_header(header, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                if asked and site.has_ranges:
                    start, end = int(asked[1]), min(int(asked[2]) + 1, len(content))
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
                    content = content[start:end]
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                for header, value in site.headers.items():
                    self.send_header(header, value)
                self.end_headers()
                if with_body:
                    if site.faults > 0 or site.counted(site.cut, self.path):
                        site.faults = max(site.faults - 1, 0)
                        self.wfile.write(content[: len(content) // 2])
                        self.close_connection = True
                        return
                    self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.url = f"http://{host}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def counted(faults: dict[str, int], path: str) -> bool:
        """Whether a fault is due; one fewer is from now on."""
        left = faults.get(path, 0)
        faults[path] = max(left - 1, 0)
        return left > 0

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def open_hastily(path: str, **options):
    """`open_source` in a worker, without its pauses."""
    faults.PAUSES_SECONDS = (0.01, 0.01)
    return open_source(path, **options)
