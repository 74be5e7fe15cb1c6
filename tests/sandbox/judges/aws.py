#!/usr/bin/env python3
"""Judges both sides of the APIs of EC2, IAM and Systems Manager by botocore's models.

imgimport talks to the sandbox through a relay, which holds each request and each answer
against the model: no parameter that the service does not know, none missing, every type,
no element of an answer that a client would not expect. Not part of CI. To run:

    python3 -m venv judge && judge/bin/pip install botocore
    cargo build && cargo build -p imgimport-sandbox
    judge/bin/python tests/sandbox/judges/aws.py target/debug/imgimport-sandbox target/debug/imgimport
"""

import base64
import json
import os
import signal
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
from botocore.validate import ParamValidator

MODELS = {name: botocore.session.get_session().get_service_model(name) for name in ("ec2", "iam", "ssm")}
WISHES = ["--ami-description", "judged", "--tag", "team=a", "--ami-users", "111122223333", "--imds-support", "v2.0",
          "--boot-mode", "uefi", "--platform", "linux", "--deprecate-at", "1y", "--ssm-parameter", "/judged"]
REGISTERED = ["--boot-mode", "uefi", "--tpm-support", "v2.0", "--uefi-data", "vars", "--imds-support", "v2.0",
              "--volume-type", "gp2", "--volume-size", "9", "--root-device-name", "/dev/xvda", "--tag", "team=a",
              "--ami-description", "judged", "--ami-users", "111122223333"]
ROLE = ["--role-name", "judged", "--create-role", "--ami-encrypt", "--ami-kms-key", "alias/here"]
COPIES = ["--copy-to", "eu-west-1", "--copy-to", "us-east-1", "--copy-kms-key", "us-east-1=alias/there"]
COMMAND = ["aws", "--bucket", "importbucket", "--poll-interval", "100ms"]


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


def wire(service, shape, member):
    """The name of a member in a request: EC2 and IAM write it differently."""
    names = shape.serialization
    if service == "iam":
        return names.get("name", member)
    name = names.get("name", member)
    return names.get("queryName", name[0].upper() + name[1:])


def scalar(shape, text):
    kinds = {"boolean": lambda: {"true": True, "false": False}[text], "integer": lambda: int(text),
             "long": lambda: int(text), "float": lambda: float(text), "double": lambda: float(text),
             "blob": lambda: text.encode()}
    return kinds.get(shape.type_name, lambda: text)()


def read(service, shape, fields, prefix, used):
    """The value of a shape among the flat fields of a form."""
    if shape.type_name == "structure":
        found = {name: read(service, member, fields, prefix + [wire(service, member, name)], used)
                 for name, member in shape.members.items()}
        return {name: value for name, value in found.items() if value is not None} or None
    if shape.type_name == "list":
        found, prefix = [], prefix + (["member"] if service == "iam" else [])
        while (value := read(service, shape.member, fields, prefix + [str(len(found) + 1)], used)) is not None:
            found.append(value)
        return found or None
    name = ".".join(prefix)
    used.add(name)
    return scalar(shape, fields[name]) if name in fields else None


def values(shape, value, faults):
    """Holds every word against the words that the service knows."""
    if shape.type_name == "structure":
        for name, inner in (value or {}).items():
            if name in shape.members:
                values(shape.members[name], inner, faults)
    elif shape.type_name == "list":
        for inner in value or []:
            values(shape.member, inner, faults)
    elif getattr(shape, "enum", None) and value not in shape.enum:
        faults.append(f"{shape.name} has no {value!r}")


def elements(shape, element, faults, place):
    """Holds the elements of an answer against its shape; some answers have none."""
    if shape is None:
        known = {"requestId", "return", "ResponseMetadata"}
        faults += [f"no client expects {child.tag}" for child in element if child.tag.split("}")[-1] not in known]
    elif shape.type_name == "structure":
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for child in element:
            name = child.tag.split("}")[-1]
            if name in known:
                elements(known[name], child, faults, f"{place}/{name}")
            elif f"{place}/{name}".count("/") > 1 or name != "requestId":
                faults.append(f"no client expects {place}/{name}")
    elif shape.type_name == "list":
        for child in element:
            elements(shape.member, child, faults, f"{place}/item")


class Judge:
    """Counts what was held against the models, and what did not stand."""

    def __init__(self):
        self.seen, self.faults, self.lock = {}, [], threading.Lock()

    def weigh(self, service, headers, body, status, answer):
        faults = []
        if service != "ssm":
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
            operation = fields.pop("Action")
            fields.pop("Version")
            model, used = MODELS[service].operation_model(operation), set()
            request = read(service, model.input_shape, fields, [], used) or {}
            faults += [f"unknown parameter {name}" for name in fields.keys() - used]
            if status == 200:
                root = ElementTree.fromstring(answer)
                if service == "iam" and model.output_shape:
                    (root,) = [child for child in root if child.tag.endswith(f"}}{operation}Result")]
                elements(model.output_shape, root, faults, "")
        else:
            operation = headers["x-amz-target"].removeprefix("AmazonSSM.")
            model, request = MODELS["ssm"].operation_model(operation), json.loads(body)
            told = json.loads(answer)
            if status == 200:
                faults += self.checked(told, model.output_shape)
            elif told["__type"] not in [shape.name for shape in model.error_shapes]:
                faults.append(f"{operation} has no error {told['__type']}")
        faults += self.checked(request, model.input_shape)
        values(model.input_shape, request, faults)
        with self.lock:
            key = (f"{service}:{operation}", status)
            self.seen[key] = self.seen.get(key, 0) + 1
            self.faults += [f"{operation}: {fault}" for fault in faults]

    @staticmethod
    def checked(value, shape):
        report = ParamValidator().validate(value, shape)
        return [report.generate_report()] if report.has_errors() else []


def relay(service, target, judge):
    """Passes requests on as they are, their signed host included."""

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            request = urllib.request.Request(target + self.path, body, dict(self.headers), method="POST")
            try:
                with urllib.request.urlopen(request) as response:
                    status, headers, answer = response.status, response.headers, response.read()
            except urllib.error.HTTPError as error:
                status, headers, answer = error.code, error.headers, error.read()
            try:
                judge.weigh(service, self.headers, body, status, answer)
            except Exception as error:
                judge.faults.append(f"{service} {body[:60]}: {error!r}")
            self.send_response(status)
            for name in ("content-type", "x-amzn-requestid"):
                if headers[name]:
                    self.send_header(name, headers[name])
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def imported(program, arguments, environment, until=None):
    """One run of the program; stopped when it says a word, if one is given."""
    command = [program, *COMMAND, *arguments, "disk.raw"]
    running = subprocess.Popen(command, env=environment, cwd=environment["HOME"], stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, text=True)
    said = []
    for line in running.stderr:
        said.append(line)
        if until and until in line:
            running.send_signal(signal.SIGINT)
            until = None
    code = running.wait()
    print(f"{' '.join(arguments)}: exit {code}")
    if code not in (0, 130):
        print("".join(said))
    return code


def main():
    sandbox, program = (os.path.abspath(path) for path in sys.argv[1:3])
    process, variables = started([sandbox])
    judge = Judge()
    with tempfile.TemporaryDirectory() as home:
        with open(os.path.join(home, "disk.raw"), "wb") as disk:
            disk.write(bytes(510) + b"\x55\xaa" + bytes(2 << 20))
        with open(os.path.join(home, "vars"), "wb") as data:
            data.write(base64.b64encode(b"AMZNUEFI and so on"))
        environment = {**variables, "HOME": home, "AWS_EC2_METADATA_DISABLED": "true"}
        for service in MODELS:
            name = f"AWS_ENDPOINT_URL_{service.upper()}"
            environment[name] = relay(service, variables[name], judge)
        codes = [
            imported(program, ["--ami-name", "judged-1", *WISHES, *COPIES], environment),
            imported(program, ["--ami-name", "judged-2", "--public", "--copy-to", "us-west-2"], environment),
            imported(program, ["--ami-name", "judged-3", "--no-resume", *WISHES, *COPIES], environment, "Copying it to"),
            imported(program, ["--ami-name", "judged-4", *REGISTERED, "--copy-to", "eu-west-1"], environment),
            imported(program, ["--ami-name", "judged-5", "--architecture", "arm64", *ROLE], environment),
            imported(program, ["--method", "import-snapshot", "--no-wait"], environment),
        ]
    process.terminate()
    for (operation, status), count in sorted(judge.seen.items()):
        print(f"{count:5} {operation} {status}")
    print(*judge.faults, f"{len(judge.faults)} faults", sep="\n")
    return 1 if judge.faults or codes != [0, 0, 130, 0, 0, 0] else 0


if __name__ == "__main__":
    sys.exit(main())
