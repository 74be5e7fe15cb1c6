#!/usr/bin/env python3
"""Uploads over slow lines, to every cloud that the sandbox has, at default options: how
long it took beside what the line needs, whether bytes were sent twice, and what was
displayed. With `aws s3 cp` and `rclone` beside it, where they are in the path.

    slow.py [--size MIB] [--lines MBIT,...] [--rtt MS] [--only NAME,...]
            [--stop AT_MIB,SECONDS] [--drop AFTER_MIB,TIMES] [-- OPTIONS OF imgimport]
"""

import argparse
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import race
from line import Line

# A bar's last figures: `  12.3 MiB/s  1 min 5 s left`.
LEFT = re.compile(r"([0-9.]+) ([KMG]?i?B)/s  (?:([0-9]+) h ?)?(?:([0-9]+) min ?)?(?:([0-9]+) s )?left")
# What an upload's stage comes to: `24.0 MiB in 1 min 40 s (245.0 KiB/s)`.
TOOK = re.compile(r"iB in (?:([0-9]+) min ?)?(?:([0-9.]+) s)?")
# A client that needs this many times as long as the line has given up.
PATIENCE = 6
# Of an upload's bytes, what its requests may cost beside them.
OVERHEAD = 1.03


class Cloud:
    """One way to upload: the variable that names its endpoint, and the words."""

    def __init__(self, name, variable, words, env):
        self.name, self.variable, self.words, self.env = name, variable, words, env


def start_sandbox():
    sandbox = subprocess.Popen([race.SANDBOX], stdout=subprocess.PIPE, text=True)
    env = {}
    for line in sandbox.stdout:
        if not line.startswith("export "):
            break
        name, _, value = line.removeprefix("export ").strip().partition("=")
        env[name] = value.strip("'")
    return sandbox, env


def clouds(file, env, extra, name):
    base = {**race.CLEAN, **env, "AWS_EC2_METADATA_DISABLED": "true", "TERM": "xterm",
            "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": env["AWS_REGION"],
            "AWS_MAX_ATTEMPTS": "1"}
    own = [*extra, "--no-resume", "--no-wait", file]
    yield Cloud("S3", "AWS_ENDPOINT_URL_S3",
                [race.IMGIMPORT, "aws", "--bucket", "importbucket", *own], base)
    yield Cloud("EBS direct", "AWS_ENDPOINT_URL_EBS",
                [race.IMGIMPORT, "aws", "--method", "ebs-direct", *own], base)
    yield Cloud("OSS", "ALICLOUD_OSS_ENDPOINT",
                [race.IMGIMPORT, "alicloud", "--bucket", "importbucket", "--image-name", name,
                 *own], base)
    yield Cloud("Spaces", "SPACES_ENDPOINT_URL",
                [race.IMGIMPORT, "digitalocean", "--space", "importbucket", "--spaces-region",
                 "nyc3", "--image-region", "nyc3", "--image-name", name, *own], base)
    if aws := shutil.which("aws"):
        yield Cloud("aws s3 cp", "AWS_ENDPOINT_URL_S3",
                    [aws, "s3", "cp", file, "s3://importbucket/cp"], base)
    if rclone := shutil.which("rclone"):
        # It sends an ACL, which only the Space allows.
        remote = {"RCLONE_CONFIG_S_TYPE": "s3", "RCLONE_CONFIG_S_PROVIDER": "Other",
                  "RCLONE_CONFIG_S_ENV_AUTH": "true", "RCLONE_S3_NO_CHECK_BUCKET": "true",
                  "RCLONE_CONFIG_S_REGION": "nyc3",
                  "RCLONE_S3_ENDPOINT": env["SPACES_ENDPOINT_URL"],
                  "AWS_ACCESS_KEY_ID": env["SPACES_ACCESS_KEY_ID"],
                  "AWS_SECRET_ACCESS_KEY": env["SPACES_SECRET_ACCESS_KEY"]}
        yield Cloud("rclone", "RCLONE_S3_ENDPOINT",
                    [rclone, "copyto", file, "s:importbucket/rclone"], {**base, **remote})


def run(words, env, patience):
    """Seconds, exit code, and what was drawn with the time of it."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    began, drawn = time.monotonic(), []
    child = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=theirs,
                             stdin=subprocess.DEVNULL)
    os.close(theirs)
    while True:
        ready, _, _ = select.select([ours], [], [], 0.2)
        try:
            data = os.read(ours, 65536) if ready else b""
        except OSError:
            break
        if data:
            drawn.append((time.monotonic() - began, data.decode(errors="replace")))
        elif child.poll() is not None:
            break
        if time.monotonic() - began > patience:
            child.kill()
            break
    os.close(ours)
    code = child.wait()
    return time.monotonic() - began, code, drawn


def uploaded(text):
    """Seconds of the upload itself, as displayed."""
    if found := TOOK.findall(text):
        minutes, seconds = found[-1]
        return f"{int(minutes or 0) * 60 + float(seconds or 0):.1f}"
    return ""


def displayed(drawn):
    """The first rate after the upload began, and by how much the time left rose at most
    once ten seconds had passed: both in words."""
    began = next((at for at, text in drawn if "Uploading" in text or "Writing" in text), None)
    if began is None:
        return "", ""
    values = []
    for at, text in drawn:
        for found in LEFT.finditer(text):
            hours, minutes, seconds = (int(part or 0) for part in found.groups()[2:])
            values.append((at - began, hours * 3600 + minutes * 60 + seconds))
    if not values:
        return "none", ""
    later = [left for at, left in values if at >= 10]
    rises = [after / before for before, after in zip(later, later[1:]) if after > before]
    worst = max(rises, default=1)
    return f"{values[0][0]:.1f} s", f"{100 * (worst - 1):.0f} %" if later else "–"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--size", type=int, default=24, help="MiB of the file")
    options.add_argument("--lines", default="2,8,20", help="Mbit/s, with commas between them")
    options.add_argument("--rtt", type=float, default=20, help="milliseconds")
    options.add_argument("--only", default="", help="names, with commas between them")
    options.add_argument("--stop", help="the line stops there: AT_MIB,SECONDS")
    options.add_argument("--drop", help="connections are dropped: AFTER_MIB,TIMES")
    options.add_argument("--show", action="store_true", help="what was drawn, too")
    options.add_argument("words", nargs="*", help="further options of imgimport")
    said = options.parse_args()
    work = Path(tempfile.mkdtemp(prefix="slow-"))
    sandbox, env = start_sandbox()
    try:
        file = work / "disk.raw"
        race.make_file(file, said.size, sparse=False)
        wanted = [name for name in said.only.split(",") if name]
        print("| line | client | s | upload s | line's s | sent / size | first rate | "
              "left rises by |")
        print("|---|---|--:|--:|--:|--:|--:|--:|")
        for mbit in map(float, said.lines.split(",")):
            for cloud in clouds(str(file), env, said.words, f"slow-{mbit:g}"):
                if wanted and cloud.name not in wanted:
                    continue
                there = cloud.env.get(cloud.variable, env["AWS_ENDPOINT_URL_S3"])
                line = Line(int(there.rpartition(":")[2]), mbit, said.rtt)
                if said.stop:
                    at, seconds = said.stop.split(",")
                    line.out.stop = (float(at) * 2**20, float(seconds))
                if said.drop:
                    after, times = said.drop.split(",")
                    line.out.drop, line.out.drops = float(after) * 2**20, int(times)
                line.start()
                state = {"XDG_STATE_HOME": str(work / f"{mbit}-{cloud.name}"),
                         cloud.variable: f"http://127.0.0.1:{line.port}"}
                size = said.size << 20
                needs = size * 8 / mbit / 1e6
                patience = PATIENCE * needs + 60
                seconds, code, drawn = run(cloud.words, {**cloud.env, **state}, patience)
                sent = line.out.carried / size
                first, rises = displayed(drawn)
                text = "".join(text for _, text in drawn)
                if said.show or code:
                    print(text, file=sys.stderr)
                again = " **twice**" if sent > OVERHEAD else ""
                failed = f" (exit {code})" if code else ""
                print(f"| {mbit:g} Mbit/s | {cloud.name}{failed} | {seconds:.1f} | "
                      f"{uploaded(text)} | {needs:.1f} | "
                      f"{sent:.3f}{again} | {first} | {rises} |", flush=True)
    finally:
        sandbox.terminate()
        sandbox.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
