package lab

import "testing"

func TestLastWords(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"error: no such file\n", "error: no such file"},
		{"fatal error: runtime: out of memory\n\ngoroutine 1 [running]:\nmain.main()\n", "fatal error: runtime: out of memory"},
		{"exit\npanic: index\n\ngoroutine 1\n", "panic: index"},
		{"Traceback (most recent call last):\n  File \"x.py\"\nValueError: no\n", "ValueError: no"},
		{"one\ntwo", "one\ntwo"},
	} {
		if got := LastWords(test.text); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}
