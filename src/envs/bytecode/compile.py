"""Compiles the sources that standard input names: path and name of each, all of them ended by a zero byte.

The name is what the bytecode calls its source: the import system puts the real path in its place. A source whose bytecode
fits is left alone.

What `marshal` writes of an object depends on whether anything else refers to it, so bytecode would differ with what the
process has met before. Something else refers to each object here while it is written.
"""

import sys

# Older ones know no bytecode that is independent of the time of its source: they compile when they import.
if sys.version_info < (3, 7):
    sys.exit()

import importlib.util
import marshal
import os
import types

UNCHECKED_HASH = b"\1\0\0\0"

# How `marshal` marks short strings, interned or not, that something refers to or not.
SHORT = [b"z", b"Z", b"\xfa", b"\xda"]


def head(content):
    return importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(content)


def fits(source, name):
    """Whether there is bytecode of this very source, under this name, which python takes without a look at its time."""
    try:
        with open(importlib.util.cache_from_source(source), "rb") as file:
            bytecode = file.read()
        with open(source, "rb") as file:
            content = file.read()
    except OSError:
        return False
    # A string is written with its length before it, in four bytes or, behind a mark, in one: the slash before the end of a
    # longer name is the length of such an end of 47 bytes.
    size = len(name).to_bytes(4, "little")
    short = any(mark + size[:1] + name in bytecode for mark in SHORT)
    return bytecode.startswith(head(content)) and (short or size + name in bytecode)


def parts(value):
    """The objects that an object of a compiled module holds, itself among them, at any depth."""
    yield value
    if isinstance(value, types.CodeType):
        held = [value.co_filename, value.co_name, getattr(value, "co_qualname", None), value.co_names, value.co_consts]
        held += [value.co_varnames, value.co_freevars, value.co_cellvars]
    elif isinstance(value, (tuple, frozenset)):
        held = value
    else:
        held = ()
    for part in held:
        yield from parts(part)


def compile_source(source, name):
    with open(source, "rb") as file:
        content = file.read()
    try:
        code = compile(content, name, "exec", dont_inherit=True)
        referred = list(parts(code))
        bytecode = head(content) + marshal.dumps(code)
        del referred
    except Exception:
        # Packages hold sources that are no Python, or another one's, as data of their tests; what a compiler says of them
        # differs with its release, a MemoryError among it.
        return
    target = importlib.util.cache_from_source(source)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    mode = (os.stat(source).st_mode | 0o200) & 0o666
    written = "%s.%d" % (target, os.getpid())
    with open(os.open(written, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "wb") as file:
        file.write(bytecode)
    os.chmod(written, mode)
    os.replace(written, target)


def fork(sources):
    process = os.fork()
    if process == 0:
        code = 1
        try:
            for source, name in sources:
                if not fits(source, os.fsencode(name)):
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
    sources = list(zip(map(os.fsdecode, fields[::2]), map(os.fsdecode, fields[1::2])))
    workers = len(os.sched_getaffinity(0))
    processes = [fork(sources[first::workers]) for first in range(workers)]
    sys.exit(any([os.waitpid(process, 0)[1] != 0 for process in processes]))


main()
