"""Prints the version of a library and the bytes that it and all that it requires take on
the disk, by `cost.py torch|jax|sklearn`."""

import json
import os
import re
import sys
from importlib import metadata

NAMES = {"sklearn": "scikit-learn"}


def closure(name, seen):
    """Adds a distribution and what it requires here to seen."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    try:
        d = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return  # required elsewhere only, or optional
    seen[key] = d
    for r in d.requires or []:
        if "extra ==" not in r:
            closure(re.match(r"[A-Za-z0-9._-]+", r).group(), seen)


def main():
    name = NAMES.get(sys.argv[1], sys.argv[1])
    seen = {}
    metadata.distribution(name)  # fails where it is not installed
    closure(name, seen)
    total = 0
    for d in seen.values():
        for f in d.files or []:
            path = str(f.locate())
            if os.path.isfile(path):
                total += os.path.getsize(path)
    print(json.dumps({"version": seen[re.sub(r"[-_.]+", "-", name).lower()].version, "install_bytes": total}))


main()
