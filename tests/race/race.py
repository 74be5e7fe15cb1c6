#!/usr/bin/env python3
"""Races imgimport against other S3 clients, in turns, to a server that throws every byte
away. See README.md beside this file.

    race.py [--size MIB] [--turns N] [--tls] [--line MBIT,RTT_MS]
            [--only NAME,NAME] [--sparse]
"""

import argparse
import os
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
IMGIMPORT = os.environ.get("IMGIMPORT", str(ROOT / "target/release/imgimport"))
SANDBOX = os.environ.get("SANDBOX", str(ROOT / "target/debug/imgimport-sandbox"))
CLEAN = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit("the server does not come up")


def certificates(work):
    """An authority of our own, and a certificate for localhost."""
    run = lambda *words: subprocess.run(words, check=True, cwd=work, capture_output=True)
    (work / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-subj", "/CN=race authority", "-keyout", "ca.key", "-out", "ca.pem")
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    run("openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem")


def start_discarding(work, tls):
    """The server and its endpoint."""
    binary, port = work / ("discard-tls" if tls else "discard"), free_port()
    extra = ["-DTLS"] if tls else []
    libraries = ["-lssl", "-lcrypto"] if tls else []
    subprocess.run(["cc", "-O2", "-pthread", *extra, str(HERE / "discard.c"), "-o", str(binary),
                    *libraries], check=True)
    words = [str(binary), str(port)]
    if tls:
        certificates(work)
        words += [str(work / "server.pem"), str(work / "server.key")]
    server = subprocess.Popen(words)
    wait_for(port)
    return server, f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"


def start_line(endpoint, line):
    """The same server at the end of a long, narrow line."""
    address, _, port = endpoint.rpartition(":")
    own = free_port()
    words = [sys.executable, str(HERE / "line.py"), str(own), port, *line.split(",")]
    process = subprocess.Popen(words)
    wait_for(own)
    return process, f"{address}:{own}"


def start_sandbox(work):
    """EC2, IAM and STS; the object that the import reads lies in the sandbox's own S3."""
    sandbox = subprocess.Popen([SANDBOX], stdout=subprocess.PIPE, text=True)
    env = {}
    for line in sandbox.stdout:
        if not line.startswith("export "):
            break
        name, _, value = line.removeprefix("export ").strip().partition("=")
        env[name] = value
    env = {name: value for name, value in env.items() if name.startswith("AWS_")}
    small = work / "small.raw"
    with small.open("wb") as disk:
        disk.truncate(1 << 20)
        disk.seek(510)
        disk.write(b"\x55\xaa")
    words = [IMGIMPORT, "aws", "--bucket", "importbucket", "--key", "race.raw", "--no-wait", "-q",
             "--no-resume", str(small)]
    subprocess.run(words, check=True, env={**CLEAN, **env, "AWS_EC2_METADATA_DISABLED": "true"},
                   stdout=subprocess.DEVNULL)
    return sandbox, env


def make_file(path, mib, sparse):
    with path.open("wb") as disk:
        if not sparse:
            for _ in range(mib):
                disk.write(os.urandom(1 << 20))
        disk.truncate(mib << 20)
        disk.seek(446)
        disk.write(bytes([0x80, 0, 2, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0xFF, 0x1F, 0, 0]) + bytes(48))
        disk.write(b"\x55\xaa")


class Lane:
    """One client: how it is called, and what it checks on the way."""

    def __init__(self, name, carries, words, env):
        self.name, self.carries, self.words, self.env = name, carries, words, env
        self.results = []


def lanes(endpoint, file, work, sandbox, tls):
    base = {**CLEAN, "AWS_ACCESS_KEY_ID": "race", "AWS_SECRET_ACCESS_KEY": "race",
            "AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true"}
    if tls:
        ca = str(work / "ca.pem")
        base |= {"SSL_CERT_FILE": ca, "RACE_CA": ca}
    own = {**base, **sandbox, "AWS_ENDPOINT_URL_S3": endpoint, "XDG_STATE_HOME": str(work / "state")}
    yield Lane("imgimport aws", "CRC64NVME, whole object and every part",
               [IMGIMPORT, "aws", "--bucket", "importbucket", "--key", "race.raw", "--no-resume",
                "--no-wait", "-q", file], own)
    s5cmd, aws, oli = (shutil.which(name) for name in ("s5cmd", "aws", "oli"))
    if s5cmd:
        yield Lane("s5cmd", "MD5" + ("" if tls else ", SHA-256"),
                   [s5cmd, "--endpoint-url", endpoint, *(["--no-verify-ssl"] if tls else []),
                    "cp", file, "s3://race/disk"], base)
    if aws:
        extra = {"AWS_CA_BUNDLE": base["RACE_CA"]} if tls else {}
        yield Lane("aws s3 cp", "CRC32" + ("" if tls else ", SHA-256"),
                   [aws, "s3", "cp", "--no-progress", "--endpoint-url", endpoint, file,
                    "s3://race/disk"], {**base, **extra})
    python = os.environ.get("RACE_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import awscrt.s3"], capture_output=True).returncode == 0:
        crt = [python, str(HERE / "crt.py"), endpoint, "race", "disk", file]
        yield Lane("aws-c-s3", "nothing", crt, base)
        yield Lane("aws-c-s3, checked", "CRC64NVME of every part", [*crt, "crc64nvme"], base)
    if oli:
        config = work / "oli.toml"
        config.write_text(f'[profiles.race]\ntype = "s3"\nbucket = "race"\nendpoint = "{endpoint}"\n'
                          'region = "eu-central-1"\naccess_key_id = "race"\n'
                          'secret_access_key = "race"\n')
        yield Lane("oli", "nothing", [oli, "cp", "--config", str(config), file, "race:/disk"], base)


def arrived_so_far(endpoint, work, tls):
    context = ssl.create_default_context(cafile=str(work / "ca.pem")) if tls else None
    with urllib.request.urlopen(f"{endpoint}/-/count", context=context) as answer:
        return int(answer.read().split()[1])


def turn(lane, mib, endpoint, work, tls):
    """One upload: seconds, CPU seconds, peak resident bytes of the client alone."""
    before = arrived_so_far(endpoint, work, tls)
    began = time.monotonic()
    out = open(work / "out", "w+")
    err = open(work / "err", "w+")
    client = subprocess.Popen(lane.words, env=lane.env, stdout=out, stderr=err, cwd=work)
    _, status, used = os.wait4(client.pid, 0)
    client.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    out.seek(0), err.seek(0)
    if client.returncode:
        print(f"{lane.name} failed: {err.read() or out.read()}", file=sys.stderr)
        return
    arrived = arrived_so_far(endpoint, work, tls) - before
    if arrived < mib << 20:
        print(f"{lane.name} sent {arrived} bytes of {mib << 20}", file=sys.stderr)
        return
    cpu = used.ru_utime + used.ru_stime
    lane.results.append((seconds, cpu, used.ru_maxrss / 1024))
    print(f"{lane.name}: {mib / seconds:.0f} MiB/s, {cpu / mib * 1024:.2f} CPU s/GiB, "
          f"{used.ru_maxrss / 1024:.0f} MiB", file=sys.stderr)


def table(all_lanes, mib):
    rows, first = [], None
    for lane in all_lanes:
        if not lane.results:
            continue
        seconds, cpu, peak = (statistics.median(column) for column in zip(*lane.results))
        speed, cost = mib / seconds, cpu / mib * 1024
        first = first or (speed, cost)
        rows.append(f"| {lane.name} | {lane.carries} | {speed:.0f} | {first[0] / speed:.1f} | "
                    f"{cost:.2f} | {cost / first[1]:.1f} | {peak:.0f} |")
    head = ["| client | what it checks the bytes with | MiB/s | imgimport / it | CPU s/GiB | "
            "it / imgimport | peak MiB |",
            "|---|---|--:|--:|--:|--:|--:|"]
    return "\n".join(head + rows)


def shares(all_lanes, mib, mbit):
    """How much of the line each client used, from its start to its end."""
    for lane in all_lanes:
        if lane.results:
            seconds = statistics.median(seconds for seconds, _, _ in lane.results)
            share = mib * 1.048576 * 8 / mbit / seconds
            print(f"{lane.name}: {100 * share:.1f} % of {mbit:g} Mbit/s")


def machine():
    model = "unknown"
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{os.cpu_count()} cores, {model}, {os.uname().sysname} {os.uname().release.split('-')[0]}"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--size", type=int, default=2048, help="MiB of the file")
    options.add_argument("--turns", type=int, default=5)
    options.add_argument("--tls", action="store_true")
    options.add_argument("--sparse", action="store_true", help="a file of holes")
    options.add_argument("--line", metavar="MBIT,RTT_MS", help="through a long, narrow line")
    options.add_argument("--only", default="", help="names, with commas between them")
    said = options.parse_args()
    work = Path(tempfile.mkdtemp(prefix="race-"))
    running = []
    try:
        file = work / "disk.raw"
        make_file(file, said.size, said.sparse)
        server, endpoint = start_discarding(work, said.tls)
        running.append(server)
        sandbox, env = start_sandbox(work)
        running.append(sandbox)
        there = endpoint
        if said.line:
            line, endpoint = start_line(endpoint, said.line)
            running.append(line)
        wanted = [name for name in said.only.split(",") if name]
        field = [lane for lane in lanes(endpoint, str(file), work, env, said.tls)
                 if not wanted or lane.name in wanted]
        for _ in range(said.turns):
            for lane in field:
                turn(lane, said.size, there, work, said.tls)
        kind = "TLS" if said.tls else "plain HTTP"
        print(f"{said.size} MiB over {kind}, medians of {said.turns} turns; {machine()}\n")
        print(table(field, said.size))
        if said.line:
            print()
            shares(field, said.size, float(said.line.split(",")[0]))
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
