// Command curves draws the learning curves of several runs into one SVG:
//
//	curves -o curves.svg -title "…" name=runs/name/metrics.jsonl …
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"image/color"
	"os"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

func main() {
	out := flag.String("o", "curves.svg", "SVG to write")
	title := flag.String("title", "", "title of the picture")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "curves: name=metrics.jsonl … is needed; see -h")
		os.Exit(2)
	}
	if err := draw(*out, *title, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "curves:", err)
		os.Exit(1)
	}
}

// event is one line of metrics.jsonl; only epochs are drawn.
type event struct {
	Event string   `json:"event"`
	Epoch int      `json:"epoch"`
	Loss  *float64 `json:"train_loss"`
}

func draw(out, title string, runs []string) error {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "epoch"
	p.Y.Label.Text = "training loss"
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = plot.LogTicks{Prec: -1}
	p.Legend.Top = true
	p.BackgroundColor = color.White
	for i, run := range runs {
		name, file, ok := strings.Cut(run, "=")
		if !ok {
			return fmt.Errorf("%q is not name=metrics.jsonl", run)
		}
		points, err := read(file)
		if err != nil {
			return err
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		line.Width = vg.Points(1.5)
		line.Color = plotutil.Color(i)
		line.Dashes = plotutil.Dashes(i)
		p.Add(line)
		p.Legend.Add(name, line)
	}
	return p.Save(16*vg.Centimeter, 10*vg.Centimeter, out)
}

// read returns the training loss of each epoch, counted from 1.
func read(file string) (plotter.XYs, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var points plotter.XYs
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if e.Event == "epoch" && e.Loss != nil && *e.Loss > 0 {
			points = append(points, plotter.XY{X: float64(e.Epoch + 1), Y: *e.Loss})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(points) == 0 {
		return nil, fmt.Errorf("%s: no epoch with a loss", file)
	}
	return points, nil
}
