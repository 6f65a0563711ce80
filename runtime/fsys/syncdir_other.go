//go:build !unix

package fsys

// SyncDir does nothing where the system has no way to sync a directory.
func (osFS) SyncDir(string) error { return nil }
