package bars

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestSVGIsXML(t *testing.T) {
	c := Chart{Title: "a < b & \"c\"", XLabel: "x", Blocks: []Block{
		{Title: "one", Bars: []Bar{{Name: "<fast>", Value: 1e6, Text: "1 M"}, {Name: "slow", Value: 12, Text: "12", Group: 3}}, Line: 2e6},
		{Bars: []Bar{{Name: "alone", Value: 1}}},
	}}
	svg := c.SVG()
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	rects := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			rects++
		}
	}
	if rects != 1+3 { // the ground and the bars
		t.Errorf("%d rectangles", rects)
	}
	if string(svg) != string(c.SVG()) {
		t.Error("the same chart gives other bytes")
	}
}

func TestNothingToDraw(t *testing.T) {
	if svg := string(Chart{}.SVG()); !strings.HasSuffix(svg, "</svg>\n") || strings.Contains(svg, "NaN") {
		t.Error(svg)
	}
}
