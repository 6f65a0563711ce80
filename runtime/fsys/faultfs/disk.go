package faultfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dnngen/dnngen/runtime/fsys"
)

// Disk is a file system in memory that knows what a loss of power may leave of
// it. A file's bytes are safe after its Sync, its name after SyncDir; what came
// later may be kept, lost, or kept in part, in any order. Directories are safe
// at once, as FS.MkdirAll promises.
type Disk struct {
	mu   sync.Mutex
	dirs map[string]*directory
}

var _ fsys.FS = (*Disk)(nil)

// directory maps names to files. versions holds, for each name that changed
// since the last sync, what it was then and after each change; nil stands for no
// file.
type directory struct {
	now      map[string]*inode
	versions map[string][]*inode
}

// inode is a file without its name.
type inode struct {
	now     []byte
	safe    []byte // as of the last sync
	pending []change
}

// change is one that was made since the last sync: a write of data at offset,
// or, where data is nil, a cut or growth to size offset.
type change struct {
	offset int
	data   []byte
}

func (c change) apply(b []byte) []byte {
	if c.data == nil {
		return resize(b, c.offset)
	}
	b = resize(b, max(len(b), c.offset+len(c.data)))
	copy(b[c.offset:], c.data)
	return b
}

// resize cuts b, or lets it grow with zeros.
func resize(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size]
	}
	return append(b, make([]byte, size-len(b))...)
}

// NewDisk returns an empty disk with the directories "." and "/".
func NewDisk() *Disk {
	d := &Disk{dirs: map[string]*directory{}}
	d.addDir(".")
	d.addDir(string(filepath.Separator))
	return d
}

func (d *Disk) addDir(name string) {
	d.dirs[name] = &directory{now: map[string]*inode{}, versions: map[string][]*inode{}}
}

func (d *Disk) MkdirAll(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for dir = filepath.Clean(dir); d.dirs[dir] == nil; dir = filepath.Dir(dir) {
		if _, _, err := d.find("mkdir", dir); err == nil {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("is there and is not a directory")}
		}
		d.addDir(dir)
	}
	return nil
}

// find returns the directory of a file and the name that it has there. The
// error tells that there is no file of this name; then the directory may still
// be there.
func (d *Disk) find(op, path string) (dir *directory, name string, err error) {
	path = filepath.Clean(path)
	dir = d.dirs[filepath.Dir(path)]
	name = filepath.Base(path)
	if dir == nil || dir.now[name] == nil {
		err = &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
	}
	return dir, name, err
}

// set gives a name to a file, or, for nil, takes it away.
func (dir *directory) set(name string, file *inode) {
	if dir.versions[name] == nil {
		dir.versions[name] = []*inode{dir.now[name]}
	}
	dir.versions[name] = append(dir.versions[name], file)
	if file == nil {
		delete(dir.now, name)
	} else {
		dir.now[name] = file
	}
}

func (d *Disk) Create(name string) (fsys.File, error) {
	file, err := d.openForWriting("create", name)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(file.now) > 0 {
		file.change(change{})
	}
	return &handle{disk: d, file: file}, nil
}

func (d *Disk) Append(name string) (fsys.File, error) {
	file, err := d.openForWriting("append", name)
	if err != nil {
		return nil, err
	}
	return &handle{disk: d, file: file, append: true}, nil
}

func (d *Disk) openForWriting(op, path string) (*inode, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dirs[filepath.Clean(path)] != nil {
		return nil, &fs.PathError{Op: op, Path: path, Err: errors.New("is a directory")}
	}
	dir, name, err := d.find(op, path)
	if dir == nil {
		return nil, err
	}
	if err != nil {
		dir.set(name, &inode{})
	}
	return dir.now[name], nil
}

func (file *inode) change(c change) {
	file.pending = append(file.pending, c)
	file.now = c.apply(file.now)
}

func (d *Disk) Open(path string) (io.ReadCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, name, err := d.find("open", path)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(bytes.Clone(dir.now[name].now))), nil
}

func (d *Disk) ReadDir(path string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path = filepath.Clean(path)
	dir := d.dirs[path]
	if dir == nil {
		return nil, &fs.PathError{Op: "readdir", Path: path, Err: fs.ErrNotExist}
	}
	var entries []fs.DirEntry
	for name, file := range dir.now {
		entries = append(entries, fs.FileInfoToDirEntry(info{name: name, size: len(file.now)}))
	}
	for name := range d.dirs {
		if name != path && filepath.Dir(name) == path {
			entries = append(entries, fs.FileInfoToDirEntry(info{name: filepath.Base(name), dir: true}))
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		return bytes.Compare([]byte(a.Name()), []byte(b.Name()))
	})
	return entries, nil
}

func (d *Disk) Rename(old, new string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	from, oldName, err := d.find("rename", old)
	if err != nil {
		return err
	}
	to, newName, err := d.find("rename", new)
	if to == nil {
		return err
	}
	file := from.now[oldName]
	from.set(oldName, nil)
	to.set(newName, file)
	return nil
}

func (d *Disk) Remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, name, err := d.find("remove", path)
	if err != nil {
		return err
	}
	dir.set(name, nil)
	return nil
}

func (d *Disk) Truncate(path string, size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, name, err := d.find("truncate", path)
	if err != nil {
		return err
	}
	dir.now[name].change(change{offset: int(size)})
	return nil
}

func (d *Disk) SyncDir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := d.dirs[filepath.Clean(path)]
	if dir == nil {
		return &fs.PathError{Op: "syncdir", Path: path, Err: fs.ErrNotExist}
	}
	clear(dir.versions)
	return nil
}

// handle is a file opened for writing.
type handle struct {
	disk   *Disk
	file   *inode
	append bool
	offset int
}

func (h *handle) Write(b []byte) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	if h.append {
		h.offset = len(h.file.now)
	}
	if len(b) > 0 {
		h.file.change(change{offset: h.offset, data: bytes.Clone(b)})
	}
	h.offset += len(b)
	return len(b), nil
}

func (h *handle) Sync() error {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	h.file.safe = bytes.Clone(h.file.now)
	h.file.pending = nil
	return nil
}

func (h *handle) Close() error { return nil }

// info describes a file for ReadDir.
type info struct {
	name string
	size int
	dir  bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return int64(i.size) }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o777
	}
	return 0o666
}
