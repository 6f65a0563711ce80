package driver

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// maxImage bounds what an image may unpack to, in bytes.
const maxImage = 256 << 20

// ReadImages reads the images that lie in the top directory of a file system,
// as a program embeds them. Their names say what they are: kernels.cu,
// kernels.sm_80.ptx, kernels.sm_90a.cubin, each with .gz behind it where it is
// packed. Files with other names are passed over.
func ReadImages(dir fs.FS) ([]Image, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	var images []Image
	for _, e := range entries {
		image, packed, ok := imageOf(e.Name())
		if !ok || e.IsDir() {
			continue
		}
		if image.Data, err = readImage(dir, e.Name(), packed); err != nil {
			return nil, fmt.Errorf("read %s: %w", e.Name(), err)
		}
		images = append(images, image)
	}
	return images, nil
}

// imageOf tells from a file's name what image it holds.
func imageOf(name string) (image Image, packed, ok bool) {
	name, packed = strings.CutSuffix(name, ".gz")
	base, form := strings.TrimSuffix(name, path.Ext(name)), path.Ext(name)
	switch form {
	case ".cu":
		return Image{Form: Source}, packed, true
	case ".ptx":
		image.Form = PTX
	case ".cubin":
		image.Form = Cubin
	default:
		return Image{}, false, false
	}
	arch, ok := strings.CutPrefix(path.Ext(base), ".sm_")
	if !ok {
		return Image{}, false, false
	}
	arch, image.Specific = strings.CutSuffix(arch, "a")
	n, err := strconv.ParseUint(arch, 10, 12)
	if err != nil || n < 10 {
		return Image{}, false, false
	}
	image.Major, image.Minor = int(n/10), int(n%10)
	return image, packed, true
}

func readImage(dir fs.FS, name string, packed bool) (data []byte, err error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if packed {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	if data, err = io.ReadAll(io.LimitReader(r, maxImage+1)); err != nil {
		return nil, err
	}
	if len(data) > maxImage {
		return nil, fmt.Errorf("it has more than %d bytes", maxImage)
	}
	return data, nil
}
