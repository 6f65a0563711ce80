// Package dynamic loads shared libraries and calls their functions, without cgo.
// A program that was built with the tag nogpu, or for a system where that is not
// done, cannot: BuiltIn tells.
package dynamic
