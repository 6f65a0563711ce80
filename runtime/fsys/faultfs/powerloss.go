package faultfs

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
)

// sector is the largest piece that a disk writes as a whole.
const sector = 512

// Clone returns a copy of the disk, with the same things unsynced.
func (d *Disk) Clone() *Disk {
	return d.rebuild(func(dir *directory, name string) *inode { return dir.now[name] }, true, func(file *inode) []byte {
		return bytes.Clone(file.now)
	})
}

// PowerLoss returns a disk as it may be when the power comes back. Loss 0
// forgets all that was not synced and loss 1 keeps it all; every other number
// draws what is kept: of each name one of its versions, of each file a size that
// it had, and of each of its sectors a version, or zeros.
func (d *Disk) PowerLoss(loss uint64) *Disk {
	const stream = 0x706f776572 // "power"
	draw := rand.New(rand.NewPCG(loss, stream))
	pick := func(versions int) int {
		switch loss {
		case 0:
			return 0
		case 1:
			return versions - 1
		}
		return draw.IntN(versions)
	}
	return d.rebuild(func(dir *directory, name string) *inode {
		if versions := dir.versions[name]; versions != nil {
			return versions[pick(len(versions))]
		}
		return dir.now[name]
	}, false, func(file *inode) []byte { return file.afterLoss(pick) })
}

// rebuild copies the disk: choose tells which file a name has in the copy,
// content which bytes a file has. With pending, what was not synced stays so.
func (d *Disk) rebuild(choose func(*directory, string) *inode, pending bool, content func(*inode) []byte) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := map[*inode]*inode{nil: nil}
	copyOf := func(file *inode) *inode {
		if _, done := files[file]; !done {
			b := content(file)
			c := &inode{now: b, safe: bytes.Clone(b)}
			if pending {
				c.safe, c.pending = bytes.Clone(file.safe), slices.Clone(file.pending)
			}
			files[file] = c
		}
		return files[file]
	}
	disk := &Disk{dirs: map[string]*directory{}}
	// Maps are walked in order, so that a loss can be repeated.
	for _, path := range slices.Sorted(maps.Keys(d.dirs)) {
		dir := d.dirs[path]
		disk.addDir(path)
		c := disk.dirs[path]
		names := slices.Concat(slices.Collect(maps.Keys(dir.now)), slices.Collect(maps.Keys(dir.versions)))
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if file := copyOf(choose(dir, name)); file != nil {
				c.now[name] = file
			}
			if pending && dir.versions[name] != nil {
				for _, v := range dir.versions[name] {
					c.versions[name] = append(c.versions[name], copyOf(v))
				}
			}
		}
	}
	return disk
}

// afterLoss draws what is left of a file. Each sector has seen a number of the
// pending changes, and so has the size.
func (file *inode) afterLoss(pick func(int) int) []byte {
	size, longest := len(file.safe), max(len(file.safe), len(file.now))
	seen := pick(len(file.pending) + 1)
	length := len(file.safe)
	for i, c := range file.pending {
		length = len(c.apply(make([]byte, length)))
		longest = max(longest, length)
		if i < seen {
			size = length
		}
	}
	b := resize(bytes.Clone(file.safe), longest)
	for start := 0; start < longest; start += sector {
		end := min(start+sector, longest)
		for _, c := range file.pending[:pick(len(file.pending)+1)] {
			c.applySector(b[start:end], start)
		}
	}
	return b[:size]
}

// applySector makes the part of a change that touches the sector at start.
func (c change) applySector(b []byte, start int) {
	if c.data == nil {
		if from := max(c.offset, start); from < start+len(b) {
			clear(b[from-start:])
		}
		return
	}
	from, to := max(c.offset, start), min(c.offset+len(c.data), start+len(b))
	if from < to {
		copy(b[from-start:to-start], c.data[from-c.offset:])
	}
}
