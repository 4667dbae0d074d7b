"""A link between two network namespaces on which every packet takes a while, both ways, and some are lost. Linux, as root.

usage: delayed-link.py <milliseconds> <percent lost> <namespace> <address> <namespace> <address>

Each end is a TUN device called `link0` with an address of a /24. Prints `ready` once packets pass, and lasts until it is
ended. (The kernel's own delay, netem, is a module that many kernels come without.)
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MAX_PACKET_BYTES = 65536

libc = ctypes.CDLL(None, use_errno=True)


def open_end(namespace, address):
    with open(f"/var/run/netns/{namespace}") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", b"link0", IFF_TUN | IFF_NO_PI))
    for args in (["address", "add", f"{address}/24", "dev", "link0"], ["link", "set", "link0", "up"]):
        subprocess.run(["ip", *args], check=True)
    return end


def main():
    delay = int(sys.argv[1]) / 1000
    lost = float(sys.argv[2]) / 100
    ends = [open_end(*sys.argv[3:5]), open_end(*sys.argv[5:7])]
    print("ready", flush=True)
    on_the_way = []
    sent = 0
    while True:
        wait = max(0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
        readable, _, _ = select.select(ends, [], [], wait)
        for end in readable:
            packet = os.read(end, MAX_PACKET_BYTES)
            if random.random() < lost:
                continue
            sent += 1
            other = ends[1 - ends.index(end)]
            heapq.heappush(on_the_way, (time.monotonic() + delay, sent, other, packet))
        while on_the_way and on_the_way[0][0] <= time.monotonic():
            _, _, other, packet = heapq.heappop(on_the_way)
            try:
                os.write(other, packet)
            except BlockingIOError:
                pass  # Lost, as on any link that is full.


main()
