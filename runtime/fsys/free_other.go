//go:build !linux

package fsys

// Free returns the bytes that a user may still write to the file system that
// dir is on; ok is false where the system does not tell.
func Free(string) (bytes uint64, ok bool) { return 0, false }
