"""Compiles the sources in the directories that standard input names, one on each line.

Each directory is compiled by a process of its own, forked from one and the same state: what `marshal` writes of a
string depends on whether the process has met it before, so bytecode made in one long process would differ with the order
of the work. A directory whose bytecode fits its sources is left alone.
"""

import sys

# Older ones know no bytecode that is independent of the time of its source: they compile when they import.
if sys.version_info < (3, 7):
    sys.exit()

import importlib.util
import os
import py_compile

UNCHECKED_HASH = b"\1\0\0\0"


def sources(directory):
    with os.scandir(directory) as entries:
        return sorted(entry.path for entry in entries if entry.name.endswith(".py") and entry.is_file())


def fits(source):
    """Whether there is bytecode of this very source, which python takes without a look at the source's time."""
    try:
        with open(importlib.util.cache_from_source(source), "rb") as file:
            head = file.read(16)
        with open(source, "rb") as file:
            content = file.read()
    except OSError:
        return False
    return head == importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(content)


def compile_directory(directory):
    found = sources(directory)
    if all([fits(source) for source in found]):
        return
    for source in found:
        try:
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(source, doraise=True, invalidation_mode=mode)
        except (py_compile.PyCompileError, SyntaxError, ValueError, RecursionError):
            # Packages hold sources that are no Python, or another one's, as data of their tests.
            pass


def fork(directory):
    process = os.fork()
    if process == 0:
        code = 1
        try:
            compile_directory(directory)
            code = 0
        except BaseException as error:
            sys.stderr.write("%s: %s\n" % (directory, error))
            sys.stderr.flush()
        finally:
            os._exit(code)
    return process


def main():
    waiting = [os.fsdecode(line.rstrip(b"\n")) for line in sys.stdin.buffer]
    workers = len(os.sched_getaffinity(0))
    running = set()
    failed = False
    while waiting or running:
        if waiting and len(running) < workers:
            running.add(fork(waiting.pop()))
        else:
            process, status = os.wait()
            running.discard(process)
            failed = failed or status != 0
    sys.exit(failed)


main()
