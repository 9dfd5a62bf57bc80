"""Sees how code ends where the kernel's reply does not say it.

IPython runs code for magics such as `%run` and `%%capture`, takes the exception that ends it, shows it and replies that
all is well. It shows what a notebook, a widget or a display took in the same way. What tells the two apart is who took
the exception. Code that has ended is reported in the reply's payload, whatever the reply's status.

`shell` is the kernel's shell, `source` names the entry in the payload, and `hidden` holds the arguments with which only
a test starts a kernel.
"""

import ast
import importlib
import linecache
import sys

# They go on when what they call raises an exception: a representation of an object, a callback.
GOING_ON = ("IPython.core.events", "IPython.core.formatters")


def watch(name):
    """Lets the method that shows exceptions report those that ended code."""
    show = getattr(shell, name)

    def showing(*arguments, **options):
        given = arguments[0] if arguments else options.get("exc_tuple")
        _, error, traceback = given if isinstance(given, tuple) and len(given) == 3 else sys.exc_info()
        before = shown()
        try:
            return show(*arguments, **options)
        finally:
            if error is not None and has_ended(traceback):
                report(error, shown() if shown() is not before else [])

    setattr(shell, name, showing)


def set_custom_exc(*arguments, **options):
    """Lets the notebook say how some exceptions are shown."""
    set_shown(*arguments, **options)
    watch("CustomTB")


def watch_debugger():
    """Lets what shows the exception that ended debugged code report it: nobody can answer a debugger here."""
    handler = shell.InteractiveTB

    class Showing(type(handler)):
        def __call__(self, *arguments, **options):
            _, error, traceback = arguments[:3] if len(arguments) >= 3 else sys.exc_info()
            try:
                return super().__call__(*arguments, **options)
            finally:
                if error is not None and has_ended(traceback):
                    report(error, [])

    handler.__class__ = Showing


# The modules of IPython's magics that go on in silence, and what makes them tell.
SILENT = {}


def watch_magics(cell=None):
    """Prepares those magics. IPython 9.18 loads their modules at first use, and so they are loaded only for a cell
    that may use them."""
    for name in list(SILENT):
        magics = sys.modules.get(name)
        code = getattr(cell, "raw_cell", None) or ""
        if magics is None and ("%" in code or "magic" in code):
            try:
                magics = importlib.import_module(name)
            except ImportError:
                del SILENT[name]
        if magics is not None:
            SILENT.pop(name)(magics)
    if SILENT and cell is None:
        shell.events.register("pre_run_cell", watch_magics)
    elif not SILENT and cell is not None:
        shell.events.unregister("pre_run_cell", watch_magics)


def watch_profiler(magics):
    """Lets the profiler report an exit, which `%prun` takes for the end of what it measures."""
    run = magics.ExecutionMagics._run_with_profiler

    def running(*arguments, **options):
        import cProfile

        Profile = cProfile.Profile

        class Profiling(Profile):
            def runctx(self, code, *namespaces):
                # The code itself finds what it always does.
                cProfile.Profile = Profile
                try:
                    return super().runctx(code, *namespaces)
                except SystemExit as error:
                    report(error, [])
                    raise

        cProfile.Profile = Profiling
        try:
            return run(*arguments, **options)
        finally:
            cProfile.Profile = Profile

    magics.ExecutionMagics._run_with_profiler = running


def watch_scripts(magics):
    """Lets magics such as `%%python` report a program that is not there, of which they print a line and no more."""

    def printing(*words, **options):
        print(*words, **options)
        if words and str(words[0]).startswith("Couldn't find program"):
            report(FileNotFoundError(words[0]), [])

    magics.print = printing


SILENT["IPython.core.magics.execution"] = watch_profiler
SILENT["IPython.core.magics.script"] = watch_scripts


def shown():
    return getattr(shell, "_last_traceback", None)


def has_ended(traceback):
    """Whether IPython itself took the exception, from code that it ran for a cell, or a magic did."""
    frame = sys._getframe(2)
    while frame is not None and (traceback is None or frame is not traceback.tb_frame):
        frame = frame.f_back
    while frame is not None:
        module = module_of(frame)
        if module in GOING_ON or frame.f_code.co_name.startswith(("<module>", "<cell line")):
            return False
        if module.startswith("IPython."):
            return True
        frame = frame.f_back
    # It was raised long ago, as for `%tb`, or in no cell.
    return False


def module_of(frame):
    return str(frame.f_globals.get("__name__"))


def report(error, traceback):
    if any(entry.get("source") == source for entry in shell.payload_manager.read_payload()):
        return
    try:
        text = str(error)
    except Exception:
        text = ""
    entry = {"source": source, "ename": type(error).__name__, "evalue": text, "traceback": list(traceback or [])}
    shell.payload_manager.write_payload(entry)


def ask_exit(ask=getattr(shell, "ask_exit", None)):
    """Ends the kernel, unless the cell goes on after `exit()` as after `sys.exit()`, which raises an exception."""
    frame = sys._getframe(1)
    while frame is not None and module_of(frame).startswith(("IPython.", "ipykernel.")):
        frame = frame.f_back
    while frame is not None and not module_of(frame).startswith("IPython."):
        if takes_exit(frame):
            return
        frame = frame.f_back
    ask()


def takes_exit(frame):
    """Whether the code of a frame would take a `SystemExit` where it is."""
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    try:
        nodes = ast.walk(ast.parse("".join(lines)))
    except (SyntaxError, ValueError):
        return False
    for node in nodes:
        if isinstance(node, ast.Try):
            takes = any(handler.type is None or names_exit(handler.type) for handler in node.handlers)
        elif isinstance(node, ast.With):
            takes = any(names_exit(item.context_expr) for item in node.items)
        else:
            continue
        if takes and node.body[0].lineno <= frame.f_lineno <= node.body[-1].end_lineno:
            return True
    return False


def names_exit(expression):
    names = (getattr(node, "id", getattr(node, "attr", None)) for node in ast.walk(expression))
    return any(name in ("SystemExit", "BaseException") for name in names)


for words in (sys.argv, getattr(sys, "orig_argv", [])):
    words[:] = [word for word in words if word not in hidden]
for name in ("showtraceback", "showsyntaxerror"):
    watch(name)
watch_magics()
if hasattr(shell, "InteractiveTB"):
    watch_debugger()
set_shown = shell.set_custom_exc
shell.set_custom_exc = set_custom_exc
if hasattr(shell, "ask_exit"):
    shell.ask_exit = ask_exit
output = getattr(getattr(shell, "kernel", None), "iopub_thread", None)
if output is not None:
    # Otherwise ipykernel drops output without a word when its client reads more slowly than a cell prints.
    output.schedule(lambda: setattr(output.socket, "sndhwm", 0))
