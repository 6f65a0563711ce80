package expr

import "testing"

// byteSource draws choices from a fuzz input; a spent input gives zeros, which
// end every tree.
type byteSource struct{ data []byte }

func (b *byteSource) below(n int) int {
	if len(b.data) == 0 {
		return 0
	}
	v := int(b.data[0])
	b.data = b.data[1:]
	return v % n
}

// FuzzSimplify: no tree makes the simplifier panic or loop, or change a value;
// and what it builds reads back from its formula.
func FuzzSimplify(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 2, 1, 1, 0, 1, 0, 0})
	f.Add([]byte{1, 4, 1, 6, 1, 1, 0, 1, 6, 1, 1, 1, 1, 2})
	f.Add([]byte{3, 14, 1, 2, 0, 0, 3, 3, 1, 0, 1, 9, 7, 1, 6, 6, 6, 6})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &byteSource{data}
		vars := map[string]float64{}
		for _, name := range names {
			vars[name] = float64(s.below(256)-128) / 16
		}
		checkSimplified(t, randomTree(s, 6), vars)
	})
}
