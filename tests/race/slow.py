"""A long, narrow line to another port of this machine: what is sent leaves at so many
Mbit/s, for all connections together, and arrives half a round trip later.

    slow.py PORT TO_PORT MBIT RTT_MS
"""

import asyncio
import socket
import sys

BITE = 32 << 10
# Of what waits to leave, a router keeps about this much.
QUEUE_SECONDS = 0.05


class Direction:
    """One way of the line, shared by all connections."""

    def __init__(self, bytes_per_second, delay):
        self.rate, self.delay, self.free_at = bytes_per_second, delay, 0.0

    async def carry(self, reader, writer):
        loop, sending = asyncio.get_running_loop(), asyncio.Queue()
        deliver = asyncio.create_task(self.deliver(sending, writer))
        try:
            while data := await reader.read(BITE):
                self.free_at = max(loop.time(), self.free_at) + len(data) / self.rate
                sending.put_nowait((self.free_at + self.delay, data))
                wait = self.free_at - loop.time() - QUEUE_SECONDS
                if wait > 0:
                    await asyncio.sleep(wait)
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


async def main(port, to_port, mbit, rtt):
    rate, delay = mbit * 1e6 / 8, rtt / 2000
    out, back = Direction(rate, delay), Direction(rate, delay)

    async def connection(reader, writer):
        there, from_there = await asyncio.open_connection("127.0.0.1", to_port, limit=BITE)
        await asyncio.gather(out.carry(reader, from_there), back.carry(there, writer))
        from_there.close(), writer.close()

    door = socket.create_server(("127.0.0.1", port))
    # What lies in the kernel's buffers has not left yet: little of it.
    door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
    server = await asyncio.start_server(connection, sock=door, limit=BITE)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
