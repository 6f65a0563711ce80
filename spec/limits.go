package spec

// What a spec may ask for. The limits on the text keep a hostile file from
// costing more than milliseconds; those on shapes keep every index of a tensor
// within 32 bits.
const (
	MaxErrors = 20 // problems that Parse returns at most

	maxBytes   = 1 << 20 // of a spec
	maxDepth   = 64      // collections inside each other
	maxNodes   = 10_000  // scalars, lists and mappings
	maxMarks   = 40_000  // lines and punctuation marks: what the YAML reader's work grows with
	maxKeys    = 256     // of one block mapping
	maxKeyText = 64      // characters of a key
	maxText    = 1024    // characters of a value
	maxDigits  = 40      // characters of a number
	maxColumns = 4096    // entries of a list of columns

	maxLayers      = 4096
	maxWidth       = 1 << 24 // of a layer; also the largest batch
	maxEpochs      = 1_000_000
	maxTensor      = 1 << 31 // elements of one tensor
	maxParams      = 1 << 32 // learned numbers of a network
	maxActivations = 1 << 32 // numbers that the layers of one batch give
)

// product multiplies two sizes; ok is false where the result passes limit.
func product(a, b, limit int64) (n int64, ok bool) {
	if a < 0 || b < 0 || (b > 0 && a > limit/b) {
		return 0, false
	}
	return a * b, true
}
