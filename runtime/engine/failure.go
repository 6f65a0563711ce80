package engine

import "fmt"

// Failure says that a device failed. Methods of an Engine that have no error
// panic with a *Failure: there is no going on with that Engine, and only Close
// is left. What was saved before is whole.
type Failure struct {
	Device string // "cuda:0"
	Err    error
}

func (f *Failure) Error() string { return fmt.Sprintf("device %s failed: %v", f.Device, f.Err) }

func (f *Failure) Unwrap() error { return f.Err }
