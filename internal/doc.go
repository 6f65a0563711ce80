// Package internal tests what holds for the whole repository: which package may
// import which, and that no row of the tables is named outside them.
package internal
