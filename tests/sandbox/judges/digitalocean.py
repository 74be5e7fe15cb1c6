#!/usr/bin/env python3
"""Judges both sides of DigitalOcean's API by its official OpenAPI description.

imgimport talks to the sandbox through a relay, which holds each request and each answer
against the description: paths, parameters, bodies, the bearer token, every status. Not
part of CI. To run:

    python3 -m venv judge && judge/bin/pip install openapi-core pyyaml
    cargo build && cargo build -p imgimport-sandbox
    judge/bin/python tests/sandbox/judges/digitalocean.py DESCRIPTION.yaml \\
        target/debug/imgimport-sandbox target/debug/imgimport

The description is `specification/DigitalOcean-public.v2.yaml` of digitalocean/openapi,
bundled into one file, or the part of it that has account, regions, images and actions.
"""

import os
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import yaml
from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest, MockResponse

SERVER = "https://api.digitalocean.com"
# The description lists the regions of its day; the service answers with newer ones too.
ARGS = ["digitalocean", "--space", "importbucket", "--spaces-region", "nyc3", "--image-name", "judged",
        "--image-region", "nyc3", "--poll-interval", "200ms", "-q"]


def started(command):
    """The running sandbox and the variables it prints, up to its last line."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    variables = {}
    for line in process.stdout:
        if line.startswith("#"):
            break
        name, value = line.removeprefix("export ").strip().split("=", 1)
        variables[name] = value
    return process, variables


class Judge:
    """Counts what was held against the description, and what did not stand."""

    def __init__(self, description):
        # The description itself has `default: null`, which a strict reader refuses.
        config = Config(spec_validator_cls=None)
        self.openapi = OpenAPI.from_dict(yaml.safe_load(open(description)), config=config)
        self.seen, self.faults, self.lock = {}, [], threading.Lock()

    def weigh(self, method, url, headers, body, status, answer, answer_headers):
        parts = urlsplit(url)
        request = MockRequest(SERVER, method.lower(), parts.path, args=dict(parse_qsl(parts.query)),
                              headers=dict(headers), data=body or None,
                              content_type=headers.get("content-type", ""))
        response = MockResponse(answer, status_code=status, headers=dict(answer_headers),
                                content_type=answer_headers.get("content-type", "").split(";")[0])
        with self.lock:
            name = f"{method} {parts.path} {status}"
            self.seen[name] = self.seen.get(name, 0) + 1
            try:
                self.openapi.validate_request(request)
            except Exception as error:
                self.faults.append(f"{name}: request: {error!r}: {error.__cause__!r}")
            try:
                self.openapi.validate_response(request, response)
            except Exception as error:
                self.faults.append(f"{name}: answer: {error!r}: {error.__cause__!r}")


def relay(judge, target):
    """A server that passes everything on to `target` and lets the judge see it."""

    class Relay(BaseHTTPRequestHandler):
        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = urllib.request.Request(target + self.path, data=body or None, method=self.command,
                                             headers={k: v for k, v in headers.items() if k != "host"})
            try:
                answer = urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                answer = error
            bytes_, status = answer.read(), answer.status
            back = {name.lower(): value for name, value in answer.headers.items()}
            judge.weigh(self.command, self.path, headers, body, status, bytes_, back)
            self.send_response(status)
            for name, value in back.items():
                if name not in ("content-length", "date", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(bytes_)))
            self.end_headers()
            self.wfile.write(bytes_)

        do_GET = do_POST = do_DELETE = pass_on

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def disk(path):
    """Two megabytes with a partition table."""
    image = bytearray(2 << 20)
    image[446:462] = bytes([0x80, 0, 2, 0, 0x83, 0xFE, 0xFF, 0xFF, 0, 8, 0, 0, 0, 8, 0, 0])
    image[510:512] = b"\x55\xaa"
    with open(path, "wb") as file:
        file.write(image)


def stories(imgimport, variables, address, directory):
    """What the judge gets to see."""
    disk(os.path.join(directory, "disk.raw"))
    base = variables | {"DIGITALOCEAN_API_URL": address, "HOME": directory, "PATH": os.environ["PATH"]}

    def run(*more, code=0, **env):
        command = [imgimport, *ARGS, *more, "disk.raw"]
        ended = subprocess.run(command, env=base | env, cwd=directory, capture_output=True, text=True)
        if ended.returncode != code:
            sys.exit(f"{more}: exit {ended.returncode}, not {code}\n{ended.stdout}{ended.stderr}")
        return ended.stdout.strip()

    run("--image-region", "nyc2", "--image-region", "ams3", "--tag", "custom", "--tag", "a:b_c-1",
        "--image-description", "some \"text\"", "--distribution", "rocky linux")
    run("--no-wait")
    run(code=1, DIGITALOCEAN_TOKEN="wrong")
    run("--object-access", "presigned", code=1)
    run("--http-retry-max", "0", "--image-region", "sfo1", code=1)


def main():
    description, sandbox, imgimport = sys.argv[1:]
    judge = Judge(description)
    process, variables = started([sandbox])
    try:
        address = relay(judge, variables["DIGITALOCEAN_API_URL"])
        with tempfile.TemporaryDirectory() as directory:
            stories(os.path.abspath(imgimport), variables, address, directory)
        token = {"authorization": f"Bearer {variables['DIGITALOCEAN_TOKEN']}", "content-type": "application/json"}
        others = [("GET", "/v2/images/1", None), ("DELETE", "/v2/images/1", None), ("GET", "/v2/tags", None),
                  ("DELETE", "/v2/images/157000001", None), ("GET", "/v2/images?private=true&per_page=1", None),
                  ("POST", "/v2/images", b'{"name": "x", "url": "http://127.0.0.1:9/x", "region": "sgp1"}')]
        for method, path, body in others:
            request = urllib.request.Request(address + path, method=method, data=body, headers=token)
            try:
                urllib.request.urlopen(request)
            except urllib.error.HTTPError:
                pass
    finally:
        process.terminate()
    for name, count in sorted(judge.seen.items()):
        print(f"{count:4} {name}")
    print(*judge.faults, sep="\n")
    print(f"{sum(judge.seen.values())} judged, {len(judge.faults)} faults")
    sys.exit(bool(judge.faults))


main()
