package dynamic

import (
	"os"
	"path/filepath"
	"slices"
)

// Installed lists what may be one of NVIDIA's libraries, such as libnvrtc: the
// names, which the dynamic linker may know, and then the files of a toolkit or a
// Python environment that variables name.
func Installed(library string, names []string) []string {
	list := slices.Clone(names)
	versions := library + ".so.1[0-9]"
	for _, place := range []struct{ variable, directory string }{
		{"CUDA_HOME", "lib64"},
		{"CUDA_PATH", "lib64"},
		{"VIRTUAL_ENV", "lib/python3*/site-packages/nvidia/*/lib"},
		{"CONDA_PREFIX", "lib/python3*/site-packages/nvidia/*/lib"},
	} {
		if prefix := os.Getenv(place.variable); filepath.IsAbs(prefix) {
			found, _ := filepath.Glob(filepath.Join(prefix, place.directory, versions))
			slices.Reverse(found)
			list = append(list, found...)
		}
	}
	return list
}
