//go:build !race

package model_test

// racing tells that the race detector is on: it lets a sync.Pool lose things.
const racing = false
