"""Compiles the sources that standard input names: path and name of each, all of them ended by a zero byte.

Each source is compiled by a process of its own, forked from one and the same state: what `marshal` writes of a string
depends on whether the process has met it before, so bytecode made in one long process would differ with the order of the
work. The name is what the bytecode calls its source: the import system puts the real path in its place. A source whose
bytecode fits is left alone.
"""

import sys

# Older ones know no bytecode that is independent of the time of its source: they compile when they import.
if sys.version_info < (3, 7):
    sys.exit()

import importlib.util
import os
import py_compile

UNCHECKED_HASH = b"\1\0\0\0"


def fits(source, name):
    """Whether there is bytecode of this very source, under this name, which python takes without a look at its time."""
    try:
        with open(importlib.util.cache_from_source(source), "rb") as file:
            bytecode = file.read()
        with open(source, "rb") as file:
            content = file.read()
    except OSError:
        return False
    head = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(content)
    # A string is written with its length before it, in one byte or in four.
    size = len(name).to_bytes(4, "little")
    return bytecode.startswith(head) and (size[:1] + name in bytecode or size + name in bytecode)


def compile_source(source, name):
    try:
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(source, dfile=name, doraise=True, invalidation_mode=mode)
    except (py_compile.PyCompileError, SyntaxError, ValueError, RecursionError):
        # Packages hold sources that are no Python, or another one's, as data of their tests.
        pass


def fork(source, name):
    process = os.fork()
    if process == 0:
        code = 1
        try:
            compile_source(source, name)
            code = 0
        except BaseException as error:
            sys.stderr.write("%s: %s\n" % (source, error))
            sys.stderr.flush()
        finally:
            os._exit(code)
    return process


def main():
    fields = sys.stdin.buffer.read().split(b"\0")[:-1]
    waiting = list(zip(map(os.fsdecode, fields[::2]), map(os.fsdecode, fields[1::2])))
    workers = len(os.sched_getaffinity(0))
    running = set()
    failed = False
    while waiting or running:
        if waiting and len(running) < workers:
            source, name = waiting.pop()
            if not fits(source, os.fsencode(name)):
                running.add(fork(source, name))
        else:
            process, status = os.wait()
            running.discard(process)
            failed = failed or status != 0
    sys.exit(failed)


main()
