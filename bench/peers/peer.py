"""What all peers written in Python share: reading the problem that dnngen exports,
and answering its requests, one JSON object a line on standard input and output.

    describe                       -> versions; an error where the network cannot be trained
    open                           -> a fresh training
    losses  steps, rows            -> start anew; the loss of each step, before its update
    time    steps, rows, fresh     -> the seconds that the steps took, at a learning rate
                                      that leaves the parameters about where they are
"""

import json
import os
import struct
import sys
import time

import numpy as np

STILL = 1e-6  # the factor of the learning rate while time is taken


class CannotTrain(Exception):
    """The network, or this installation, is not for this peer."""


class Problem:
    """The rows, the initial parameters and the network of an exported problem."""

    def __init__(self, folder):
        with open(os.path.join(folder, "network.json")) as f:
            self.net = json.load(f)
        data = np.load(os.path.join(folder, "data.npz"))
        self.x, self.y = data["x"], data["y"]
        self.params = read_safetensors(os.path.join(folder, "init.safetensors"))
        self.rows = len(self.x)
        self.batch = self.net["batch"] or self.rows
        self.layers = self.net["layers"]
        self.loss = self.net["loss"]["name"]
        self.optimizer = self.net["optimizer"]["name"]
        self.set = self.net["optimizer"].get("set") or {}
        self.lr = self.set["lr"]


def read_safetensors(name):
    """Returns the float32 tensors of a file by name."""
    with open(name, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
        body = f.read()
    tensors = {}
    for key, t in header.items():
        if key == "__metadata__":
            continue
        begin, end = t["data_offsets"]
        tensors[key] = np.frombuffer(body[begin:end], dtype="<f4").reshape(t["shape"]).copy()
    return tensors


class Peer:
    """A training of the problem. A peer gives begin, step and value."""

    def __init__(self, problem):
        self.p = problem
        self.at = 0

    def begin(self):
        """Sets the initial parameters and clears the optimizer's state."""
        raise NotImplementedError

    def step(self, lo, hi, lr):
        """Trains the rows lo to hi and returns something that value makes a loss of."""
        raise NotImplementedError

    def value(self, loss):
        """Returns a loss as a number, when it is there."""
        return float(loss)

    def next(self, rows):
        if self.at + rows > self.p.rows:
            self.at = 0
        lo = self.at
        self.at += rows
        return lo, self.at

    def losses(self, steps, rows):
        self.at = 0
        self.begin()
        return [self.value(self.step(*self.next(rows), self.p.lr)) for _ in range(steps)]

    def time(self, steps, rows, fresh):
        if fresh:
            self.at = 0
            self.begin()
        lr = self.p.lr * STILL
        start = time.perf_counter()
        for _ in range(steps):
            loss = self.step(*self.next(rows), lr)
        self.value(loss)
        return time.perf_counter() - start


def threads():
    """The number of threads that this process may use."""
    return int(os.environ.get("PEER_THREADS", "1"))


def main(make, versions):
    """Serves requests; make(problem) returns a Peer or raises CannotTrain."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not stand between answers
    peer = None
    for line in sys.stdin:
        r = json.loads(line)
        a = {}
        try:
            if peer is None:
                peer = make(Problem(sys.argv[-1]))
            if r["do"] == "describe":
                a["description"] = {"network": versions(), "batch": peer.p.batch, "devices": [], "missing": []}
            elif r["do"] == "losses":
                a["losses"] = peer.losses(r["steps"], r["rows"])
            elif r["do"] == "time":
                a["seconds"] = peer.time(r["steps"], r["rows"], r.get("fresh", False))
            elif r["do"] != "open":
                a["error"] = "there is no request " + repr(r["do"])
        except CannotTrain as e:
            a["error"] = str(e)
        except Exception as e:  # the other side is to know why, and goes on without this peer
            a["error"] = (type(e).__name__ + ": " + str(e)).splitlines()[0][:300]
        out.write(json.dumps(a) + "\n")
        out.flush()
