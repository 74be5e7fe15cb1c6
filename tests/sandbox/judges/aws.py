#!/usr/bin/env python3
"""Judges both sides of EC2 and IAM by the service models of botocore.

imgimport talks to the sandbox through a relay, which holds each request and each answer
against Amazon's own description: names on the wire, required parameters, types, the words
that a parameter can be, the elements of an answer. Not part of CI. To run:

    python3 -m venv judge && judge/bin/pip install botocore
    cargo build && cargo build -p imgimport-sandbox
    judge/bin/python tests/sandbox/judges/aws.py \\
        target/debug/imgimport-sandbox target/debug/imgimport
"""

import base64
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import botocore.session

VERSIONS = {"ec2": "2016-11-15", "iam": "2010-05-08"}
# What the query protocols add to every answer.
WRAPPING = {"requestId", "ResponseMetadata"}
FORMS = {"integer": r"-?\d+", "long": r"-?\d+", "boolean": "true|false", "double": r"-?[\d.]+", "timestamp": r"\d{4}-\d\d-\d\dT.*"}


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
    """Counts what was held against the models, and what did not stand."""

    def __init__(self):
        session = botocore.session.get_session()
        self.models = {name: session.get_service_model(name) for name in VERSIONS}
        self.seen, self.faults, self.lock = {}, [], threading.Lock()

    def weigh(self, service, body, status, answer):
        asked = dict(parse_qsl(body.decode(), keep_blank_values=True))
        action = asked.pop("Action", "none")
        name = f"{service}:{action} {status}"
        with self.lock:
            self.seen[name] = self.seen.get(name, 0) + 1
            operation = self.models[service].operation_model(action)
            if asked.pop("Version", None) != VERSIONS[service]:
                self.faults.append(f"{name}: another version of the API")
            self.request(name, service, operation, asked)
            if status == 200:
                self.answer(name, service, operation, ElementTree.fromstring(answer))

    def request(self, name, service, operation, asked):
        leaves, shape = {}, operation.input_shape
        collect(service, shape, "", leaves)
        for wire, value in asked.items():
            leaf = next((leaf for pattern, leaf in leaves.items() if re.fullmatch(pattern, wire)), None)
            if leaf is None:
                self.faults.append(f"{name}: no parameter {wire}")
            elif not re.fullmatch(FORMS.get(leaf.type_name, r"(?s).*"), value):
                self.faults.append(f"{name}: {wire} is no {leaf.type_name}: {value}")
            elif getattr(leaf, "enum", None) and value not in leaf.enum:
                self.faults.append(f"{name}: {wire} can't be {value}")
        for member in shape.required_members:
            wire = wire_name(service, member, shape.members[member])
            if not any(key == wire or key.startswith(wire + ".") for key in asked):
                self.faults.append(f"{name}: {wire} is missing")

    def answer(self, name, service, operation, root):
        shape = operation.output_shape
        wrapper = shape and shape.serialization.get("resultWrapper")
        for node in root:
            tag = local(node)
            if tag == wrapper:
                self.element(name, node, shape)
            elif tag not in WRAPPING and not (service == "ec2" and tag == "return"):
                self.members(name, node, shape)

    def members(self, name, node, shape):
        """One element below a structure."""
        known = {} if shape is None else {
            member.serialization.get("name", key): member for key, member in shape.members.items()}
        if local(node) not in known:
            self.faults.append(f"{name}: no element {local(node)} in the answer")
        else:
            self.element(name, node, known[local(node)])

    def element(self, name, node, shape):
        if shape.type_name == "structure":
            for child in node:
                self.members(name, child, shape)
        elif shape.type_name == "list":
            for child in node:
                if local(child) != shape.member.serialization.get("name", "member"):
                    self.faults.append(f"{name}: no element {local(child)} in the list {local(node)}")
                else:
                    self.element(name, child, shape.member)
        elif not re.fullmatch(FORMS.get(shape.type_name, r"(?s).*"), node.text or ""):
            self.faults.append(f"{name}: {local(node)} is no {shape.type_name}: {node.text}")


def local(node):
    return node.tag.rpartition("}")[2]


def wire_name(service, key, shape):
    """The two query protocols write names differently (botocore's serializers)."""
    given = shape.serialization
    if service == "ec2":
        name = given.get("queryName") or given.get("name", key)
        return name if "queryName" in given else name[0].upper() + name[1:]
    return given.get("name", key)


def collect(service, shape, prefix, leaves):
    """Every name that a request can have, as a pattern, with its shape."""
    for key, member in shape.members.items():
        below(service, member, prefix + re.escape(wire_name(service, key, member)), leaves)


def below(service, shape, name, leaves):
    if shape.type_name == "structure":
        collect(service, shape, name + r"\.", leaves)
    elif shape.type_name == "list":
        flat = service == "ec2" or shape.serialization.get("flattened")
        below(service, shape.member, name + (r"\.\d+" if flat else r"\.member\.\d+"), leaves)
    else:
        leaves[name] = shape


def relay(judge, service, target):
    """A server that passes everything on to `target` and lets the judge see it."""

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            # The signature is over the relay's name, so that goes on.
            request = urllib.request.Request(target + self.path, data=body, headers=dict(self.headers))
            try:
                answer = urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                answer = error
            bytes_ = answer.read()
            judge.weigh(service, body, answer.status, bytes_)
            self.send_response(answer.status)
            for name in ("content-type", "x-amzn-requestid"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("content-length", str(len(bytes_)))
            self.end_headers()
            self.wfile.write(bytes_)

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


def stories(imgimport, variables, directory):
    """What the judge gets to see."""
    disk(os.path.join(directory, "disk.raw"))
    with open(os.path.join(directory, "vars"), "wb") as file:
        file.write(base64.b64encode(b"AMZNUEFI and so on"))
    env = variables | {"HOME": directory, "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    env |= {"IMGIMPORT_POLL_INTERVAL": "200ms"}

    def run(*more, code=0):
        command = [imgimport, "aws", "--bucket", "importbucket", "-q", *more, "disk.raw"]
        ended = subprocess.run(command, env=env, cwd=directory, capture_output=True, text=True)
        if ended.returncode != code:
            sys.exit(f"{more}: exit {ended.returncode}, not {code}\n{ended.stdout}{ended.stderr}")

    shared = ["--tag", "team=a", "--ami-description", "some \"text\"", "--ami-users", "111122223333"]
    run("--ami-name", "web", "--boot-mode", "uefi", "--platform", "linux", "--license-type", "BYOL",
        "--imds-support", "v2.0", *shared)
    run("--ami-name", "arm", "--architecture", "arm64", "--role-name", "imagesrole", "--create-role",
        "--ami-encrypt", "--ami-kms-key", "alias/images", *shared)
    run("--ami-name", "tpm", "--boot-mode", "uefi", "--tpm-support", "v2.0", "--uefi-data", "vars",
        "--imds-support", "v2.0", "--volume-type", "gp2", "--volume-size", "9", "--root-device-name", "/dev/xvda", *shared)
    run("--ami-name", "tpm", "--method", "import-snapshot", code=1)
    run("--method", "import-snapshot", "--no-wait", "--no-resume", "--key", "k")


def main():
    sandbox, imgimport = sys.argv[1:]
    judge = Judge()
    process, variables = started([sandbox])
    try:
        for service in VERSIONS:
            name = f"AWS_ENDPOINT_URL_{service.upper()}"
            variables[name] = relay(judge, service, variables[name])
        with tempfile.TemporaryDirectory() as directory:
            stories(os.path.abspath(imgimport), variables, directory)
    finally:
        process.terminate()
    for name, count in sorted(judge.seen.items()):
        print(f"{count:4} {name}")
    print(*judge.faults, sep="\n")
    print(f"{sum(judge.seen.values())} judged, {len(judge.faults)} faults")
    sys.exit(bool(judge.faults))


main()
