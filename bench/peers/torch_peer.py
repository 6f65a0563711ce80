"""PyTorch, by `torch_peer.py MODE [DEVICE PRECISION] FOLDER`: torch.nn.Sequential with
dnngen's initial weights, autograd, and the fused optimizers of torch.optim.

MODE is eager; compile, the forward pass and the loss compiled, on a GPU with PyTorch's
own CUDA graphs; cudagraph, a captured step; or compiled-cudagraph, a captured step whose
forward pass and loss are compiled and their products tuned. DEVICE is cpu (the default,
but for captured steps) or cuda.

PRECISION is fp32 (the default); tf32, in which matrix products round their operands; or
bf16, which is torch.autocast: parameters, their optimizer and the loss in float32, and
in bfloat16 what linear layers take and give, activations, and the gradients by all of
these, those by the weights before they are added to float32."""

import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from peer import CannotTrain, Peer, main, threads

MODE = sys.argv[1]
CAPTURED = MODE.endswith("cudagraph")
DEVICE, PRECISION = sys.argv[2:4] if len(sys.argv) > 4 else ("cuda" if CAPTURED else "cpu", "fp32")

# How a forward pass is compiled, by mode and device.
COMPILED = {
    ("compile", "cpu"): {}, ("compile", "cuda"): {"mode": "reduce-overhead"},
    ("compiled-cudagraph", "cuda"): {"mode": "max-autotune-no-cudagraphs"},
}


class Swish(nn.Module):
    def __init__(self, beta, learn):
        super().__init__()
        self.beta = nn.Parameter(torch.tensor([float(beta)])) if learn else float(beta)

    def forward(self, z):
        return z * torch.sigmoid(self.beta * z)


class SwiGLU(nn.Module):
    def __init__(self, gate):
        super().__init__()
        self.gate = F.silu if gate == "swish" else torch.sigmoid

    def forward(self, z):
        return z[..., 0::2] * self.gate(z[..., 1::2])


def module(layer):
    name, s = layer["name"], layer.get("set") or {}
    if name == "linear":
        return nn.Linear(layer["in"], layer["out"], bias=layer.get("bias", False))
    if name == "swish":
        return nn.SiLU() if s["beta"] == 1 and not s["learn"] else Swish(s["beta"], s["learn"])
    if name == "prelu":
        return nn.PReLU(layer["out"] if s["per"] == "channel" else 1, init=s["alpha"])
    makers = {
        "relu": nn.ReLU, "selu": nn.SELU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "softplus": nn.Softplus,
        "gelu": nn.GELU, "mish": nn.Mish, "identity": nn.Identity,
        "leaky_relu": lambda: nn.LeakyReLU(s["alpha"]), "elu": lambda: nn.ELU(s["alpha"]), "swiglu": lambda: SwiGLU(s["gate"]),
    }
    if name not in makers:
        raise CannotTrain("this script has no activation " + name)
    return makers[name]()


def loss_of(loss):
    s = loss.get("set") or {}
    return {
        "l1": F.l1_loss, "mse": F.mse_loss, "bce_with_logits": F.binary_cross_entropy_with_logits,
        "cross_entropy": F.cross_entropy, "huber": lambda z, y: F.huber_loss(z, y, delta=s["delta"]),
    }[loss["name"]]


class Torch(Peer):
    def __init__(self, problem):
        super().__init__(problem)
        if DEVICE == "cuda" and not torch.cuda.is_available():
            raise CannotTrain("there is no CUDA device")
        torch.set_num_threads(threads())
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high" if PRECISION == "tf32" else "highest")
        self.model = nn.Sequential(*[module(layer) for layer in problem.layers]).to(DEVICE)
        self.criterion = loss_of(problem.net["loss"])
        y = problem.y if problem.loss == "cross_entropy" else problem.y.astype(np.float32)
        self.x, self.y = torch.from_numpy(problem.x).to(DEVICE), torch.from_numpy(y).to(DEVICE)
        # In a captured graph the learning rate is a tensor that can be set between replays.
        self.lr = torch.tensor(float(problem.lr), device=DEVICE) if CAPTURED else None
        self.forward = self.loss_at
        if (MODE, DEVICE) in COMPILED:
            self.forward = torch.compile(self.loss_at, dynamic=False, **COMPILED[MODE, DEVICE])
        self.graphs = {}

    def loss_at(self, x, y):
        # Each weight is used once in a step: a cache of rounded ones would gain nothing.
        with torch.autocast(DEVICE, torch.bfloat16, enabled=PRECISION == "bf16", cache_enabled=False):
            return self.criterion(self.model(x), y)

    def make_optimizer(self):
        s = dict(self.p.set)
        lr = float(s.pop("lr"))
        kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.p.optimizer]
        if self.p.optimizer != "sgd":
            s["betas"] = (s.pop("beta1"), s.pop("beta2"))
        if CAPTURED:
            lr = self.lr
            if self.p.optimizer != "sgd":
                s["capturable"] = True
        return kind(self.model.parameters(), lr=lr, fused=True, **s)

    def begin(self):
        state = {k: torch.from_numpy(v) for k, v in self.p.params.items()}
        with torch.no_grad():
            for name, tensor in self.model.named_parameters():
                tensor.copy_(state[name])
        if self.graphs:
            for s in self.optimizer.state.values():
                for t in s.values():
                    if torch.is_tensor(t):
                        t.zero_()
            return
        self.optimizer = self.make_optimizer()

    def step(self, lo, hi, lr):
        x, y = self.x[lo:hi], self.y[lo:hi]
        if CAPTURED:
            return self.replay(x, y, lr)
        if MODE == "compile" and DEVICE == "cuda":
            torch.compiler.cudagraph_mark_step_begin()  # nothing of the step before is needed
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.forward(x, y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def replay(self, x, y, lr):
        if len(x) not in self.graphs:
            self.capture(x, y)
        graph, static_x, static_y, loss = self.graphs[len(x)]
        static_x.copy_(x)
        static_y.copy_(y)
        self.lr.fill_(lr)
        graph.replay()
        return loss

    def capture(self, x, y):
        """Captures a step as a CUDA graph, as PyTorch's notes on CUDA have it."""
        static_x, static_y = x.clone(), y.clone()
        self.lr.fill_(0)  # the warm-up changes no parameter
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.optimizer.zero_grad(set_to_none=True)
                self.forward(static_x, static_y).backward()
                self.optimizer.step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            loss = self.forward(static_x, static_y)
            loss.backward()
            self.optimizer.step()
        self.graphs[len(x)] = (graph, static_x, static_y, loss)
        for s in self.optimizer.state.values():
            for t in s.values():
                if torch.is_tensor(t):
                    t.zero_()

    def value(self, loss):
        return float(loss.item())


if __name__ == "__main__":
    main(Torch, lambda: "torch " + torch.__version__)
