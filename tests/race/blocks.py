#!/usr/bin/env python3
"""Races imgimport's EBS direct road against coldsnap, in turns, to a server that throws
every block away. See README.md beside this file.

    blocks.py [--size MIB] [--turns N]
"""

import argparse
import os
import shutil
import signal
import statistics
import tempfile
from pathlib import Path

import race

BLOCK = 512 << 10
COLDSNAP = os.environ.get("COLDSNAP", shutil.which("coldsnap") or "coldsnap")


def lanes(endpoint, file, work, sandbox):
    base = {**race.CLEAN, "AWS_ACCESS_KEY_ID": "race", "AWS_SECRET_ACCESS_KEY": "race",
            "AWS_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true"}
    own = {**base, **sandbox, "AWS_ENDPOINT_URL_EBS": endpoint,
           "XDG_STATE_HOME": str(work / "state")}
    words = [race.IMGIMPORT, "aws", "--method", "ebs-direct", "--no-resume", "--no-wait", "-q"]
    yield race.Lane("imgimport aws --method ebs-direct", "64", [*words, file], own)
    other = [COLDSNAP, "--endpoint", endpoint, "--region", "eu-central-1", "upload",
             "--no-progress"]
    if shutil.which(COLDSNAP):
        yield race.Lane("coldsnap upload", "64", [*other, file], base)
        yield race.Lane("coldsnap upload --omit-zero-blocks", "64",
                        [*other, "--omit-zero-blocks", file], base)


def table(field, mib):
    rows = ["| client | in flight | blocks/s | MiB/s | CPU s/GiB | peak MiB |",
            "|---|--:|--:|--:|--:|--:|"]
    for lane in field:
        if lane.results:
            seconds, cpu, peak = (statistics.median(column) for column in zip(*lane.results))
            blocks = (mib << 20) / BLOCK / seconds
            rows.append(f"| {lane.name} | {lane.carries} | {blocks:.0f} | {mib / seconds:.0f} | "
                        f"{cpu / mib * 1024:.2f} | {peak:.0f} |")
    return "\n".join(rows)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--size", type=int, default=2048, help="MiB of the file")
    options.add_argument("--turns", type=int, default=5)
    said = options.parse_args()
    work = Path(tempfile.mkdtemp(prefix="blocks-"))
    running = []
    try:
        file = work / "disk.raw"
        race.make_file(file, said.size, sparse=False)
        server, endpoint = race.start_discarding(work, tls=False)
        running.append(server)
        sandbox, env = race.start_sandbox(work)
        running.append(sandbox)
        field = list(lanes(endpoint, str(file), work, env))
        for _ in range(said.turns):
            for lane in field:
                race.turn(lane, said.size, endpoint, work, False)
        print(f"{said.size} MiB over plain HTTP, medians of {said.turns} turns; {race.machine()}\n")
        print(table(field, said.size))
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
