"""A terminal that a program runs in, and its picture as SVG.

What is on the screen is pyte's business; here it is asked at the right moments, and drawn.
"""

import fcntl
import html
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pyte

# The colours of a dark terminal, by pyte's names; the background is GitHub's.
COLOURS = {
    "default": "#e6edf3", "black": "#484f58", "red": "#ff7b72", "green": "#3fb950",
    "brown": "#d29922", "blue": "#58a6ff", "magenta": "#bc8cff", "cyan": "#39c5cf",
    "white": "#b1bac4", "brightblack": "#484f58",
}
BACKGROUND = "#0d1117"
# What a bar is made of: how much of the column, how thick.
BAR = {"━": (1, 3), "╸": (0.5, 3), "─": (1, 1)}
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
COLUMN, ROW, SIZE, EDGE = 8.4, 19, 14, 14


class Terminal:
    """Runs a command on `columns` x `rows`; `screen` is what a person sees."""

    def __init__(self, command, columns, rows=24, env=None, cwd=None):
        self.screen = pyte.HistoryScreen(columns, rows, history=1000, ratio=1)
        self.stream = pyte.ByteStream(self.screen)
        self.written = []  # (when, bytes): for what is written in a second
        self.began = time.monotonic()
        master, slave = pty.openpty()
        self.master = master
        self.resize(columns, rows, screen=False)
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=env,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)

    def resize(self, columns, rows, screen=True):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if screen:
            self.screen.resize(rows, columns)

    def read(self, seconds):
        """Reads for so long; false once the program has ended."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.master], [], [], left)[0]:
                return True
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            if not data:
                self.process.wait()
                return False
            self.written.append((time.monotonic() - self.began, data))
            # pyte knows no faint signs; they come out grey.
            self.stream.feed(data.replace(b"\x1b[2m", b"\x1b[90m"))
        return True

    def until(self, pattern, seconds=120):
        """Reads until the screen shows the pattern."""
        pattern, end = re.compile(pattern), time.monotonic() + seconds
        while not pattern.search(self.text()):
            if time.monotonic() > end or not self.read(0.02):
                raise TimeoutError(f"{pattern.pattern!r} was not shown:\n{self.text()}")

    def end(self):
        while self.read(1):
            pass
        return self.process.returncode

    def press(self, text):
        os.write(self.master, text.encode())

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def lines(self):
        """What scrolled away, and what is on the screen, as rows of cells."""
        rows = [*self.screen.history.top, *(self.screen.buffer[y] for y in range(self.screen.lines))]
        rows = [[row[x] for x in range(self.screen.columns)] for row in rows]
        while rows and not "".join(cell.data for cell in rows[-1]).strip():
            rows.pop()
        return rows

    def text(self):
        return "\n".join("".join(cell.data for cell in row).rstrip() for row in self.lines())


def heading(typed, columns):
    """Rows of what was typed, as the program's user sees it."""
    screen = pyte.Screen(columns, 1 + len(typed) // columns)
    pyte.Stream(screen).feed("\x1b[1;32m$\x1b[0m" + typed.removeprefix("$"))
    return [[screen.buffer[y][x] for x in range(columns)] for y in range(screen.lines)]


def svg(rows, columns, title=None):
    """The rows as a picture."""
    width, height = columns * COLUMN + 2 * EDGE, len(rows) * ROW + 2 * EDGE
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{html.escape(title)}</title>" if title else "",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        f'<g font-family="{FONTS}" '
        f'font-size="{SIZE}" xml:space="preserve">',
    ]
    for number, row in enumerate(rows):
        y = EDGE + number * ROW + SIZE
        out += [span(x, y, cell, text) for x, cell, text in runs(row)]
    return "\n".join(filter(None, [*out, "</g>", "</svg>", ""]))


def runs(row):
    """Pieces of a row that look the same, each with its column."""
    pieces = []
    for x, cell in enumerate(row):
        look = (cell.fg, cell.bold)
        if pieces and pieces[-1][3] == look:
            pieces[-1][2] += cell.data
        else:
            pieces.append([x, cell, cell.data, look])
    return [(x, cell, text) for x, cell, text, _ in pieces if text.strip()]


def span(x, y, cell, text):
    colour = COLOURS.get(cell.fg, f"#{cell.fg}" if re.fullmatch("[0-9a-f]{6}", cell.fg) else COLOURS["default"])
    if set(text.strip()) <= set(BAR):
        return "".join(stroke(x + at, y, *BAR[sign], colour) for at, sign in enumerate(text) if sign in BAR)
    lead = len(text) - len(text.lstrip())
    text, at = text.strip(), EDGE + (x + lead) * COLUMN
    weight = ' font-weight="bold"' if cell.bold else ""
    return (f'<text x="{at:.1f}" y="{y}" fill="{colour}"{weight} '
            f'textLength="{cells(text) * COLUMN:.1f}">{html.escape(text)}</text>')


def stroke(x, y, share, thick, colour):
    """Signs of a bar are drawn: fonts leave gaps between them."""
    return (f'<rect x="{EDGE + x * COLUMN:.1f}" y="{y - 5 - thick / 2}" '
            f'width="{share * COLUMN:.1f}" height="{thick}" fill="{colour}"/>')


def cells(text):
    """Columns, where pyte has an empty cell after a wide sign."""
    return sum(pyte.screens.wcwidth(sign) for sign in text)
