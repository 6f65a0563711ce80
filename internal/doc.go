// Package internal tests what holds for the whole repository: which package may
// import which, that no row of the tables is named outside them, and that the
// compiler and the runtime name the same things alike.
package internal
