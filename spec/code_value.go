package spec

// valueCodes are the errors of names, settings and values.
var valueCodes = []Code{
	{
		ID: codeUnknownName, Title: "an unknown name",
		Text: `
The name is in none of the tables of the language. The message says which name
is nearest, if one is near. Names are written in lower case with underscores.`,
		Wrong: "layers: [{linear: 8}, leaky_rleu, {linear: 2}]",
		Right: "layers: [{linear: 8}, leaky_relu, {linear: 2}]",
	}, {
		ID: codeOtherTable, Title: "a name in the wrong place",
		Text: `
The name is known, but as something else. The usual case is softmax among the
layers: it is an output transformation, which predictions go through and
training never does, because the loss cross_entropy contains it.`,
		Wrong: "layers: [{linear: 2}, softmax]\nloss: cross_entropy",
		Right: "layers: [{linear: 2}]\nloss: cross_entropy\noutput: softmax",
	}, {
		ID: codeUnknownSetting, Title: "an unknown setting",
		Text: `
The entry has no setting of this name. The language reference lists the
settings of each, with their ranges and defaults.`,
		Wrong: "layers: [{elu: {aplha: 0.5}}, {linear: 2}]",
		Right: "layers: [{elu: {alpha: 0.5}}, {linear: 2}]",
	}, {
		ID: codeMissingSetting, Title: "a setting is missing",
		Text: `
The setting has no default, because none would serve most networks: the width
of a layer, the learning rate of an optimizer.`,
		Wrong: "train: {optimizer: adam}",
		Right: "train: {optimizer: {adam: 0.001}}",
	}, {
		ID: codeNoValue, Title: "a colon without a value",
		Text:  `Behind the colon a setting is expected. A name without settings takes no colon.`,
		Wrong: "layers:\n  - tanh:\n  - linear: 2",
		Right: "layers:\n  - tanh\n  - linear: 2",
	}, {
		ID: codeNoSettings, Title: "a setting where there are none",
		Text:  `The entry has no settings.`,
		Wrong: "layers: [{tanh: 2}, {linear: 2}]",
		Right: "layers: [tanh, {linear: 2}]",
	}, {
		ID: codeFixedSetting, Title: "a setting that the alias decides",
		Text: `
Some names are short for another with a setting fixed. To choose the setting,
write the full name.`,
		Wrong: "layers: [{glu: swish}, {linear: 2}]",
		Right: "layers: [{swiglu: swish}, {linear: 2}]",
	}, {
		ID: codeRange, Title: "a value out of range",
		Text: `
The value lies outside of what the key or setting can be; the message gives the
range. The ends are either mathematical (a learning rate is above 0, a momentum
below 1) or keep sizes within what an index can address.`,
		Wrong: "train: {optimizer: {sgd: {lr: 0.1, momentum: 1.5}}}",
		Right: "train: {optimizer: {sgd: {lr: 0.1, momentum: 0.9}}}",
	}, {
		ID: codeNotWhole, Title: "not a whole number",
		Text:  `Widths, epochs, rows and seeds are whole numbers, written in digits alone.`,
		Wrong: "train: {epochs: 1e2}",
		Right: "train: {epochs: 100}",
	}, {
		ID: codeDialect, Title: "a number that can be read two ways",
		Text: `
A number with leading zeros is octal to some programs and decimal to others.
Numbers are decimal, without leading zeros.`,
		Wrong: "input: 010",
		Right: "input: 10",
	}, {
		ID: codeTiny, Title: "a number that a float32 cannot hold",
		Text: `
Training computes in float32, whose smallest normal number is about 1.2e-38. A
smaller one would lose digits or become 0 without a word.`,
		Wrong: "train: {optimizer: {adam: {lr: 0.001, eps: 1e-50}}}",
		Right: "train: {optimizer: {adam: {lr: 0.001, eps: 1e-8}}}",
	}, {
		ID: codeChoice, Title: "not one of the choices",
		Text:  `The setting takes one of a few words.`,
		Wrong: "layers: [{prelu: {per: neuron}}, {linear: 2}]",
		Right: "layers: [{prelu: {per: channel}}, {linear: 2}]",
	}, {
		ID: codeNeeds, Title: "a setting that needs another",
		Text: `
The flag changes how another setting is used, and that one is 0: it would do
nothing.`,
		Wrong: "train: {optimizer: {sgd: {lr: 0.1, nesterov: true}}}",
		Right: "train: {optimizer: {sgd: {lr: 0.1, momentum: 0.9, nesterov: true}}}",
	}, {
		ID: codeName, Title: "a name that cannot be a Go package",
		Text: `
The network's name becomes a Go package, a folder and a binary. It begins with
a letter, goes on with letters, digits and underscores, and has at most 63.
Keywords and predeclared identifiers of Go, and names that its tools treat
apart, are refused; nothing is renamed behind your back.`,
		Wrong: "name: my-net",
		Right: "name: my_net",
	}, {
		ID: codeAutoBatch, Title: "no batch fits the memory",
		Text: `
"batch: auto" is the largest power of two, up to 262144, with which a training
needs at most 8 GiB of a GPU, or as many as "batch: {auto: GiB}" says, by a count
that is rather too high. Parameters, gradients and what the layers give for one
row are more than that already.`,
		Wrong: "layers: [{linear: 4194304}]\ntrain: {batch: {auto: 1}}",
		Right: "layers: [{linear: 4194304}]\ntrain: {batch: {auto: 64}}",
	}, {
		ID: codeShare, Title: "not a share of the rows",
		Text: `
"test" is a source of its own, or a share of the training rows, above 0% and
below 100%, which is split off by the seed.`,
		Wrong: "data: {train: rows.csv, test: 120%}",
		Right: "data: {train: rows.csv, test: 20%}",
	},
}
