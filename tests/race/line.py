"""A long, narrow line to another port of this machine: what is sent leaves at so many
Mbit/s, for all connections together, and arrives half a round trip later. It may stop
for a while, and it may drop connections.

    line.py PORT TO_PORT MBIT RTT_MS
"""

import asyncio
import socket
import sys
import threading

BITE = 32 << 10
# Of what waits to leave, a router keeps about this much.
QUEUE_SECONDS = 0.05


class Direction:
    """One way of the line, shared by all connections."""

    def __init__(self, bytes_per_second, delay):
        self.rate, self.delay, self.free_at = bytes_per_second, delay, 0.0
        self.carried = 0
        # Stops once so many bytes were carried, for so many seconds.
        self.stop = None
        # Drops a connection once it has carried so many bytes, so many times.
        self.drop, self.drops = None, 0

    async def carry(self, reader, writer):
        loop, sending = asyncio.get_running_loop(), asyncio.Queue()
        deliver = asyncio.create_task(self.deliver(sending, writer))
        own = 0
        try:
            while data := await reader.read(BITE):
                own, self.carried = own + len(data), self.carried + len(data)
                if self.stop and self.carried > self.stop[0]:
                    self.free_at = max(loop.time(), self.free_at) + self.stop[1]
                    self.stop = None
                self.free_at = max(loop.time(), self.free_at) + len(data) / self.rate
                sending.put_nowait((self.free_at + self.delay, data))
                wait = self.free_at - loop.time() - QUEUE_SECONDS
                if wait > 0:
                    await asyncio.sleep(wait)
                if self.drop and own > self.drop and self.drops > 0:
                    self.drops -= 1
                    deliver.cancel()
                    return writer.transport.abort()
        except OSError:
            pass
        sending.put_nowait((loop.time() + self.delay, None))
        await deliver

    async def deliver(self, sending, writer):
        loop = asyncio.get_running_loop()
        try:
            while True:
                at, data = await sending.get()
                await asyncio.sleep(max(0, at - loop.time()))
                if data is None:
                    break
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            pass


class Line:
    """The line from a port of its own to `to_port`."""

    def __init__(self, to_port, mbit, rtt_ms, port=0):
        rate, delay = mbit * 1e6 / 8, rtt_ms / 2000
        self.to_port, self.port = to_port, port
        self.out, self.back = Direction(rate, delay), Direction(rate, delay)

    async def connection(self, reader, writer):
        there, from_there = await asyncio.open_connection("127.0.0.1", self.to_port, limit=BITE)
        try:
            await asyncio.gather(self.out.carry(reader, from_there),
                                 self.back.carry(there, writer))
        except asyncio.CancelledError:
            pass
        from_there.close(), writer.close()

    async def serve(self, ready=lambda: None):
        door = socket.create_server(("127.0.0.1", self.port))
        # What lies in the kernel's buffers has not left yet: little of it.
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
        self.port = door.getsockname()[1]
        server = await asyncio.start_server(self.connection, sock=door, limit=BITE)
        ready()
        await server.serve_forever()

    def start(self):
        """Serves from a thread of its own, until the program ends."""
        up = threading.Event()
        serving = lambda: asyncio.run(self.serve(up.set))
        threading.Thread(target=serving, daemon=True).start()
        up.wait()
        return self


if __name__ == "__main__":
    port, to_port, mbit, rtt = sys.argv[1:]
    asyncio.run(Line(int(to_port), float(mbit), float(rtt), int(port)).serve())
