package headers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefused compares with a header that is written here, so that each way of
// differing from it is seen to be found.
func TestRefused(t *testing.T) {
	home := t.TempDir()
	t.Setenv("VIRTUAL_ENV", home)
	dir := filepath.Join(home, "lib", "python3.11", "site-packages", "nvidia", "cu99", "include")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const header = `
		typedef enum { OK_RESULT = 0, BAD_RESULT = 7 } Result;
		typedef struct handle *Handle;
		Result make(Handle *handle, unsigned long long bytes);
		Result none(void);
		struct pair { int first; double second; };
	`
	if err := os.WriteFile(filepath.Join(dir, "some.h"), []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	dirs := Find(t, "some.h")
	constants := func(text string) string { return Constants(text, "OK_", "BAD_") }
	for _, c := range []struct{ name, text, says string }{
		{"all the same", Functions("Result", "make(Handle *, unsigned long long)", "none(void)") +
			constants("const (\n\tok2 = 0 // OK_RESULT\n\tx = 1 // OTHER_RESULT\n\tbad = 7 // BAD_RESULT\n)\n{7, f(x)}, // BAD_RESULT\n") +
			Equal("sizeof(struct pair)", 16), ""},
		{"a function that is not there", Functions("Result", "mak(Handle *, unsigned long long)"), "mak"},
		{"one that takes more", Functions("Result", "none(int)"), "conflicting types"},
		{"one that takes another width", Functions("Result", "make(Handle *, unsigned)"), "conflicting types"},
		{"one that takes a handle", Functions("Result", "make(Handle, unsigned long long)"), "conflicting types"},
		{"another result", Functions("long", "none(void)"), "conflicting types"},
		{"another number", constants("bad = 8 // BAD_RESULT\n"), "not 8"},
		{"a name that is not there", constants("8: true, // BAD_NAME\n"), "BAD_NAME"},
		{"another size", Equal("sizeof(struct pair)", 12), "not 12"},
	} {
		got := Refused(t, dirs, "#include <some.h>\n"+c.text)
		if (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q does not say %q", c.name, got, c.says)
		}
	}
}
