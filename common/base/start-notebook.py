#!/usr/bin/env python3
"""Starts Jupyter: under a JupyterHub its single-user server, else JupyterLab.

NOTEBOOK_ARGS and the arguments are passed on; DOCKER_STACKS_JUPYTER_CMD chooses another frontend.
"""

import os
import shlex
import subprocess
import sys

# What a new home directory starts with.
hook = "/usr/local/bin/before-notebook.d/20-home-setup"
if os.access(hook, os.X_OK):
    subprocess.run([hook], check=False)
if "JUPYTERHUB_API_TOKEN" in os.environ:
    command = ["start-singleuser.py"]
else:
    command = ["jupyter", os.environ.get("DOCKER_STACKS_JUPYTER_CMD", "lab")]
    command += shlex.split(os.environ.get("NOTEBOOK_ARGS", ""))
command += sys.argv[1:]
os.execvp(command[0], command)
