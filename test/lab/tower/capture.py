"""Writes every frame that passes in this network namespace, loopback included, to a file.

Each is preceded by its length, four bytes, big-endian. Usage: ip netns exec HOST python3 capture.py FILE
"""

import socket
import struct
import sys

ALL_PROTOCOLS = 3
LONGEST = 1 << 18

with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS)) as frames:
    frames.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    with open(sys.argv[1], "wb", buffering=0) as out:
        print("Listening", flush=True)
        while True:
            frame = frames.recv(LONGEST)
            out.write(struct.pack(">I", len(frame)) + frame)
