"""scikit-learn, by `sklearn_peer.py FOLDER`: MLPClassifier and MLPRegressor, one partial_fit
a step. What they cannot express is refused: more than one kind of activation, gated units,
losses other than cross-entropy and the squared error, layers without a bias."""

import warnings

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from peer import CannotTrain, Peer, main, threads

ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic", "identity": "identity"}


class Sklearn(Peer):
    def __init__(self, problem):
        super().__init__(problem)
        threadpool_limits(threads())
        warnings.simplefilter("ignore")
        kinds = {layer["name"] for layer in problem.layers[1::2]}
        hidden = [layer for layer in problem.layers[0::2]]
        if len(kinds) != 1 or not kinds <= set(ACTIVATIONS) or any(layer["name"] != "linear" for layer in hidden) or len(problem.layers) % 2 == 0:
            raise CannotTrain("MLP has linear layers with one kind of activation between them, of " + ", ".join(ACTIVATIONS))
        if not all(layer.get("bias") for layer in hidden) or problem.optimizer != "sgd" or problem.set["weight_decay"]:
            raise CannotTrain("this script has biases in each layer, and sgd without weight decay")
        if problem.loss not in ("cross_entropy", "bce_with_logits", "mse"):
            raise CannotTrain("MLP has no loss " + problem.loss)
        if problem.loss == "bce_with_logits" and problem.net["output"] != 1:
            raise CannotTrain("MLPClassifier has one output for two classes")
        self.layers = [i for i, layer in enumerate(problem.layers) if layer["name"] == "linear"]
        self.widths = [layer["out"] for layer in hidden[:-1]]
        self.kind = MLPRegressor if problem.loss == "mse" else MLPClassifier
        self.activation = ACTIVATIONS[kinds.pop()]
        # The squared error is halved there and its gradient is a sum over the outputs.
        self.lr_factor = 2 / problem.net["output"] if problem.loss == "mse" else 1
        self.loss_factor = 2 if problem.loss == "mse" else 1
        self.y = problem.y
        if problem.loss == "mse":
            self.y = problem.y.reshape(len(problem.y), -1).squeeze()
        elif problem.loss == "bce_with_logits":
            self.y = problem.y.astype(np.int64).ravel()

    def fit(self, lo, hi):
        if self.kind is MLPClassifier:
            classes = np.arange(max(2, self.p.net["output"]))
            self.model.partial_fit(self.p.x[lo:hi], self.y[lo:hi], classes=classes)
        else:
            self.model.partial_fit(self.p.x[lo:hi], self.y[lo:hi])

    def begin(self):
        s = self.p.set
        self.model = self.kind(
            hidden_layer_sizes=self.widths, activation=self.activation, solver="sgd", alpha=0.0,
            batch_size=self.p.batch, learning_rate_init=1e-30, momentum=s["momentum"],
            nesterovs_momentum=bool(s["nesterov"]), shuffle=False)
        self.fit(0, min(self.p.batch, self.p.rows))  # makes the tensors
        for k, i in enumerate(self.layers):
            self.model.coefs_[k][...] = self.p.params[f"{i}.weight"].T
            self.model.intercepts_[k][...] = self.p.params[f"{i}.bias"]
        for v in self.model._optimizer.velocities:
            v[...] = 0

    def step(self, lo, hi, lr):
        self.model._optimizer.learning_rate_init = self.model._optimizer.learning_rate = lr * self.lr_factor
        self.model.batch_size = hi - lo
        self.fit(lo, hi)
        return self.model.loss_ * self.loss_factor


if __name__ == "__main__":
    main(Sklearn, lambda: "scikit-learn " + sklearn.__version__)
