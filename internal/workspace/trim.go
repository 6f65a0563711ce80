package workspace

import (
	"os"
	"path/filepath"
	"time"

	"github.com/dnngen/dnngen/runtime/fsys"
)

const (
	// keepFor is how long a trainer stays in the cache that nobody builds again.
	keepFor   = 30 * 24 * time.Hour
	trimEvery = 24 * time.Hour
	trimMark  = "trimmed" // its time is that of the last trim
)

// Trim removes trainers that were not built for a long time, those of other
// versions of dnngen too, and looks for them once a day. The sources stay:
// modules outside the cache may refer to them. A failure is no harm: the next
// day tries again.
func (w *Workspace) Trim(now time.Time) {
	root := filepath.Dir(w.Dir)
	mark := filepath.Join(root, trimMark)
	if info, err := os.Stat(mark); err == nil && now.Sub(info.ModTime()) < trimEvery {
		return
	}
	f, err := fsys.OS().Create(mark)
	if err != nil {
		return
	}
	_ = f.Close()
	_ = os.Chtimes(mark, now, now)
	for _, kind := range []string{trainersDir, binariesDir, imagesDir} {
		found, _ := filepath.Glob(filepath.Join(root, "*", kind, "*"))
		for _, name := range found {
			if info, err := os.Stat(name); err == nil && now.Sub(info.ModTime()) > keepFor {
				_ = os.RemoveAll(name)
			}
		}
	}
}
