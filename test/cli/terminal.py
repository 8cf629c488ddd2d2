"""Runs a command on a terminal, sends Ctrl-C once the command has printed a text, and prints the whole output.

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
    except OSError:  # Linux raises this when no process has the terminal open.
        break
    if not part:
        break
    written += part
    if text in written and not is_interrupted:
        os.write(terminal, b"\x03")
        is_interrupted = True
os.waitpid(child, 0)
sys.stdout.buffer.write(written)
