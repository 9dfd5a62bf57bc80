"""Forks Jupyter kernels from a process that has imported ipykernel already.

Arguments: the process that the kernels will be children of, the socket to connect to, and the witness, as JSON: its
program, and the names that it wants. Each request is a line of JSON and, beside it, the descriptor that takes the kernel's output; each answer is a line of JSON. A kernel is forked
twice, so that it becomes an orphan, which the process that asked adopts. When the connection ends, so does the server.
"""

import json
import os
import socket
import sys
import time

# What a kernel imports of its own packages later while it starts, before it looks into its working directory. Nothing
# that a notebook might have to import itself is imported here: it would hide that it is missing.
LATER = (
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "faulthandler",
    "ipykernel.debugger",
    "runpy",
    "sqlite3",
    "tornado.platform.asyncio",
)


def main(parent, address, witness):
    # `-m` puts the working directory here, which is the kernel's own, and ipykernel takes it away while it starts.
    finds_working_directory = sys.path[:1] == [""]
    if finds_working_directory:
        del sys.path[0]
    server_directory = os.getcwd()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    files = open_files()
    problem = load(json.loads(witness)) or thread_problem() or file_problem(files)
    answer(connection, {"error": problem} if problem else {"ready": True})
    while not problem:
        request, output = receive(connection)
        if request is None:
            break
        if fork_kernel(connection, request, output, parent):
            # As an interpreter that was just started with `-m` and these arguments.
            sys.path[:] = [moved(path, server_directory) for path in sys.path]
            if finds_working_directory:
                sys.path.insert(0, os.getcwd())
            sys.argv[:] = ["-m", *request["arguments"]]
            if hasattr(sys, "orig_argv"):
                sys.orig_argv[:] = request["command"]
            sys.modules["__main__"] = type(sys)("__main__")
            return True
        os.close(output)
    return False


def load(witness):
    """Imports what a kernel imports and prepares the witness, or says why it cannot."""
    import importlib

    try:
        importlib.import_module("ipykernel.kernelapp")
    except BaseException as error:
        return f"ipykernel cannot be imported: {error!r}"
    for name in LATER:
        try:
            importlib.import_module(name)
        except Exception:
            # Other versions have other modules. The kernel will import its own.
            pass
    prepare(**witness)
    freeze()
    return None


def prepare(program, names):
    """Lets the first shell that is made set up the witness, which spares the kernel a request.

    The kernel says so by a link among those for help, which nothing but a client reads. Where that fails, or the shell is
    of another kind, it says nothing, and is asked.
    """
    shells = getattr(sys.modules.get("ipykernel.zmqshell"), "ZMQInteractiveShell", None)
    if shells is None:
        return
    code = compile(program, "<string>", "exec")
    own, make = vars(shells).get("__init__"), shells.__init__

    def __init__(self, *arguments, **options):
        if own is None:
            del shells.__init__
        else:
            shells.__init__ = own
        make(self, *arguments, **options)
        try:
            exec(code, {"shell": self, **names})
            self.kernel.help_links = [*self.kernel.help_links, {"text": names["source"], "url": ""}]
        except Exception:
            pass

    shells.__init__ = __init__


def freeze():
    """Lets the collector pass over all there is, so that its memory stays shared."""
    is_new = "gc" not in sys.modules
    import gc

    gc.collect()
    gc.freeze()
    if is_new:
        # The only module here that some kernels do not import by themselves.
        del sys.modules["gc"]


def thread_problem():
    threads = len(os.listdir("/proc/self/task")) - 1
    if threads:
        return f"ipykernel comes with {threads} thread{'s'[: threads > 1]} that a fork would lose"
    return None


def file_problem(files):
    return "ipykernel comes with open files that a fork would share" if open_files() != files else None


def open_files():
    return {name: os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if is_open(name)}


def is_open(descriptor):
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


def receive(connection):
    """A request and its descriptor; none when the connection has ended."""
    data, descriptors = b"", []
    while not data.endswith(b"\n"):
        part, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4))
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.append(int.from_bytes(payload[:4], sys.byteorder))
        if not part:
            return None, None
        data += part
    return json.loads(data), descriptors[0]


def answer(connection, content):
    connection.sendall(json.dumps(content).encode() + b"\n")


def fork_kernel(connection, request, output, parent):
    """Forks and answers. True in the kernel, False in the server."""
    problem = thread_problem()
    if problem:
        answer(connection, {"error": problem})
        return False
    reader, writer = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    child = os.fork()
    if child:
        os.close(writer)
        with open(reader, "rb") as pipe:
            report = pipe.read()
        os.waitpid(child, 0)
        connection.sendall(report or b'{"error": "the kernel ended while it was made"}\n')
        return False
    middle = os.getpid()
    if os.fork():
        os._exit(0)
    try:
        os.setpgid(0, 0)
        os.close(reader)
        connection.close()
        redirect(output)
        become(request, middle, parent)
    except BaseException as error:
        problem = str(error) or repr(error)
    report = {"error": problem} if problem else {"pid": os.getpid()}
    os.write(writer, json.dumps(report).encode() + b"\n")
    if problem:
        os._exit(1)
    os.close(writer)
    return True


def redirect(output):
    """Makes the descriptor what the process prints to."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)


def become(request, middle, parent):
    """Makes the process what a new one would be: whose child, where, and with what mark."""
    deadline = time.monotonic() + 5
    while os.getppid() == middle and time.monotonic() < deadline:
        time.sleep(0.0005)
    if os.getppid() != parent:
        raise RuntimeError(f"process {os.getppid()} adopts orphans, not floe")
    set_mark(request["mark"])
    os.chdir(request["directory"])


def set_mark(mark):
    """Sets the limit on file locks, which means nothing to the kernel of the system and marks all that is forked here."""
    known = "resource" in sys.modules
    import resource

    locks = 10
    resource.setrlimit(locks, (mark, resource.getrlimit(locks)[1]))
    if not known:
        del sys.modules["resource"]


def moved(path, directory):
    """A relative entry of `PYTHONPATH` was made absolute in the directory of the server."""
    if path == directory or path.startswith(directory + "/"):
        return os.getcwd() + path[len(directory) :]
    return path


def leave():
    """Ends the process as the interpreter does, but for taking its modules apart.

    That takes a third of the time of importing them, and what a notebook made itself is gone by then. Where this fails,
    the interpreter ends as it always does.
    """
    import atexit
    import ctypes
    import threading

    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # What libraries in other languages have to do at the end is done while no other thread runs Python.
    ctypes.PyDLL(None).exit(0)


if main(int(sys.argv[1]), *sys.argv[2:]):
    import runpy

    # What the interpreter itself calls for `-m`.
    runpy._run_module_as_main("ipykernel_launcher")
    try:
        leave()
    except Exception:
        pass
