package fsys

import "golang.org/x/sys/unix"

// Free returns the bytes that a user may still write to the file system that
// dir is on; ok is false where the system does not tell.
func Free(dir string) (bytes uint64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
