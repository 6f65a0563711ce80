// Package progress shows how far a training is: a bar that is redrawn in place
// on a terminal, plain lines elsewhere.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Status is what there is to show.
type Status struct {
	Epoch, Epochs int   // Epoch is the one under way, counted from 0
	Step, Steps   int64 // updates made, and of the whole training
	Rows          int64 // trained since the start of this process
	Loss          float64
}

// Display writes to one stream. It is used by one goroutine at a time.
type Display struct {
	w     io.Writer
	width func() int // of the terminal; nil: not a terminal
	color bool
	quiet bool
	now   func() time.Time

	start     time.Time
	startStep int64
	started   bool
	drawn     bool // a bar stands on the current line
	said      time.Time
}

// Environment gives the variables that decide how a Display looks.
type Environment func(name string) string

// New returns a Display on w. Where w is a terminal it draws a bar, in colour
// unless NO_COLOR is set; TERM=dumb makes it plain. A quiet Display shows
// neither bar nor progress lines, but still Warn.
func New(w io.Writer, env Environment, quiet bool) *Display {
	d := &Display{w: w, quiet: quiet, now: time.Now}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && env("TERM") != "dumb" {
		d.width = func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil || width < 1 {
				return 80
			}
			return width
		}
		d.color = env("NO_COLOR") == ""
	}
	return d
}

// Start marks the moment from which speed and remaining time are counted.
func (d *Display) Start(s Status) {
	d.start, d.startStep, d.started = d.now(), s.Step, true
	d.said = d.start
}

// plainEvery is the time between two lines where there is no bar.
const plainEvery = 10 * time.Second

// Update redraws the bar. Where there is none it writes a line every few
// seconds, so that a log shows that the training lives.
func (d *Display) Update(s Status) {
	if d.quiet || !d.started {
		return
	}
	if d.width != nil {
		d.print("\r\x1b[K" + d.bar(s, d.width()-1))
		d.drawn = true
		return
	}
	if now := d.now(); now.Sub(d.said) >= plainEvery {
		d.said = now
		d.print(fmt.Sprintf("epoch %d/%d  step %d/%d  %s\n", s.Epoch+1, s.Epochs, s.Step, s.Steps, d.speed(s)))
	}
}

// Draw redraws the bar with a head of its own and nothing behind it, for what is no
// training. Where there is no bar it writes nothing.
func (d *Display) Draw(head string, share float64) {
	if d.quiet || d.width == nil {
		return
	}
	d.print("\r\x1b[K" + d.gauge(head, share, "", d.width()-1))
	d.drawn = true
}

// Say writes a line of progress, above the bar where there is one.
func (d *Display) Say(format string, args ...any) {
	if !d.quiet {
		d.line(fmt.Sprintf(format, args...))
	}
}

// Warn writes a line that also a quiet Display shows.
func (d *Display) Warn(format string, args ...any) {
	mark := "warning: "
	if d.color {
		mark = "\x1b[33m" + mark + "\x1b[0m"
	}
	d.line(mark + fmt.Sprintf(format, args...))
}

// Clear takes the bar away.
func (d *Display) Clear() {
	if d.drawn {
		d.print("\r\x1b[K")
		d.drawn = false
	}
}

func (d *Display) line(s string) {
	d.Clear()
	if d.started {
		d.said = d.now()
	}
	d.print(s + "\n")
}

// print drops the error: progress that nobody reads ends no training.
func (d *Display) print(s string) { _, _ = io.WriteString(d.w, s) }

// bar returns one line of at most width columns.
func (d *Display) bar(s Status, width int) string {
	share := 0.0
	if s.Steps > 0 {
		share = min(1, float64(s.Step)/float64(s.Steps))
	}
	return d.gauge(fmt.Sprintf("epoch %d/%d", min(s.Epoch+1, s.Epochs), s.Epochs), share, "  "+d.speed(s), width)
}

// gauge returns a share between what is told before it and behind it.
func (d *Display) gauge(head string, share float64, tail string, width int) string {
	head += " "
	tail = fmt.Sprintf(" %3.0f%%%s", 100*share, tail)
	const least, most = 10, 40
	room := min(width-len(head)-len(tail)-2, most)
	if room < least {
		return cut(head+strings.TrimLeft(tail, " "), width)
	}
	full := int(share * float64(room))
	done, rest := strings.Repeat("=", full), strings.Repeat(" ", room-full)
	if full < room {
		rest = ">" + rest[1:]
	}
	if d.color {
		done = "\x1b[32m" + done + "\x1b[0m"
	}
	return head + "[" + done + rest + "]" + tail
}

func cut(s string, width int) string {
	if len(s) > width {
		return s[:max(0, width)]
	}
	return s
}

// speed returns loss, rows a second and the remaining time.
func (d *Display) speed(s Status) string {
	text := fmt.Sprintf("loss %.4g", s.Loss)
	elapsed := d.now().Sub(d.start).Seconds()
	if steps := s.Step - d.startStep; steps > 0 && elapsed > 0 {
		left := elapsed / float64(steps) * float64(s.Steps-s.Step)
		text += fmt.Sprintf("  %s samples/s  ETA %s", Count(float64(s.Rows)/elapsed), clock(left))
	}
	return text
}

// Count writes a number with three digits and a letter for thousands, millions
// and so on.
func Count(v float64) string {
	for _, unit := range []string{"", "k", "M", "G"} {
		if v < 999.5 {
			if unit == "" {
				return fmt.Sprintf("%.0f", v)
			}
			return fmt.Sprintf("%.3g%s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.3gT", v)
}

// clock writes seconds as m:ss or h:mm:ss.
func clock(seconds float64) string {
	if !(seconds < 1e6*3600) {
		return "a very long time"
	}
	s := int(seconds + 0.5)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
