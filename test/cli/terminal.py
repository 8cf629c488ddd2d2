"""Runs a command on a terminal, sends it Ctrl-C once it has shown a text, and prints all that it wrote there.

python3 terminal.py TEXT COMMAND...
"""

import os
import pty
import sys

text, command = sys.argv[1].encode(), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
written, is_interrupted = b"", False
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:  # Linux says so of a terminal that nobody has open any more.
        break
    if not part:
        break
    written += part
    if text in written and not is_interrupted:
        os.write(terminal, b"\x03")
        is_interrupted = True
os.waitpid(child, 0)
sys.stdout.buffer.write(written)
