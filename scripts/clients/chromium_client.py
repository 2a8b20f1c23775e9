"""Runs the spec's client example, the example of docs/live.md that comes back, and an EventSource, in a page that Chromium
shows; all for a task's progress.

The bearer token comes from DRIVE_TOKEN. Each line on stdout is a JSON object that a page of Tests/Browser told; in one of
its lines `pageError` is what a page threw. The page is of the origin http://app.example, and a second one, which only opens
the EventSource, of http://other.example. Ends when the page has told of a failed task in all three ways.
"""

import argparse
import asyncio
import http.server
import json
import os
import pathlib
import threading
import urllib.parse

from playwright.async_api import async_playwright

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PAGES = REPOSITORY / "Tests" / "Browser"


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chromium", help="the program")
    parser.add_argument("socket", help="the WebSocket's address")
    parser.add_argument("back", help="the address of the WebSocket that comes back")
    parser.add_argument("events", help="the EventSource's address, without the token")
    parser.add_argument("task", help="the task whose bar the page has")
    return parser.parse_args()


def coming_back():
    """The example of docs/live.md for a client that comes back."""
    section = (REPOSITORY / "docs" / "live.md").read_text().split("\n## Coming back\n")[1].split("\n## ")[0]
    return section.split("```javascript\n")[1].split("```")[0]


def filled(example, values):
    for placeholder, value in values.items():
        if example.count(placeholder) != 1:
            raise ValueError(f"{placeholder} is not in the example once")
        example = example.replace(placeholder, value)
    return example


def pages(options):
    """The pages, by host name, with what they lack filled in."""
    token = os.environ["DRIVE_TOKEN"]
    fill = {
        "task": options.task,
        "token": token,
        "example": filled((PAGES / "spec-client.js").read_text(), {"wss://api.dysonnetwork.com/ws": options.socket, "your-jwt-token": token}),
        "comingBack": filled(coming_back(), {"ws://127.0.0.1:8080/ws": options.back}),
        "events": options.events + "?" + urllib.parse.urlencode({"token": token}),
    }
    result = {}
    for host, name in (("app.example", "page.html"), ("other.example", "stranger.html")):
        text = (PAGES / name).read_text()
        for key, value in fill.items():
            text = text.replace("{{" + key + "}}", value)
        result[host] = text.encode()
    return result


def serve(contents):
    """Serves the pages on a free port, in a thread that ends with the program."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = contents.get(self.headers["Host"]) if self.path == "/" else None
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


async def main():
    options = parse()
    contents = pages(options)
    port = serve(contents)
    # What the page must have told before the end.
    awaited = {"WebSocket", "ComingBack", "EventSource"}
    done = asyncio.Event()

    def tell(line):
        print(json.dumps(line), flush=True)
        if "error" in line:
            awaited.discard("WebSocket")
        if line.get("handled", {}).get("type") == "task.failed":
            awaited.discard("ComingBack")
        if line.get("event") == "task.failed":
            awaited.discard("EventSource")
        if not awaited:
            done.set()

    rules = ", ".join(f"MAP {host} 127.0.0.1:{port}" for host in contents)
    async with async_playwright() as playwright:
        # The sandbox needs rights that containers do not give; the pages are our own.
        browser = await playwright.chromium.launch(
            executable_path=options.chromium, args=["--no-sandbox", f"--host-resolver-rules={rules}"])
        context = await browser.new_context()
        await context.expose_function("tell", tell)
        for host in reversed(contents):
            page = await context.new_page()
            page.on("pageerror", lambda error: tell({"pageError": str(error)}))
            await page.goto(f"http://{host}/")
        await done.wait()
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
