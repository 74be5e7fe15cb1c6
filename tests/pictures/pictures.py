#!/usr/bin/env python3
"""Pictures of the terminal: runs the real program against the sandbox and draws what a person sees.

    python3 tests/pictures/pictures.py                 # all scenes into target/pictures
    python3 tests/pictures/pictures.py --only aws --columns 60
    python3 tests/pictures/pictures.py --readme        # writes terminal.svg beside this file
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import NamedTuple

from terminal import FONTS, Terminal, heading, svg

HERE = pathlib.Path(__file__).resolve().parent
HOME = HERE.parent.parent
IMAGE = 96 << 20

AWS = "aws --bucket importbucket --ami-name web-2026-01 --limit-rate 16MiB/s disk.ova"
ALICLOUD = ("alicloud --region cn-beijing --bucket packer --image-name web --os-type linux "
            "--platform Debian --limit-rate 16MiB/s disk.raw")
DIGITALOCEAN = ("digitalocean --space importbucket --spaces-region nyc3 --image-name web "
                "--image-region nyc3 --image-region fra1 --part-size 5MiB --limit-rate 8MiB/s disk.raw")
PARTS = "aws --bucket importbucket --part-size 5MiB --limit-rate 16MiB/s disk.raw"

JOBS = """
parallel = 3
[upload]
limit_rate = "8MiB/s"
[aws]
s3_bucket_name = "importbucket"
[alicloud]
region = "cn-beijing"
oss_bucket_name = "packer"
image_os_type = "linux"
image_platform = "Debian"
[digitalocean]
spaces_region = "nyc3"
space_name = "importbucket"
[[job]]
name = "web"
image = "disk.ova"
[job.aws]
ami_name = "web-2026-01"
[[job]]
name = "web-beijing"
image = "disk.raw"
[job.alicloud]
image_name = "web"
[[job]]
name = "db"
image = "disk.raw"
[job.digitalocean]
image_name = "db-2026-01"
image_regions = ["nyc3", "fra1"]
"""


class Scene(NamedTuple):
    """What is typed, and at which sights a picture is taken."""

    typed: str
    sights: tuple = ()  # (name, pattern, what is pressed then)
    faults: str = ""  # what the sandbox is told
    before: str = ""  # run first, and stopped in its upload


SCENES = {
    "aws": Scene(AWS, (
        ("checking", r"Checking|Uploading", ""),
        ("uploading", r"[3-8]\d % .*left", ""),
        ("importing", r"[4-9]\d % .*(converting|updating|booting)", ""),
        ("naming", r"Naming", ""),
    )),
    "alicloud": Scene(ALICLOUD, (
        ("uploading", r"[2-8]\d % .*left", ""),
        ("importing", r"(?s)Importing as.*\d % .*\d s", ""),
    )),
    "digitalocean": Scene(DIGITALOCEAN, (
        ("uploading", r"[2-8]\d % .*left", ""),
        ("importing", r"(?s)Importing.*\d s", ""),
    )),
    "run": Scene("run jobs.toml", (
        ("uploading", r"[2-8]\d %", ""),
        ("failed", r"error:", ""),
        ("importing", r"web .*[4-9]\d %", ""),
    ), "--fault ecs:ImportImage=denied"),
    "retries": Scene(PARTS, (
        ("uploading", r"(?s)again in.*[3-8]\d % .*left", ""),
        ("importing", r"asking on", ""),
    ), "--bad-network"),
    "stalled": Scene(PARTS, (
        ("silent", r"nothing acknowledged for 3\d s", "\x03"),
    ), "--fault s3:UploadPart=stall@5-"),
    "stopped": Scene(AWS, (("stopping", r"[2-8]\d %", "\x03"),)),
    "removed": Scene(AWS, (("stopping", r"[2-8]\d %", "\x03"), ("again", r"once more", "\x03"))),
    "left": Scene(AWS, (
        ("stopping", r"[4-9]\d % .*(converting|updating|booting)", "\x03"),
        ("again", r"once more", "\x03"),
        ("leaving", r"Removing", "\x03"),
    ), "--fault ec2:CancelImportTask=stall@1-"),
    "failed": Scene(AWS, (), "--fault s3:CompleteMultipartUpload=denied@1-"),
    "refused": Scene("aws --bucket import_bucket --timeout 90m disk.ova"),
    "mistyped": Scene("asw disk.ova"),
    "missing": Scene("aws --bucket importbucket --region us-east-2 disk.ova"),
    "plan": Scene("aws --bucket importbucket --ami-name web-2026-01 --dry-run disk.ova"),
    "check": Scene("check disk.ova"),
    "jobs": Scene("jobs", before=AWS),
    "help": Scene("--help"),
    "help-aws": Scene("aws --help"),
}


def builds():
    """The program and its sandbox, as the environment or cargo has them."""
    named = [os.environ.get(name) for name in ("IMGIMPORT", "SANDBOX")]
    if not all(named):
        subprocess.run(["cargo", "build", "-q", "--workspace"], cwd=HOME, check=True)
    built = HOME / "target/debug"
    return named[0] or built / "imgimport", named[1] or built / "imgimport-sandbox"


class Stage:
    """Clouds that nobody has used yet, and the environment to reach them."""

    def __init__(self, sandbox, state, faults=""):
        command = [sandbox, *faults.split()]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.environment = {
            name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ
        } | {
            "TERM": "xterm-256color", "HOME": state, "XDG_STATE_HOME": tempfile.mkdtemp(dir=state),
            "SOURCE_DATE_EPOCH": "1767225600", "IMGIMPORT_POLL_INTERVAL": "500ms",
            "AWS_EC2_METADATA_DISABLED": "true", "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
        }
        for line in self.process.stdout:
            if not line.startswith("export "):
                break
            name, value = line.removeprefix("export ").strip().split("=", 1)
            self.environment[name] = value

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def shoot(name, columns, colours, builds, directory, out):
    """One scene: a picture at each of its sights, and one of the end."""
    typed, sights, faults, before = SCENES[name]
    program, sandbox = builds
    label = f"{name}-{columns}{'' if colours else '-plain'}"
    with Stage(sandbox, directory, faults) as stage:
        env = stage.environment | ({} if colours else {"NO_COLOR": "1"})
        prepare(program, before, env, directory)
        terminal = Terminal([program, *typed.split()], columns, 30, env, directory)
        for sight, pattern, press in sights:
            terminal.until(pattern)
            draw(terminal, typed, columns, out / f"{label}-{sight}.svg")
            terminal.press(press)
        code = terminal.end()
    draw(terminal, typed, columns, out / f"{label}-end.svg")
    written, seconds = sum(len(data) for _, data in terminal.written), terminal.written[-1][0]
    print(f"{label}: exit {code}, {written / seconds:.0f} bytes a second in {seconds:.1f} s")


def prepare(program, typed, env, directory):
    """Runs what the scene needs to have happened, and stops it while it uploads."""
    if typed:
        terminal = Terminal([program, *typed.split()], 100, 30, env, directory)
        terminal.until(r"[2-8]\d %")
        terminal.press("\x03")
        terminal.end()


def draw(terminal, typed, columns, path):
    picture = svg([*heading(f"$ imgimport {typed}", columns), *terminal.lines()], columns)
    path.write_text(picture)
    if png:
        # It takes the first font of a list alone.
        picture = picture.replace(FONTS, "DejaVu Sans Mono")
        png(bytestring=picture.encode(), write_to=str(path.with_suffix(".png")))


def log(name, builds, directory, out):
    """What a pipe gets."""
    typed, _, faults, before = SCENES[name]
    for progress in ("plain", "json"):
        with Stage(builds[1], directory, faults) as stage:
            prepare(builds[0], before, stage.environment, directory)
            ended = subprocess.run(
                [builds[0], *typed.split()], env=stage.environment | {"IMGIMPORT_PROGRESS": progress},
                cwd=directory, capture_output=True, text=True)
        (out / f"{name}-{progress}.log").write_text(ended.stderr)
        print(f"{name}-{progress}.log: exit {ended.returncode}, {len(ended.stderr.splitlines())} lines")


def make_images(sandbox, directory):
    """An OVA, which the sandbox makes, and a raw disk of which half can be compressed."""
    command = [sandbox, *"aws --bucket importbucket --dry-run disk.ova".split()]
    subprocess.run(command, cwd=directory, capture_output=True, check=True)
    with open(os.path.join(directory, "disk.raw"), "wb") as file:
        file.write(bytes(446) + b"\x80" + bytes(63) + b"\x55\xaa")
        file.write(os.urandom(IMAGE // 2))
        file.truncate(IMAGE)
    pathlib.Path(directory, "jobs.toml").write_text(JOBS)


def readme(builds, directory):
    """Two moments of a run, and its end."""
    typed, columns = SCENES["aws"].typed, 92
    command = heading(f"$ imgimport {typed.replace(' --limit-rate 16MiB/s', '')}", columns)
    rows = []
    with Stage(builds[1], directory) as stage:
        terminal = Terminal([builds[0], *typed.split()], columns, 30, stage.environment, directory)
        for pattern in (r"[5-8]\d % .*left", r"[5-9]\d % .*(converting|updating|booting)"):
            terminal.until(pattern)
            rows += [*command, *terminal.lines(), []]
        terminal.end()
    rows += [*command, *terminal.lines()]
    (HERE / "terminal.svg").write_text(svg(rows, columns, "imgimport takes disk.ova to an AMI"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=SCENES)
    parser.add_argument("--columns", action="append", type=int)
    parser.add_argument("--out", type=pathlib.Path, default=HOME / "target/pictures")
    parser.add_argument("--readme", action="store_true")
    said = parser.parse_args()
    built = builds()
    said.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        make_images(built[1], directory)
        if said.readme:
            return readme(built, directory)
        for name in said.only or SCENES:
            for columns in said.columns or (60, 100, 160):
                for colours in (True, False):
                    shoot(name, columns, colours, built, directory, said.out)
            log(name, built, directory, said.out)


try:
    from cairosvg import svg2png as png
except ImportError:
    png = None

if __name__ == "__main__":
    sys.exit(main())
