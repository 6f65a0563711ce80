package progress

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// clockwork is a clock that tests move.
type clockwork struct{ t time.Time }

func (c *clockwork) now() time.Time { return c.t }

func display(width int) (*Display, *bytes.Buffer, *clockwork) {
	var out bytes.Buffer
	c := &clockwork{time.Unix(1000, 0)}
	d := New(&out, func(string) string { return "" }, false)
	d.now = c.now
	if width > 0 {
		d.width = func() int { return width }
	}
	return d, &out, c
}

func TestBar(t *testing.T) {
	d, out, c := display(100)
	d.Start(Status{})
	c.t = c.t.Add(2 * time.Second)
	d.Update(Status{Epoch: 4, Epochs: 20, Step: 25, Steps: 100, Rows: 25_000, Loss: 0.125})
	want := "\r\x1b[Kepoch 5/20 [=========>                              ]  25%  loss 0.125  12.5k samples/s  ETA 0:06"
	if got := out.String(); !strings.HasPrefix(got, "\r\x1b[Kepoch 5/20 [===") || !strings.HasSuffix(got, "25%  loss 0.125  12.5k samples/s  ETA 0:06") {
		t.Errorf("got  %q\nlike %q", got, want)
	}
	out.Reset()
	d.Say("epoch 5 done")
	if got := out.String(); got != "\r\x1b[Kepoch 5 done\n" {
		t.Errorf("a line above the bar: %q", got)
	}
	out.Reset()
	d.Clear()
	if out.Len() > 0 {
		t.Errorf("nothing to clear, but wrote %q", out)
	}
}

// TestDraw: what is no training has a bar on a terminal, and nothing elsewhere.
func TestDraw(t *testing.T) {
	d, out, _ := display(30)
	d.Draw("round 2/4", 0.25)
	if got, want := out.String(), "\r\x1b[Kround 2/4 [===>        ]  25%"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	out.Reset()
	d.Clear()
	if got := out.String(); got != "\r\x1b[K" {
		t.Errorf("cleared by %q", got)
	}
	d.Draw("a head that is too long for the terminal", 0.25)
	if got := out.String(); len(got) > len("\r\x1b[K\r\x1b[K")+29 {
		t.Errorf("wider than the terminal: %q", got)
	}
	plain, out, _ := display(0)
	plain.Draw("round 2/4", 0.25)
	if out.Len() > 0 {
		t.Errorf("not a terminal, but wrote %q", out)
	}
	silent, out, _ := display(30)
	silent.quiet = true
	silent.Draw("round 2/4", 0.25)
	if out.Len() > 0 {
		t.Errorf("quiet, but wrote %q", out)
	}
}

// A line that is wider than the terminal would wrap, and pile up.
func TestBarFitsAnyWidth(t *testing.T) {
	for width := 1; width < 150; width++ {
		d, _, c := display(width)
		d.Start(Status{})
		c.t = c.t.Add(time.Hour)
		for step := range int64(101) {
			if bar := d.bar(Status{Epoch: 999, Epochs: 1000, Step: step, Steps: 100, Rows: 1 << 40, Loss: 1e-7}, width); len(bar) > width {
				t.Fatalf("width %d: %d columns: %q", width, len(bar), bar)
			}
		}
	}
}

func TestPlain(t *testing.T) {
	d, out, c := display(0)
	d.Start(Status{})
	s := Status{Epochs: 2, Steps: 1000}
	for range 100 {
		c.t = c.t.Add(time.Second / 4)
		s.Step += 10
		s.Rows += 100
		d.Update(s)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines in 25 s, want one each 10 s:\n%s", n, out)
	}
	if strings.ContainsAny(out.String(), "\r\x1b") {
		t.Errorf("control characters where there is no terminal: %q", out)
	}
}

func TestQuiet(t *testing.T) {
	var out bytes.Buffer
	d := New(&out, func(string) string { return "" }, true)
	d.Start(Status{})
	d.Update(Status{Step: 1, Steps: 2})
	d.Say("epoch")
	if out.Len() > 0 {
		t.Errorf("quiet, but wrote %q", &out)
	}
	d.Warn("disk %s", "full")
	if out.String() != "warning: disk full\n" {
		t.Errorf("warning: %q", &out)
	}
}

func TestColor(t *testing.T) {
	d, out, _ := display(80)
	d.color = true
	d.Start(Status{})
	d.Update(Status{Epochs: 1, Step: 1, Steps: 2})
	if !strings.Contains(out.String(), "\x1b[32m") {
		t.Error("no colour on a colour terminal")
	}
}

func TestCount(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 7.4: "7", 999: "999", 1000: "1k", 12_345: "12.3k", 999_999: "1M", 4.2e9: "4.2G", 7e15: "7e+03T",
	} {
		if got := Count(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestClock(t *testing.T) {
	for v, want := range map[float64]string{0: "0:00", 59.6: "1:00", 125: "2:05", 3725: "1:02:05", 1e300: "a very long time"} {
		if got := clock(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
