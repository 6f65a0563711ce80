//go:build !race

package driver

// racing tells that the race detector is on: it lets a sync.Pool lose things,
// so that calls allocate.
const racing = false
