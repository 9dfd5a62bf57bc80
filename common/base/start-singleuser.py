#!/usr/bin/env python3
"""Starts the single-user server as a JupyterHub spawner does, with NOTEBOOK_ARGS and the arguments."""

import os
import shlex
import subprocess
import sys

# What a new home directory starts with.
hook = "/usr/local/bin/before-notebook.d/20-home-setup"
if os.access(hook, os.X_OK):
    subprocess.run([hook], check=False)
command = ["jupyterhub-singleuser"]
arguments = shlex.split(os.environ.get("NOTEBOOK_ARGS", "")) + sys.argv[1:]
# The hub's proxy is another machine.
if not any(argument.startswith("--ip") for argument in arguments):
    command.append("--ip=0.0.0.0")
command += arguments
os.execvp(command[0], command)
