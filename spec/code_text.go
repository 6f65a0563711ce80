package spec

// textCodes are the errors of the text itself.
var textCodes = []Code{
	{
		ID: codeTooLong, Title: "the spec is too long",
		Text: `
A spec describes one network in a few dozen lines; a file above one mebibyte
is something else, most often data. Keep data in files of their own and name
them under "data:".`,
	}, {
		ID: codeNotUTF8, Title: "the spec is not UTF-8",
		Text: `
Specs are text in UTF-8. Some editors still write Latin-1 or UTF-16: save the
file anew with the encoding UTF-8.`,
	}, {
		ID: codeCharacter, Title: "a character that does not belong in a spec",
		Text: `
Control characters, invisible line separators and marks that reorder text can
make a spec read otherwise than it looks. They are refused everywhere, also
where an escape sequence such as "\n" would bring them into a value. Line ends
may be LF or CRLF; a carriage return alone is none.`,
		Wrong: `data: {train: "rows\n.csv"}`,
		Right: `data: {train: rows.csv}`,
	}, {
		ID: codeTab, Title: "a tab in the indentation",
		Text: `
YAML indents with spaces alone: how wide a tab is depends on the editor, and
with it the meaning of the text.`,
		Wrong: "train:\n\tepochs: 5",
		Right: "train:\n  epochs: 5",
	}, {
		ID: codeSyntax, Title: "not valid YAML",
		Text: `
The text is not well-formed. The usual causes: an item that is indented by a
column more or less than its neighbours, a quote that is not closed, two values
on one line, or a special character at the beginning of a text without quotes.`,
		Wrong: "train:\n  epochs: 5\n   seed: 2",
		Right: "train:\n  epochs: 5\n  seed: 2",
	}, {
		ID: codeBracket, Title: "a bracket without a partner",
		Text:  `Every [ must be closed by ], every { by }, in the reverse order of opening.`,
		Wrong: "layers: [{linear: 2]",
		Right: "layers: [{linear: 2}]",
	}, {
		ID: codeEmpty, Title: "an empty spec",
		Text: `
The file holds no key. A spec needs at least a name, layers and a loss;
"dnngen init DIR" writes one to start from.`,
	}, {
		ID: codeDocuments, Title: "more than one document",
		Text: `
In YAML a line of three dashes begins another document. A file holds one spec.`,
		Wrong: "train: {epochs: 5}\n---\nname: other",
		Right: "train: {epochs: 5}",
	}, {
		ID: codeFeature, Title: "YAML that a spec does not need",
		Text: `
Anchors, aliases, merge keys, tags, directives, explicit keys and blocks of
text are refused. They add nothing to a spec of a few dozen lines, and a few
aliases of aliases can grow a small file beyond all memory. Text that begins
with one of the characters & * ! % | > ? goes in quotes.`,
		Wrong: "layers: [&hidden {linear: 8}, *hidden, {linear: 2}]",
		Right: "layers: [{linear: 8}, tanh, {linear: 8}, tanh, {linear: 2}]",
	}, {
		ID: codeTooDeep, Title: "values nested too deep",
		Text: `
No value of a spec lies deeper than six levels; 64 are read. Deeper nesting is
a mistake, or an attempt to exhaust the reader.`,
	}, {
		ID: codeTooMany, Title: "too many values",
		Text: `
A spec holds at most 10,000 values, which is more than 4096 layers need. Data
does not belong in it.`,
	},
}
