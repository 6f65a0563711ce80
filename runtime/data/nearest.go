package data

import (
	"fmt"

	"github.com/dnngen/dnngen/runtime/wording"
)

// didYouMean makes a hint of the candidate that is spelled most like name. It
// is empty where none comes near.
func didYouMean(name string, candidates []string) string {
	guess := wording.Nearest(name, candidates)
	if guess == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", guess)
}
