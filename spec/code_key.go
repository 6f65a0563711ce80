package spec

// keyCodes are the errors of keys and types.
var keyCodes = []Code{
	{
		ID: codeUnknownKey, Title: "an unknown key",
		Text: `
A key that is not known is an error, never ignored: a setting that is
misspelled would otherwise be left at its default without a word. The message
says which key was meant, or under which section it belongs.`,
		Wrong: "epochs: 5",
		Right: "train: {epochs: 5}",
	}, {
		ID: codeDuplicate, Title: "a key given twice",
		Text: `
Each key stands once in its mapping. Which of two values would hold depends on
the program that reads them.`,
		Wrong: "train: {epochs: 5, epochs: 6}",
		Right: "train: {epochs: 6}",
	}, {
		ID: codeMissingKey, Title: "a key is missing",
		Text: `
Every spec gives a name, layers and a loss. All other keys have defaults, which
the language reference lists; "input" follows from the data where dnngen can
read it.`,
	}, {
		ID: codeType, Title: "a value of the wrong kind",
		Text: `
The value is of another kind than the key takes: text instead of a number, a
number instead of text, a list instead of a mapping. Numbers stand without
quotes. The booleans of YAML 1.2 are true and false; yes, no, on and off are
text. A column whose name is a number is written in quotes.`,
		Wrong: `input: "4"`,
		Right: `input: 4`,
	}, {
		ID: codeOneName, Title: "more than one name",
		Text: `
A layer, a loss, an optimizer and so on is one name, alone or with its settings
behind a colon. Further settings go inside that mapping, not beside the name.`,
		Wrong: "layers: [{linear: 2, bias: false}]",
		Right: "layers: [{linear: {out: 2, bias: false}}]",
	}, {
		ID: codeText, Title: "a text that is empty or too long",
		Text: `
Sources and columns' names have 1 to 1024 characters, keys at most 64, numbers
at most 40.`,
		Wrong: `data: {target: ""}`,
		Right: `data: {target: price}`,
	},
}
