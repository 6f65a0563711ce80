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

// Survive returns as an error what a device that fails in f panics with.
func Survive(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			failed, ok := p.(*Failure)
			if !ok {
				panic(p)
			}
			err = failed
		}
	}()
	return f()
}
