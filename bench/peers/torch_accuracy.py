"""Trains with PyTorch until the test accuracy reaches a target, tested after each epoch:

    torch_accuracy.py DATA TARGET WIDTHS BATCH OPTIMIZER LR MOMENTUM DIVIDE EPOCHS SEED THREADS

DATA is digits.csv.gz as dnngen carries it, every fifth row being a test row, or a folder
with the four IDX files of Fashion-MNIST. Prints one JSON object.
"""

import gzip
import json
import os
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def idx(name, header):
    with gzip.open(name, "rb") as f:
        return np.frombuffer(f.read(), np.uint8, offset=header)


def load(source):
    if os.path.isdir(source):
        def part(prefix):
            x = idx(os.path.join(source, prefix + "-images-idx3-ubyte.gz"), 16)
            y = idx(os.path.join(source, prefix + "-labels-idx1-ubyte.gz"), 8)
            return x.reshape(len(y), -1).astype(np.float32), y.astype(np.int64)
        return part("train"), part("t10k")
    rows = np.loadtxt(source, delimiter=",", dtype=np.float32)
    test = np.arange(len(rows)) % 5 == 4
    x, y = rows[:, :-1], rows[:, -1].astype(np.int64)
    return (x[~test], y[~test]), (x[test], y[test])


def main():
    source, target, widths, batch, kind, lr, momentum, divide, epochs, seed, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(int(seed))
    (x, y), (tx, ty) = load(source)
    x, y, tx, ty = (torch.from_numpy(a) for a in (x / np.float32(divide), y, tx / np.float32(divide), ty))
    widths = [int(w) for w in widths.split(",")]
    layers = []
    for a, b in zip(widths, widths[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    if kind == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=float(lr), momentum=float(momentum))
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=float(lr))
    batch = int(batch)
    for epoch in range(int(epochs)):
        order = torch.randperm(len(x))
        for lo in range(0, len(x), batch):
            rows = order[lo:lo + batch]
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model(tx).argmax(1) == ty).float().mean().item()
        if accuracy >= float(target):
            break
    print(json.dumps({"accuracy": accuracy, "epochs": epoch + 1, "version": "torch " + torch.__version__}))


main()
