package host

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dnngen/dnngen/cuda/cublaslt"
	"github.com/dnngen/dnngen/cuda/driver"
	"github.com/dnngen/dnngen/runtime/fsys"
)

// This file remembers which way of making a product was the fastest: in a file of
// the user's cache for each network, GPU, driver and library.

// about is what a choice depends on.
type about struct {
	Device  string `json:"device"`
	Driver  int    `json:"driver"`
	Library string `json:"library"`
	Kernels string `json:"kernels"` // SHA-256 of all that the kernels and their launches are
}

// memory is the content of a file.
type memory struct {
	about
	Ways map[string]string `json:"ways"` // of each kernel
}

func (c *Code) about(d *driver.Driver, gpu driver.Device, lib *cublaslt.Library, images []driver.Image) about {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%v\n%+v\n", c.Precision, c.Pass, *c.Libraries)
	for _, i := range images {
		fmt.Fprintf(hash, "%v %d\n", i, len(i.Data))
		hash.Write(i.Data)
	}
	return about{
		Device: fmt.Sprintf("%s, sm_%d%d", gpu.Name, gpu.Major, gpu.Minor), Driver: d.Version(), Library: lib.String(),
		Kernels: hex.EncodeToString(hash.Sum(nil)),
	}
}

// file is where a choice is remembered.
func (a about) file() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%+v", a))
	return filepath.Join(dir, "dnngen", "products", hex.EncodeToString(key[:8])+".json"), nil
}

// recall returns what is remembered: a map to be filled where that is nothing, or
// was written by something else.
func recall(a about) (ways map[string]string, ok bool) {
	name, err := a.file()
	if err != nil {
		return map[string]string{}, false
	}
	text, err := fsys.ReadFile(fsys.OS(), name)
	var m memory
	if err != nil || json.Unmarshal(text, &m) != nil || m.about != a || len(m.Ways) == 0 {
		return map[string]string{}, false
	}
	return m.Ways, true
}

// keep remembers.
func keep(a about, ways map[string]string) error {
	name, err := a.file()
	if err != nil {
		return err
	}
	text, err := json.Marshal(memory{a, ways})
	if err != nil {
		return err
	}
	if err := fsys.OS().MkdirAll(filepath.Dir(name)); err != nil {
		return err
	}
	return fsys.WriteAtomic(fsys.OS(), name, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(append(text, '\n')))
		return err
	})
}
