package data

import (
	"fmt"
	"strings"
)

// didYouMean makes a hint of the candidate that is spelled most like name. It
// is empty where none comes near.
func didYouMean(name string, candidates []string) string {
	const longest = 200 // the distance of long names costs too much and says nothing
	if len(name) > longest {
		return ""
	}
	best, least := "", max(1, min(3, len(name)/3))+1
	for _, c := range candidates {
		if len(c) > longest {
			continue
		}
		d := distance(strings.ToLower(name), strings.ToLower(c))
		// A distance of all letters is no likeness at all.
		if d < least && d < max(len(name), len(c)) {
			best, least = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance is the least number of letters to insert, delete or change that
// makes a of b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
