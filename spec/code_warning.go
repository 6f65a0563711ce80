package spec

// warningCodes are the warnings: valid specs that train badly.
var warningCodes = []Code{
	{
		ID: warnTwice, Title: "a transformation applied twice",
		Text: `
The loss applies this transformation itself, in a form that cannot overflow.
With the layer it is applied twice: gradients shrink, and predictions never
come near 0 or 1.`,
		Wrong: "layers: [{linear: 1}, sigmoid]\nloss: bce_with_logits",
		Right: "layers: [{linear: 1}]\nloss: bce_with_logits\noutput: sigmoid",
	}, {
		ID: warnNonNegative, Title: "a last layer that never goes below 0",
		Text: `
Targets below 0 cannot be reached, and where all outputs are cut to 0 the
gradient is 0 too: training stops. If predictions must not be negative, cut
them after training, by the output transformation.`,
		Wrong: "layers: [{linear: 2}, relu]\nloss: mse",
		Right: "layers: [{linear: 2}]\nloss: mse\noutput: relu",
	}, {
		ID: warnBounded, Title: "a last layer that bounds the outputs",
		Text: `
The activation keeps raw outputs within a few units, while the loss reads any
number: large targets, and certainty about a class, are out of reach.`,
		Wrong: "layers: [{linear: 2}, tanh]\nloss: mse",
		Right: "layers: [{linear: 2}]\nloss: mse",
	}, {
		ID: warnSaturates, Title: "a hidden layer that saturates",
		Text: `
Away from 0 the activation is flat on both sides, and its gradient vanishes;
through several such layers little of it is left. Rectifiers keep a slope on
one side at least.`,
		Wrong: "layers: [{linear: 8}, tanh, {linear: 2}]",
		Right: "layers: [{linear: 8}, relu, {linear: 2}]",
	}, {
		ID: warnSelfNormal, Title: "a self-normalizing activation without its initial weights",
		Text: `
The constants of the activation keep mean 0 and variance 1 through the layers
for weights drawn with variance 1/fan_in alone (Klambauer et al. 2017).`,
		Wrong: "layers: [{linear: 8}, selu, {linear: 2}]\ntrain: {init: torch}",
		Right: "layers: [{linear: 8}, selu, {linear: 2}]\ntrain: {init: auto}",
	}, {
		ID: warnEqual, Title: "weights that start equal",
		Text: `
Units of a layer that start equal get equal gradients, and stay equal for ever:
a layer of a hundred is then worth one. Random initial weights break the tie.`,
		Wrong: "layers: [{linear: 8}, relu, {linear: 2}]\ntrain: {init: zeros}",
		Right: "layers: [{linear: 8}, relu, {linear: 2}]\ntrain: {init: auto}",
	}, {
		ID: warnCollapse, Title: "two linear layers that are one",
		Text: `
The product of two matrices is a matrix: without an activation between them two
linear layers compute what one could. It can be meant, as a bottleneck with
fewer parameters.`,
		Wrong: "layers: [{linear: 8}, {linear: 2}]",
		Right: "layers: [{linear: 8}, relu, {linear: 2}]",
	}, {
		ID: warnNoLinear, Title: "no linear layer",
		Text: `
Activations have at most a slope to learn. A network needs a linear layer to
learn anything of its features.`,
		Wrong: "layers: [relu]\noutput: relu",
		Right: "layers: [{linear: 2}]\noutput: relu",
	}, {
		ID: warnOutput, Title: "an output transformation that does not suit the loss",
		Text: `
The loss trains raw outputs towards one meaning, and the transformation reads
them in another. Predictions will not be what was trained.`,
		Wrong: "loss: mse\noutput: softmax",
		Right: "loss: mse\noutput: identity",
	}, {
		ID: warnAutoBatch, Title: "an automatic batch",
		Text: `
Kernels are compiled for one batch, so "batch: auto" is chosen when the spec is
read: the largest power of two, up to 262144, with which a training needs at most
8 GiB of a GPU, or as many as "batch: {auto: GiB}" says. It follows from the spec
alone and is the same on every machine, one without a GPU included, so that a
training is. Where the training has fewer rows, a step takes all of them. A large
batch keeps a GPU busy and makes few updates an epoch, which may train badly: then
write a number. At its start the trainer compares what it needs with what is free.`,
		Wrong: "train: {batch: auto}",
		Right: "train: {batch: 512}",
	}, {
		ID: warnNoRows, Title: "training rows that are not here",
		Text: `
"dnngen check" compares the network with the rows that it will be trained on: their
inputs, classes and targets. Without them it checks the spec alone, and a mistake in
the rows' name looks the same as rows that are on another machine.`,
	}, {
		ID: warnWarmup, Title: "a warm-up as long as the training",
		Text: `
The learning rate climbs to lr over the epochs of the warm-up and then falls. Where the
training ends first, or with it, it never falls, and may never reach lr.`,
		Wrong: "train: {epochs: 2, schedule: {cosine: {warmup_epochs: 5}}}",
		Right: "train: {epochs: 20, schedule: {cosine: {warmup_epochs: 1}}}",
	},
}
