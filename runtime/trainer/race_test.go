//go:build race

package trainer

// racing tells that the race detector is on: it takes memory of its own.
const racing = true
