// Package templates holds the files that text serves best: what dnngen init
// writes.
package templates

import "embed"

// Scaffold holds the files of a starter project, below "scaffold".
//
//go:embed scaffold
var Scaffold embed.FS
