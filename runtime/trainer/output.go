package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"
)

// output gathers standard output, and keeps the first error of writing it. A
// reader that went away is no error: it has what it wanted.
type output struct {
	w      io.Writer
	buffer []byte
	err    error
}

// outputBuffer is how much is gathered before it is written.
const outputBuffer = 32 << 10

func (o *output) Write(b []byte) (int, error) {
	o.buffer = append(o.buffer, b...)
	if len(o.buffer) >= outputBuffer {
		o.flush()
	}
	return len(b), o.err
}

func (o *output) flush() {
	if o.err == nil && len(o.buffer) > 0 {
		_, o.err = o.w.Write(o.buffer)
	}
	o.buffer = o.buffer[:0]
}

// finish writes what is left and returns the error of all writing.
func (o *output) finish() error {
	o.flush()
	if o.err == nil || errors.Is(o.err, syscall.EPIPE) {
		return nil
	}
	return fmt.Errorf("write standard output: %w", o.err)
}

func (o *output) printf(format string, args ...any) { fmt.Fprintf(o, format, args...) }

// object writes v as one line of JSON.
func (o *output) object(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, _ = o.Write(append(b, '\n')) // the error is kept for finish
	return nil
}
