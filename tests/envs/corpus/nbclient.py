"""Executes the notebooks that standard input names with nbclient, two at a time, and prints a verdict for each."""

import json
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor


def execute(path):
    import nbclient
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": os.path.dirname(path)}}
        client = nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources)
        client.execute()
    except Exception as error:
        return path, False, f"{type(error).__name__}: {error}"
    return path, True, ""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    paths = [line.rstrip("\n") for line in sys.stdin]
    with ProcessPoolExecutor(2) as pool:
        for result in pool.map(execute, paths):
            print(json.dumps(result), flush=True)
