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
	for _, place := range Places("lib64", "lib") {
		found, _ := filepath.Glob(filepath.Join(place, library+".so.1[0-9]"))
		slices.Reverse(found)
		list = append(list, found...)
	}
	return list
}

// Places lists directories, as patterns, of a toolkit or a Python environment that
// variables name: toolkit of the one, and packages of each of NVIDIA's packages in the
// other.
func Places(toolkit, packages string) (patterns []string) {
	packages = filepath.Join("lib", "python3*", "site-packages", "nvidia", "*", packages)
	for _, place := range []struct{ variable, below string }{
		{"CUDA_HOME", toolkit},
		{"CUDA_PATH", toolkit},
		{"VIRTUAL_ENV", packages},
		{"CONDA_PREFIX", packages},
	} {
		if prefix := os.Getenv(place.variable); filepath.IsAbs(prefix) {
			patterns = append(patterns, filepath.Join(prefix, place.below))
		}
	}
	return patterns
}
