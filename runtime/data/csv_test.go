package data_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
)

// The same three rows in every dress that tables wear.
func TestCSVForms(t *testing.T) {
	want := &data.Set{
		Rows: 3, Inputs: 2, Outputs: 1,
		X:      []float32{1, 2.5, -3, 4e-3, 5, 6},
		Target: engine.Target{Value: []float32{0, 1, 0.5}},
	}
	header := []string{"a", "b", "y"}
	numbers := []string{"0", "1", "2"}
	for name, c := range map[string]struct {
		text  string
		names []string
	}{
		"header":              {"a,b,y\n1,2.5,0\n-3,4e-3,1\n5,6,0.5\n", header},
		"no header":           {"1,2.5,0\n-3,4e-3,1\n5,6,0.5\n", numbers},
		"no last newline":     {"a,b,y\n1,2.5,0\n-3,4e-3,1\n5,6,0.5", header},
		"CRLF":                {"a,b,y\r\n1,2.5,0\r\n-3,4e-3,1\r\n5,6,0.5\r\n", header},
		"CR":                  {"a,b,y\r1,2.5,0\r-3,4e-3,1\r5,6,0.5\r", header},
		"BOM":                 {"\xef\xbb\xbfa,b,y\n1,2.5,0\n-3,4e-3,1\n5,6,0.5\n", header},
		"BOM, no header":      {"\xef\xbb\xbf1,2.5,0\n-3,4e-3,1\n5,6,0.5\n", numbers},
		"semicolons":          {"a;b;y\n1;2.5;0\n-3;4e-3;1\n5;6;0.5\n", header},
		"tabs":                {"a\tb\ty\n1\t2.5\t0\n-3\t4e-3\t1\n5\t6\t0.5\n", header},
		"spaces":              {"a , b,y\n 1, 2.5 ,0\n\t-3,4e-3,1\n5,6,  0.5 \n", header},
		"quotes":              {"\"a\",\"b\",\"y\"\n\"1\",2.5,0\n-3, \"4e-3\" ,1\n5,6,\" 0.5\"\n", header},
		"blank lines":         {"\n\na,b,y\n\n1,2.5,0\n  \n-3,4e-3,1\n5,6,0.5\n\n\n", header},
		"blank first of CRLF": {"\r\n\r\na,b,y\r\n1,2.5,0\r\n\r\n-3,4e-3,1\r\n5,6,0.5\r\n\r\n", header},
		"scikit-learn":        {"3,2,no,yes\n1,2.5,0\n-3,4e-3,1\n5,6,0.5\n", numbers},
		"scikit-learn, equal": {"3,2,no\n1,2.5,0\n-3,4e-3,1\n5,6,0.5\n", numbers},
		"scikit-learn, bare":  {"3,2\n1,2.5,0\n-3,4e-3,1\n5,6,0.5\n", numbers},
		"other notations":     {"a,b,y\n+1,2.50,0\n-3.,.004,1e0\n5,6,50000e-5\n", header},
	} {
		for _, file := range []string{"train.csv", "train.csv.gz", "TRAIN.CSV", "-"} {
			text := c.text
			if file == "train.csv.gz" {
				text = zipped(t, text)
			}
			table, err := data.Open(file, data.Options{
				FS:    disk(t, map[string]string{file: text}),
				Stdin: strings.NewReader(text),
			})
			if err != nil {
				t.Errorf("%s, %s: %v", name, file, err)
				continue
			}
			if got := table.Columns(); !slices.Equal(got, c.names) {
				t.Errorf("%s, %s: the columns are %v", name, file, got)
			}
			if got, err := mustFit(t, table, regression(2, 1, engine.Data{})).Apply(table); err != nil {
				t.Errorf("%s, %s: %v", name, file, err)
			} else if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(data.Set{})); d != "" {
				t.Errorf("%s, %s: %s", name, file, d)
			}
		}
	}
}

func TestHeaderIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string // nil: no header
	}{
		"text and numbers":        {"Adelie,39\nGentoo,40\n", nil},
		"text and numbers, named": {"species,bill\nAdelie,39\nGentoo,40\n", []string{"species", "bill"}},
		"years as names":          {"country,2001,2002\nA,1,2\n", nil},
		"missing in the first":    {"NA,39\n1,40\n", nil},
		"all missing first":       {"NA,\n1,40\n", nil},
		"index without a name":    {",a\n0,5\n1,6\n", []string{"0", "a"}},
		"one row":                 {"1,2\n", nil},
		"one row of both":         {"Adelie,2\n", nil},
		"only names":              {"a,b\n", []string{"a", "b"}},
		"text that recurs":        {"red,yes\nblue,yes\nred,no\n", nil},
		"text that does not":      {"colour,answer\nblue,yes\nred,no\n", []string{"colour", "answer"}},
		"mostly numbers":          {"a,b\n1,x\n2,y\nn/a,z\n", []string{"a", "b"}},
		"infinite first":          {"inf,1\n2,3\n", nil},
		"one column":              {"y\n1\n2\n", []string{"y"}},
		"separator in quotes":     {"\"a,b\",\"c\"\"d\"\n1,2\n", []string{"a,b", `c"d`}},
		"newline in quotes":       {"\"a\nb\",c\n1,2\n", []string{"a\nb", "c"}},
	} {
		table := mustCSV(t, c.text)
		want := c.want
		if want == nil {
			want = []string{"0", "1", "2"}[:len(table.Columns())]
		}
		if got := table.Columns(); !slices.Equal(got, want) {
			t.Errorf("%s: the columns are %q, want %q", name, got, want)
		}
	}
}

func TestSemicolonsBesideDecimalCommas(t *testing.T) {
	table := mustCSV(t, "a;y\n1,5;2\n2,5;3\n")
	_, err := mustFit(t, table, regression(1, 1, engine.Data{})).Apply(table)
	wantError(t, "decimal comma", err,
		`train.csv:2:1: "1,5" is not a number (column "a"); hint: numbers have a decimal point, not a comma`)
}

func TestCSVErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":       {"", `train.csv: the file is empty`},
		"blank":       {" \n\r\n", `train.csv: the file is empty`},
		"UTF-16":      {"\xff\xfea\x00", `train.csv: the text is in UTF-16; hint: save it as UTF-8`},
		"zero byte":   {"a,b\n1,\x002\n", `train.csv:2:3: there is a zero byte; hint: CSV is text`},
		"Latin-1":     {"a,b\né,\xe9\n", `train.csv:2:3: the byte 0xe9 is not UTF-8; hint: save it as UTF-8`},
		"open quote":  {"a,b\n1,\"2\n3,4\n", `train.csv:2:3: a cell starts with a quote that is never closed; hint: inside quotes a quote is written twice`},
		"after quote": {"a,b\n1,\"2\"x\n", `train.csv:2:6: letters follow the quote that ends a cell; hint: inside quotes a quote is written twice`},
		"quote in the header": {"a,\"b\n1,2\n",
			`train.csv:1:3: a cell starts with a quote that is never closed; hint: inside quotes a quote is written twice`},
		"too few": {"a,b,c\n1,2,3\n4,5\n6,7,8\n",
			`train.csv:3:3: the line has 2 cells, but line 1 has 3; hint: a cell with a separator inside needs quotes`},
		"too many": {"a,b\r\n1,2\r\n\r\n4,5,6,7\r\n",
			`train.csv:4:5: the line has 4 cells, but line 1 has 2; hint: a cell with a separator inside needs quotes`},
		"second line": {"a,b,c\n1,2\n4,5,6\n",
			`train.csv:2:3: the line has 2 cells, but line 1 has 3; hint: a cell with a separator inside needs quotes`},
		"names twice": {"é,a,a\n1,2,3\n", `train.csv:1:5: two columns have the name "a"`},
		"scikit cut": {"4,2,no,yes\n1,2,0\n3,4,1\n",
			`train.csv:1:1: the first line promises 4 rows, but there are 2; hint: the file may be cut off`},
		"scikit numbers": {"2,2,5,6\n1,2,0\n3,4,1\n",
			`train.csv:1:7: the line has 4 cells, but line 2 has 3; hint: a cell with a separator inside needs quotes`},
		"scikit ragged": {"2,2,no,yes\n1,2,0\n3,4\n",
			`train.csv:3:3: the line has 2 cells, but line 2 has 3; hint: a cell with a separator inside needs quotes`},
	} {
		_, err := openCSV(t, c.text)
		wantError(t, name, err, c.want)
	}
}

// Errors that show when rows are prepared still tell the line and the column.
func TestCellErrors(t *testing.T) {
	const hint = "; hint: list the column under categorical:, or leave it out of features:"
	for name, c := range map[string]struct{ text, want string }{
		"text":      {"age,y\n1,2\n\"no, thanks\",4\n", `train.csv:3:1: "no, thanks" is not a number (column "age")` + hint},
		"far right": {"ä,age,y\n1,1,2\n2,  n/a,4\n", `train.csv:3:3: "n/a" is not a number (column "age")` + hint},
		"no header": {"1,2\n1,2\nx,3\n", `train.csv:3:1: "x" is not a number` + hint},
		"number in a header": {"a,b,7\n1,2,3\n5,6,7\n",
			`train.csv:1:1: "a" is not a number; hint: the first line is taken for a row, because the cell "7" in it is a number; if it names the columns, give that one another name`},
		"target of a header": {"0,1,y\n1,2,3\n5,6,7\n",
			`train.csv:1:5: "y" is not a number; hint: the first line is taken for a row, because the cell "0" in it is a number; if it names the columns, give that one another name`},
		"text in the first row": {"x,2\ny,3\n", `train.csv:1:1: "x" is not a number` + hint},
		"after quotes":          {"a,b,y\n\"1\",2,3\n\"4\",\"x\ny\",5\n", `train.csv:3:5: "x\ny" is not a number (column "b")` + hint},
		"below a break":         {"c,b,y\n\"a\nb\",2,3\n4,x,5\n", `train.csv:2:1: "a\nb" is not a number (column "c")` + hint},
		"infinite":              {"a,y\n1,2\n-Infinity,3\n", `train.csv:3:1: "-Infinity" is not finite (column "a")`},
		"too large":             {"a,y\n1,2\n1e999,3\n", `train.csv:3:1: "1e999" is not finite (column "a")`},
		"for 32 bits":           {"a,y\n1,2\n1e39,3\n", `train.csv:3:1: the cell "1e39" is 1e+39, which is too large for 32 bits after scaling (column "a")`},
		"hexadecimal":           {"a,y\n1,2\n0x1p4,3\n", `train.csv:3:1: "0x1p4" is not a number (column "a")` + hint},
		"underscore":            {"a,y\n1,2\n1_000,3\n", `train.csv:3:1: "1_000" is not a number (column "a")` + hint},
		"negative NaN":          {"a,y\n1,2\n-nan,3\n", `train.csv:3:1: "-nan" is not a number (column "a")` + hint},
		"sign alone":            {"a,y\n1,2\n-,3\n", `train.csv:3:1: "-" is not a number (column "a")` + hint},
		"two points":            {"a,y\n1,2\n1.2.3,3\n", `train.csv:3:1: "1.2.3" is not a number (column "a")` + hint},
		"hostile":               {"a,y\n1,2\n\x1b[31m" + strings.Repeat("z", 100) + ",3\n", `train.csv:3:1: "\x1b[31m` + strings.Repeat("z", 35) + `"… is not a number (column "a")` + hint},
		"target":                {"a,y\n1,2\n3,high\n", `train.csv:3:3: "high" is not a number (column "y")`},
		"target missing": {"a,y\n1,2\n3,?\n",
			`train.csv:3:3: the cell "?" is missing (column "y"); hint: a target is never made up; missing: drop leaves such rows out`},
		"target too large": {"a,y\n1,2\n3,1e300\n", `train.csv:3:3: the cell "1e300" is 1e+300, too large for 32 bits (column "y")`},
		"missing": {"a,y\n1,2\n,3\n",
			`train.csv:3:1: the cell is missing (column "a"); hint: missing: under data: can drop such rows, or fill them by mean, median or {const: 0}`},
		"no rows": {"a,y\n", `train.csv: there are no rows`},
	} {
		table := mustCSV(t, c.text)
		n := regression(len(table.Columns())-1, 1, engine.Data{})
		p, err := data.Fit(table, n)
		if err == nil {
			_, err = p.Apply(table)
		}
		wantError(t, name, err, c.want)
	}
}

// TestNamesOfARow: a column that is asked for by a name of the first line tells why
// that is a row.
func TestNamesOfARow(t *testing.T) {
	table := mustCSV(t, "0,1,y\n1,2,red\n5,6,blue\n")
	_, err := data.Fit(table, classes(2, 2, engine.Data{Target: "y"}))
	wantError(t, "y", err, `train.csv: there is no column "y" for the target; hint: the first line is taken for a row, because the cell "0" in it is a number; if it names the columns, give that one another name`)
	_, err = data.Fit(table, classes(2, 2, engine.Data{Target: "z"}))
	wantError(t, "z", err, `train.csv: there is no column "z" for the target; hint: the source has no header; its 3 columns are called 0 to 2`)
}

// Numbers read the short way and the long way are those of the nearest float64.
func TestNumbersAreExact(t *testing.T) {
	cells := []string{"0.1", "123456789.123456", "999999999999999", "0.000000000000001", "1.7976931348623157e308", "4.9e-324",
		"123456789012345678", "0.30000000000000004", "-0", "00012", "12345678901234.5"}
	var want []float64
	for _, c := range cells {
		var v float64
		if _, err := fmt.Sscan(c, &v); err != nil {
			t.Fatal(err)
		}
		want = append(want, v)
	}
	// Under min-max scaling, offset and divisor show two cells in full.
	for i := range cells {
		for j := range cells {
			if want[i] >= want[j] || want[j]-want[i] == 0 || math.IsInf(want[j]-want[i], 0) {
				continue
			}
			table := mustCSV(t, "a,y\n"+cells[i]+",1\n"+cells[j]+",1\n")
			p, err := data.Fit(table, regression(1, 1, engine.Data{Scale: engine.Scale{Kind: "minmax"}}))
			if err != nil {
				t.Fatal(err)
			}
			if f := p.Features[0]; f.Offset != want[i] || f.Divisor != want[j]-want[i] {
				t.Errorf("%s and %s were read as %v and a distance of %v", cells[i], cells[j], f.Offset, f.Divisor)
			}
		}
	}
}

// A packed text that unpacks to far more than its size is not unpacked whole.
func TestGzipBomb(t *testing.T) {
	bomb := zipped(t, "a,y\n"+strings.Repeat("0", 16<<20))
	_, err := data.Open("bomb.csv.gz", data.Options{FS: disk(t, map[string]string{"bomb.csv.gz": bomb})})
	wantError(t, "bomb", err,
		"bomb.csv.gz: the file unpacks to more than 256 times its size; hint: unpack it first if this is meant")
}

func TestDamagedGzip(t *testing.T) {
	whole := zipped(t, "a,y\n1,2\n")
	for name, c := range map[string]struct{ text, want string }{
		"cut":      {whole[:len(whole)-4], "train.csv.gz: ends too early; hint: the file is cut off"},
		"header":   {"\x1f\x8b\x00", "train.csv.gz: ends too early; hint: the file is cut off"},
		"method":   {"\x1f\x8b\x01" + whole[3:], "train.csv.gz: cannot be unpacked: gzip: invalid header; hint: the file is damaged"},
		"checksum": {whole[:len(whole)-8] + "1234" + whole[len(whole)-4:], "train.csv.gz: cannot be unpacked: gzip: invalid checksum; hint: the file is damaged"},
	} {
		_, err := data.Open("train.csv.gz", data.Options{FS: disk(t, map[string]string{"train.csv.gz": c.text})})
		wantError(t, name, err, c.want)
	}
}
