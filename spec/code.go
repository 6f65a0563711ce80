package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Code is one entry of the table of errors and warnings: what a code means.
type Code struct {
	ID    string // "E0301"
	Title string
	Text  string // why it is a problem, and what to do
	// Wrong shows the problem and Right the cure, as lines of a spec; both are
	// empty where a few lines cannot show it.
	Wrong, Right string
}

// The codes. E01 is about the text, E02 about keys and types, E03 about names
// and values, E04 about shapes, E05 about what does not go together; W06 are
// warnings.
const (
	codeTooLong   = "E0101"
	codeNotUTF8   = "E0102"
	codeCharacter = "E0103"
	codeTab       = "E0104"
	codeSyntax    = "E0105"
	codeBracket   = "E0106"
	codeEmpty     = "E0107"
	codeDocuments = "E0108"
	codeFeature   = "E0109"
	codeTooDeep   = "E0110"
	codeTooMany   = "E0111"

	codeUnknownKey = "E0201"
	codeDuplicate  = "E0202"
	codeMissingKey = "E0203"
	codeType       = "E0204"
	codeOneName    = "E0205"
	codeText       = "E0206"

	codeUnknownName    = "E0301"
	codeOtherTable     = "E0302"
	codeUnknownSetting = "E0303"
	codeMissingSetting = "E0304"
	codeNoValue        = "E0305"
	codeNoSettings     = "E0306"
	codeFixedSetting   = "E0307"
	codeRange          = "E0308"
	codeNotWhole       = "E0309"
	codeDialect        = "E0310"
	codeTiny           = "E0311"
	codeChoice         = "E0312"
	codeNeeds          = "E0313"
	codeName           = "E0314"
	codeAutoBatch      = "E0315"
	codeShare          = "E0316"

	codeLayers       = "E0401"
	codeOddWidth     = "E0402"
	codeTensor       = "E0403"
	codeTotal        = "E0404"
	codeInput        = "E0405"
	codeInputColumns = "E0406"

	codeOneOutput     = "E0501"
	codeOutput        = "E0502"
	codeColumnTwice   = "E0503"
	codeNotAFeature   = "E0504"
	codeTargetFeature = "E0505"
	codeData          = "E0506"
	codeDataInputs    = "E0507"
	codeDataClasses   = "E0508"
	codeDataTargets   = "E0509"

	warnTwice       = "W0601"
	warnNonNegative = "W0602"
	warnBounded     = "W0603"
	warnSaturates   = "W0604"
	warnSelfNormal  = "W0605"
	warnEqual       = "W0606"
	warnCollapse    = "W0607"
	warnNoLinear    = "W0608"
	warnOutput      = "W0609"
	warnAutoBatch   = "W0610"
	warnNoRows      = "W0611"
	warnWarmup      = "W0612"
)

// Codes returns the table of errors and warnings, by ID.
func Codes() []Code {
	return slices.Concat(textCodes, keyCodes, valueCodes, shapeCodes, warningCodes)
}

// Explain returns the entry of a code, whose case does not matter.
func Explain(id string) (Code, bool) {
	all := Codes()
	i := slices.IndexFunc(all, func(c Code) bool { return strings.EqualFold(c.ID, id) })
	if i < 0 {
		return Code{}, false
	}
	return all[i], true
}

// String returns the entry as text for a terminal.
func (c Code) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n%s\n", c.ID, c.Title, strings.TrimSpace(c.Text))
	show := func(title, lines string) {
		if lines == "" {
			return
		}
		fmt.Fprintf(&b, "\n%s:\n\n", title)
		for line := range strings.Lines(strings.TrimSpace(lines) + "\n") {
			b.WriteString("    " + line)
		}
	}
	show("Instead of", c.Wrong)
	show("write", c.Right)
	return b.String()
}
