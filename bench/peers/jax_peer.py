"""JAX, by `jax_peer.py FOLDER`: one function for a step, value_and_grad within it, compiled
by jit with donated buffers."""

import os

from peer import CannotTrain, Peer, main, threads

# XLA's CPU client makes a thread for each core that the process may run on, whatever
# XLA_FLAGS say of Eigen: the cores are what bounds it.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads():])
elif threads() == 1:
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp


def activation(layer):
    name, s = layer["name"], layer.get("set") or {}
    gate = jax.nn.silu if s.get("gate") == "swish" else jax.nn.sigmoid
    known = {
        "relu": jax.nn.relu, "selu": jax.nn.selu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "softplus": jax.nn.softplus,
        "gelu": lambda z: jax.nn.gelu(z, approximate=False), "mish": jax.nn.mish, "identity": lambda z: z,
        "leaky_relu": lambda z: jax.nn.leaky_relu(z, s["alpha"]), "elu": lambda z: jax.nn.elu(z, s["alpha"]),
        "swiglu": lambda z: z[:, 0::2] * gate(z[:, 1::2]),
    }
    if name == "swish" and not s["learn"]:
        return lambda z: z * jax.nn.sigmoid(s["beta"] * z)
    if name not in known:
        raise CannotTrain("this script has no activation " + name + " with these settings")
    return known[name]


def loss_of(loss):
    s = loss.get("set") or {}

    def cross_entropy(z, y):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))

    def huber(z, y):
        r, d = jnp.abs(z - y), s["delta"]
        return jnp.mean(jnp.where(r <= d, 0.5 * r * r, d * (r - 0.5 * d)))

    return {
        "l1": lambda z, y: jnp.mean(jnp.abs(z - y)), "mse": lambda z, y: jnp.mean((z - y) ** 2), "huber": huber,
        "bce_with_logits": lambda z, y: jnp.mean(jax.nn.softplus(z) - z * y), "cross_entropy": cross_entropy,
    }[loss["name"]]


class JAX(Peer):
    def __init__(self, problem):
        super().__init__(problem)
        if problem.optimizer != "sgd":
            raise CannotTrain("this script has sgd alone")
        s = problem.set
        layers = [(i, layer, None if layer["name"] == "linear" else activation(layer)) for i, layer in enumerate(problem.layers)]
        criterion = loss_of(problem.net["loss"])
        momentum, decay, nesterov = s["momentum"], s["weight_decay"], s["nesterov"]

        def loss_at(params, x, y):
            for i, layer, f in layers:
                if f is None:
                    x = x @ params[f"{i}.weight"].T
                    if layer.get("bias"):
                        x = x + params[f"{i}.bias"]
                else:
                    x = f(x)
            return criterion(x, y)

        def step(params, buffers, x, y, lr):
            loss, grads = jax.value_and_grad(loss_at)(params, x, y)
            grads = {k: g + decay * params[k] for k, g in grads.items()} if decay else grads
            if not momentum:
                return {k: params[k] - lr * grads[k] for k in params}, buffers, loss
            buffers = {k: grads[k] + momentum * buffers[k] for k in params}
            move = {k: grads[k] + momentum * buffers[k] for k in params} if nesterov else buffers
            return {k: params[k] - lr * move[k] for k in params}, buffers, loss

        self.jitted = jax.jit(step, donate_argnums=(0, 1))
        y = problem.y if problem.loss == "cross_entropy" else problem.y.astype("float32")
        # Batches are put on the device once, as slices of jax arrays are copies.
        self.x, self.y, self.batches = problem.x, y.astype("int32") if problem.loss == "cross_entropy" else y, {}

    def begin(self):
        self.params = {k: jnp.asarray(v) for k, v in self.p.params.items()}
        self.buffers = {k: jnp.zeros_like(v) for k, v in self.params.items()}

    def step(self, lo, hi, lr):
        if (lo, hi) not in self.batches:
            self.batches[lo, hi] = jnp.asarray(self.x[lo:hi]), jnp.asarray(self.y[lo:hi])
        self.params, self.buffers, loss = self.jitted(self.params, self.buffers, *self.batches[lo, hi], lr)
        return loss

    def value(self, loss):
        jax.block_until_ready(self.params)
        return float(loss)


if __name__ == "__main__":
    main(JAX, lambda: "jax " + jax.__version__)
