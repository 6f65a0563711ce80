package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/dnngen/dnngen/runtime/fsys"
)

// Locked says that another process holds a run directory.
type Locked struct {
	Path  string
	Owner Owner // zero where it left no note
}

// Owner is the note that a process leaves in the lock file.
type Owner struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

func (e *Locked) Error() string {
	if e.Owner.PID == 0 {
		return e.Path + ": another process is using this run directory"
	}
	return fmt.Sprintf("%s: process %d on %s is using this run directory since %s",
		e.Path, e.Owner.PID, e.Owner.Host, e.Owner.Since.Format(time.DateTime))
}

// lock is an exclusive lock of the operating system on a file. It ends with
// the process, however that ends; the file itself stays, because removing it
// would let two processes lock two files of one name.
type lock struct{ f *flock.Flock }

func acquire(fsys fsys.FS, name string) (*lock, error) {
	f := flock.New(name, flock.SetPermissions(0o666))
	ok, err := f.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if !ok {
		return nil, &Locked{Path: filepath.Dir(name), Owner: owner(fsys, name)}
	}
	// The note only serves the message of a process that comes second, so a
	// failure to leave it (a full disk) is no reason to stop.
	_ = leaveNote(fsys, name)
	return &lock{f}, nil
}

func (l *lock) release() error { return l.f.Unlock() }

func leaveNote(fsys fsys.FS, name string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	note, err := json.Marshal(Owner{PID: os.Getpid(), Host: host, Since: time.Now()})
	if err != nil {
		return err
	}
	// The file is written in place: a rename would leave the lock behind.
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(append(note, '\n'))
	return errors.Join(err, f.Close())
}

// owner reads the note of the process that holds the lock. That process may
// have locked a moment ago and not have written it yet.
func owner(fsys fsys.FS, name string) Owner {
	for range 10 {
		var o Owner
		b, err := readFile(fsys, name)
		if err == nil && json.Unmarshal(b, &o) == nil {
			return o
		}
		time.Sleep(10 * time.Millisecond)
	}
	return Owner{}
}
