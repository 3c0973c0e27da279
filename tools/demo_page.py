#!/usr/bin/env python3
"""Loads a page from uaio-serve in a real browser and checks that both have the same content.

    tools/demo_page.py BUILD

Serves a page with a style sheet, a script, a picture and 4 MiB of random data, has headless
Chromium load it, and keeps BUILD/demo/page.png. The page's script fetches the data, whole and by a
range, and requests a path that contains their SHA-256, so that the server's log records what the
browser received. Exits with status 1 if a check fails.
"""

import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 60
RANGE = (1_000_000, 2_999_999)
SMALLEST_PICTURE = 5_000  # bytes: a blank page is smaller

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>uaio-serve</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="style.css"></head>
<body><img src="picture.svg" width="120" height="120" alt=""><h1>Served by uaio-serve</h1>
<table><tr><th>what</th><th>status</th><th>bytes</th><th>SHA-256</th></tr></table>
<script type="module" src="script.js"></script></body></html>
"""
STYLE = """
body { font: 20px sans-serif; margin: 40px; background: #f4f6f8; color: #14202b; }
img { float: right; } table { border-collapse: collapse; clear: both; }
th, td { border: 1px solid #9ab; padding: 6px 14px; text-align: left; }
td:last-child { font-family: monospace; }
"""
SCRIPT = """
const table = document.querySelector('table');
const hex = bytes => [...new Uint8Array(bytes)].map(b => b.toString(16).padStart(2, '0')).join('');
const seen = [];
async function read(what, headers) {
  const answer = await fetch('data.bin', {headers, cache: 'no-store'});
  const bytes = await answer.arrayBuffer();
  const hash = hex(await crypto.subtle.digest('SHA-256', bytes));
  const row = table.insertRow();
  for (const text of [what, answer.status, bytes.byteLength, hash.slice(0, 32) + '...'])
    row.insertCell().textContent = text;
  seen.push(answer.status, hash);
}
await read('the data', {});
await read('a range of it', {Range: 'bytes=FIRST-LAST'});
await fetch('seen/' + seen.join('/'));
""".replace("FIRST", str(RANGE[0])).replace("LAST", str(RANGE[1]))
PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">
<circle cx="5" cy="5" r="5" fill="#0a7"/><path d="M2 5h6M6 3l2 2-2 2" stroke="#fff" fill="none"/>
</svg>
"""


def make_site(folder):
    data = os.urandom(4 << 20)
    (folder / "data.bin").write_bytes(data)
    for name, text in (("index.html", PAGE), ("style.css", STYLE), ("script.js", SCRIPT),
                       ("picture.svg", PICTURE)):
        (folder / name).write_text(text)
    return data


def browse(url, picture, profile):
    """Runs Chromium without access to other machines."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               "--no-first-run", "--disable-background-networking", "--disable-component-update",
               "--disable-sync", "--no-proxy-server", "--hide-scrollbars",
               "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
               f"--user-data-dir={profile}", "--window-size=1100,420",
               "--virtual-time-budget=20000", f"--screenshot={picture}", url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as browser:
        try:
            messages = browser.communicate(timeout=PATIENCE)[1]
        finally:
            try:
                os.killpg(browser.pid, signal.SIGKILL)  # and its children
            except ProcessLookupError:
                pass
    if browser.returncode != 0 or not picture.exists():
        sys.exit(f"chromium ended with {browser.returncode}: {messages[-1000:]}")


def check(log, data, picture):
    statuses = dict(re.findall(r"^GET (\S+) (\d+) ", log, re.MULTILINE))
    part = data[RANGE[0]:RANGE[1] + 1]
    report = (f"/seen/200/{hashlib.sha256(data).hexdigest()}"
              f"/206/{hashlib.sha256(part).hexdigest()}")
    wanted = {"/": "200", "/style.css": "200", "/script.js": "200", "/picture.svg": "200",
              report: "404"}
    for path, status in wanted.items():
        if statuses.get(path) != status:
            sys.exit(f"GET {path} was not answered with {status}; the log of the server:\n{log}")
    if picture.stat().st_size < SMALLEST_PICTURE:
        sys.exit(f"{picture} shows nothing")


def main():
    build = Path(sys.argv[1]).resolve()
    picture = build / "demo" / "page.png"
    picture.parent.mkdir(exist_ok=True)
    picture.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as name:
        site = Path(name) / "site"
        site.mkdir()
        data = make_site(site)
        began = time.monotonic()
        with subprocess.Popen([str(build / "tools" / "uaio-serve"), "--log", "--port", "0",
                               str(site)], stdout=subprocess.PIPE, text=True) as server:
            try:
                url = re.search(r"http://\S+/", server.stdout.readline())[0]
                browse(url, picture, Path(name) / "profile")
            finally:
                server.send_signal(signal.SIGINT)
                log = server.communicate(timeout=PATIENCE)[0]
        check(log, data, picture)
    if server.returncode != 0:
        sys.exit(f"uaio-serve ended with {server.returncode}")
    print(f"browser: Chromium loaded a page from uaio-serve in {time.monotonic() - began:.1f} s: "
          f"style, script, picture, {len(data)} bytes and a range of\n         them, SHA-256 equal "
          f"on both ends; what it looked like is in {os.path.relpath(picture)}")


if __name__ == "__main__":
    main()
