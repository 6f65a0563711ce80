package spec

// shapeCodes are the errors of shapes, and of parts that do not go together.
var shapeCodes = []Code{
	{
		ID: codeLayers, Title: "too few or too many layers",
		Text:  `A network has 1 to 4096 layers.`,
		Wrong: "layers: []",
		Right: "layers: [{linear: 2}]",
	}, {
		ID: codeOddWidth, Title: "an odd width before a gated layer",
		Text: `
A gated layer takes its inputs in pairs, value and gate, and halves the width:
what stands before it must have an even one.`,
		Wrong: "layers: [{linear: 7}, swiglu, {linear: 2}]",
		Right: "layers: [{linear: 14}, swiglu, {linear: 2}]",
	}, {
		ID: codeTensor, Title: "a tensor is too large",
		Text: `
No tensor has more than 2^31 elements, so that every index fits 32 bits. That
is a weight of 8 GiB, or as much for one layer's values on a batch.`,
		Wrong: "input: 1000000\nlayers: [{linear: 1000000}]",
		Right: "input: 1000\nlayers: [{linear: 1000}]",
	}, {
		ID: codeTotal, Title: "the network is too large",
		Text: `
All parameters together, and all values that the layers give for one batch, are
each limited to 2^32 numbers, which is 16 GiB.`,
	}, {
		ID: codeInput, Title: "the number of features is not known",
		Text: `
The width of the first layer's input is needed at compile time. Give "input",
or name the feature columns, or name data that dnngen can read and count.`,
	}, {
		ID: codeInputColumns, Title: "input contradicts the columns",
		Text: `
Each numeric column is one feature, each categorical column as many as it has
values. "input" can be left out: it follows.`,
		Wrong: "data: {train: rows.csv, features: [a, b, c]}",
		Right: "data: {train: rows.csv, features: [a, b, c, d]}",
	}, {
		ID: codeOneOutput, Title: "classes need an output each",
		Text: `
The loss compares the outputs of the classes with each other. With one output
there is nothing to compare, and the loss is always 0. Two classes can be told
apart by one output with the binary loss, or by two outputs with this one.`,
		Wrong: "layers: [{linear: 1}]\nloss: cross_entropy",
		Right: "layers: [{linear: 1}]\nloss: bce_with_logits",
	}, {
		ID: codeOutput, Title: "an output transformation that means nothing here",
		Text: `
The transformation decides a class, but the outputs were not trained to tell
classes apart in this way: the loss is of another family.`,
		Wrong: "loss: mse\noutput: argmax",
		Right: "loss: mse\noutput: identity",
	}, {
		ID: codeColumnTwice, Title: "a column named twice",
		Text:  `Each column stands once in a list of columns.`,
		Wrong: "input: 2\ndata: {features: [a, a]}",
		Right: "input: 2\ndata: {features: [a, b]}",
	}, {
		ID: codeNotAFeature, Title: "a categorical column that is no feature",
		Text: `
"categorical" says which of the feature columns hold text. Where "features" is
given, its columns are all there are.`,
		Wrong: "data: {features: [island, mass], categorical: [islands]}",
		Right: "data: {features: [island, mass], categorical: [island]}",
	}, {
		ID: codeTargetFeature, Title: "the target is among the features",
		Text: `
A network that is shown the column it should predict learns to copy it, and is
useless on new rows, which lack it.`,
		Wrong: "input: 2\ndata: {target: price, features: [area, price]}",
		Right: "input: 2\ndata: {target: price, features: [area, rooms]}",
	}, {
		ID: codeData, Title: "training rows that cannot be used",
		Text: `
"dnngen check" reads the rows that the spec names, where they are here. The
message says what is wrong with them, and where.`,
	}, {
		ID: codeDataInputs, Title: "another number of inputs than the rows make",
		Text: `
"dnngen check", "gen" and "build" count what the training rows, where they are
here, make of their columns: an input for each number, one for each category.
"input" can be left out: it follows.`,
	}, {
		ID: codeDataClasses, Title: "more classes than outputs",
		Text: `
"dnngen check", "gen" and "build" count the classes of the training rows, where
they are here. The loss compares an output for each; a class beyond the last one
has nothing to be trained.`,
	}, {
		ID: codeDataTargets, Title: "another number of targets than the loss compares",
		Text: `
A loss of each output wants a target for each: a row of a table of text has one,
its target column, and y of an .npz file may have several. A loss that compares
classes wants one, the number or the name of the class.`,
	},
}
