// Package wording helps messages to speak plainly: a number beside its noun, and
// the word that a misspelled one was meant to be.
package wording

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Count writes a number before its noun, given in the singular: "1 row",
// "2 rows", "3 classes".
func Count[N int | int32 | int64 | uint64](n N, noun string) string {
	return fmt.Sprintf("%d %s", n, Noun(n, noun))
}

// Noun returns a noun, given in the singular, as it stands behind a number.
func Noun[N int | int32 | int64 | uint64](n N, noun string) string {
	switch {
	case n == 1:
		return noun
	case strings.HasSuffix(noun, "s") || strings.HasSuffix(noun, "tch"):
		return noun + "es"
	}
	return noun + "s"
}

// longest is how many bytes of a name are compared: the distance of long ones
// costs too much and says nothing.
const longest = 200

// Nearest returns the word that name was probably meant to be: at most two edits
// away, and about half of a short word, by letters of either case without what
// joins words. It returns "" where there is none.
func Nearest(name string, words []string) string {
	if len(name) > longest {
		return ""
	}
	best, guess := 3, ""
	for _, w := range words {
		if len(w) > longest {
			continue
		}
		a, b := bare(name), bare(w)
		d := levenshtein.ComputeDistance(a, b)
		// A distance of all letters is no likeness at all.
		if most := max(len(a), len(b)); d < best && 2*d <= most+1 && d < most {
			best, guess = d, w
		}
	}
	return guess
}

func bare(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(s))
}
