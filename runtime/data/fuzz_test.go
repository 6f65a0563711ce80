package data_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/npy"
)

var csvSeeds = []string{
	"a,b,y\n1,2.5,0\n-3,4e-3,1\n5,6,0.5\n",
	"\xef\xbb\xbfspecies;island;bill\r\nAdelie;Torgersen;39,1\r\n\"Gen\"\"too\";?;NA\r\n",
	"2,2,no,yes\n1,2,0\n3,4,1\n",
	"1\t2\n3\t4\n",
	"\"a\nb\",c\n1,2\n",
	"1,,null\n\n2,nan,-inf\n",
	"x\n",
}

// tryTable drives a table through all that is done with tables, and checks what
// must hold whatever is in it. lines is how many lines an error may tell of.
func tryTable(t *testing.T, table *data.Table, err error, lines int) {
	check := func(err error) {
		var e *data.Error
		if !errors.As(err, &e) {
			t.Fatalf("an error of another type: %v", err)
		}
		if e.Msg == "" || e.Line < 0 || e.Line > lines || (e.Line > 0) != (e.Col > 0) {
			t.Fatalf("an error out of place: %+v", e)
		}
		if len(e.Error()) > 4000 {
			t.Fatalf("an error of %d letters", len(e.Error()))
		}
	}
	if err != nil {
		check(err)
		return
	}
	columns := table.Columns()
	for _, d := range []engine.Data{
		{},
		{Missing: engine.Missing{Kind: "drop"}, Scale: engine.Scale{Kind: "standardize"}},
		{Missing: engine.Missing{Kind: "mean"}, Scale: engine.Scale{Kind: "minmax"}, Categorical: columns[:1]},
		{Missing: engine.Missing{Kind: "median"}, Scale: engine.Scale{Kind: "divide", Factor: 16}, Target: columns[0]},
		{Missing: engine.Missing{Kind: "const", Value: 1}, Categorical: columns[:len(columns)-1]},
	} {
		train, test := data.Split(table, 0.3, 1)
		inputs, labels, rows, err := data.Width(train, d)
		if err != nil {
			check(err)
			continue
		}
		if inputs < 1 || labels < 0 || rows < 1 || rows > table.Rows() {
			t.Fatalf("%d inputs, %d classes, %d of %d rows", inputs, labels, rows, table.Rows())
		}
		if inputs > 1000 {
			continue // one-hot columns of a long file: rows times categories
		}
		for _, n := range []*engine.Network{regression(inputs, 1, d), unitNet(inputs, 1, d), classes(inputs, max(labels, 1), d)} {
			p, err := data.Fit(train, n)
			if err != nil {
				check(err)
				continue
			}
			p = through(t, p)
			for _, part := range []*data.Table{train, test} {
				for _, prepare := range []func(*data.Table) (*data.Set, error){p.Apply, p.Rows} {
					s, err := prepare(part)
					if err != nil {
						check(err)
						continue
					}
					checkSet(t, s, part, n)
				}
			}
		}
	}
}

func checkSet(t *testing.T, s *data.Set, from *data.Table, n *engine.Network) {
	if s.Rows < 1 || s.Rows > from.Rows() || len(s.X) != s.Rows*n.Inputs {
		t.Fatalf("%d numbers in %d rows of %d", len(s.X), s.Rows, from.Rows())
	}
	for _, v := range s.X {
		if v-v != 0 {
			t.Fatalf("a feature is %v", v)
		}
	}
	for _, v := range s.Target.Value {
		if v-v != 0 {
			t.Fatalf("a target is %v", v)
		}
	}
	for _, c := range s.Target.Class {
		if c < 0 || int(c) >= n.Outputs {
			t.Fatalf("a target is %d", c)
		}
	}
	if s.Target.Class != nil && len(s.Target.Class) != s.Rows || s.Target.Value != nil && len(s.Target.Value) != s.Rows*n.Outputs {
		t.Fatalf("%d classes, %d values for %d rows", len(s.Target.Class), len(s.Target.Value), s.Rows)
	}
}

func tryCSV(t *testing.T, b []byte) {
	table, err := data.Open("-", data.Options{Stdin: bytes.NewReader(b)})
	// Text that is packed may have more lines than it has bytes.
	lines := 1 + len(b)
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		lines += 1 << 20
	}
	tryTable(t, table, err, lines)
}

func FuzzCSV(f *testing.F) {
	for _, s := range csvSeeds {
		f.Add([]byte(s))
		f.Add([]byte(zipped(f, s)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 1<<14 {
			tryCSV(t, b)
		}
	})
}

func tryFiles(t *testing.T, src string, files map[string]string) {
	table, err := data.Open(src, data.Options{FS: disk(t, files)})
	tryTable(t, table, err, 0)
}

func FuzzIDX(f *testing.F) {
	images, labels := idx([]uint32{2, 2, 1}, 0, 255, 128, 1), idx([]uint32{2}, 3, 0)
	f.Add([]byte(images), []byte(labels))
	f.Add([]byte(zipped(f, images)), []byte(zipped(f, labels)))
	f.Add([]byte(idx([]uint32{1 << 30, 1 << 30}, 1)), []byte(idx([]uint32{0})))
	f.Fuzz(func(t *testing.T, images, labels []byte) {
		tryFiles(t, "i.idx,l.idx", map[string]string{"i.idx": string(images), "l.idx": string(labels)})
		tryFiles(t, "i.idx", map[string]string{"i.idx": string(images)})
	})
}

func FuzzNPZ(f *testing.F) {
	f.Add([]byte(npz(f, "x", floats([]int{2, 2}, 1, 2, 3, nan), "y", ints([]int{2}, 1, 0))))
	f.Add([]byte(npz(f, "x", ints([]int{2, 1, 2}, 1, 2, 3, 4), "y", floats([]int{2, 1}, 1, 0.5))))
	var array bytes.Buffer
	if err := npy.Encode(&array, floats([]int{2, 2}, 1, 2, 3, 4)); err != nil {
		f.Fatal(err)
	}
	f.Add(array.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		tryFiles(t, "t.npz", map[string]string{"t.npz": string(b)})
		tryFiles(t, "t.npy", map[string]string{"t.npy": string(b)})
	})
}

// A preparation from a hostile file does no harm to any table.
func FuzzPrep(f *testing.F) {
	d := engine.Data{Target: "species", Categorical: []string{"island", "sex"}, Missing: engine.Missing{Kind: "median"}, Scale: engine.Scale{Kind: "standardize"}}
	for _, p := range []*data.Prep{
		mustFit(f, mustCSV(f, penguins), classes(7, 3, d)),
		mustFit(f, mustCSV(f, csvSeeds[0]), regression(2, 1, engine.Data{})),
		mustFit(f, mustNPZ(f, "x", floats([]int{1, 2}, 1, 2), "y", ints([]int{1}, 1)), unitNet(2, 1, engine.Data{})),
	} {
		b, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	tables := []*data.Table{
		mustCSV(f, penguins), mustCSV(f, csvSeeds[0]), mustCSV(f, csvSeeds[3]),
		mustNPZ(f, "x", floats([]int{1, 2}, 1, 2), "y", ints([]int{1}, 1)),
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p data.Prep
		if err := json.Unmarshal(b, &p); err != nil {
			return
		}
		for _, table := range tables {
			for _, prepare := range []func(*data.Table) (*data.Set, error){p.Apply, p.Rows} {
				s, err := prepare(table)
				var e *data.Error
				if err != nil && !errors.As(err, &e) {
					t.Fatalf("an error of another type: %v", err)
				}
				if err == nil {
					checkSet(t, s, table, classes(p.Inputs, p.Outputs, engine.Data{}))
				}
			}
		}
	})
}

// Every prefix of a file of each kind, and many mutations of it, end well.
// DNNGEN_MUTATIONS says how many; the nightly run asks for 10,000 of each.
func TestPrefixesAndMutations(t *testing.T) {
	mutations := 300
	if s := os.Getenv("DNNGEN_MUTATIONS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		mutations = n
	}
	images, labels := idx([]uint32{3, 2, 2}, 0, 255, 128, 1, 2, 3, 4, 5, 6, 7, 8, 9), idx([]uint32{3}, 3, 0, 1)
	array := npz(t, "x", floats([]int{3, 2}, 1, 2, 3, 4, 5, 6), "y", ints([]int{3}, 0, 1, 2))
	kinds := map[string]struct {
		good string
		try  func(b []byte)
	}{
		"csv":    {penguins, func(b []byte) { tryCSV(t, b) }},
		"csv.gz": {zipped(t, penguins), func(b []byte) { tryCSV(t, b) }},
		"idx":    {images, func(b []byte) { tryFiles(t, "i.idx,l.idx", map[string]string{"i.idx": string(b), "l.idx": labels}) }},
		"idx.gz": {zipped(t, images), func(b []byte) { tryFiles(t, "i.idx,l.idx", map[string]string{"i.idx": string(b), "l.idx": labels}) }},
		"npz":    {array, func(b []byte) { tryFiles(t, "t.npz", map[string]string{"t.npz": string(b)}) }},
	}
	for name, k := range kinds {
		for n := range k.good {
			k.try([]byte(k.good[:n]))
		}
		random := rand.New(rand.NewPCG(1, uint64(len(name))))
		for range mutations {
			b := []byte(k.good)
			for range 1 + random.IntN(4) {
				switch i := random.IntN(len(b)); random.IntN(4) {
				case 0:
					b[i] = byte(random.Uint32())
				case 1:
					b[i] ^= 1 << random.IntN(8)
				case 2: // a piece comes again
					j := i + random.IntN(len(b)-i)
					b = append(b[:j:j], b[i:]...)
				case 3: // a piece goes
					b = append(b[:i:i], b[min(len(b), i+1+random.IntN(8)):]...)
				}
				if len(b) == 0 {
					break
				}
			}
			k.try(b)
		}
	}
}

// A line of 10 MB is read like any other, and its error stays short.
func TestLongLine(t *testing.T) {
	cell := strings.Repeat("z", 10<<20)
	table := mustCSV(t, "a,y\n1,2\n"+cell+",3\n")
	_, err := mustFit(t, table, regression(1, 1, engine.Data{})).Apply(table)
	wantError(t, "long cell", err, `train.csv:3:1: "`+strings.Repeat("z", 40)+
		`"… is not a number (column "a"); hint: list the column under categorical:, or leave it out of features:`)
	many := strings.TrimSuffix(strings.Repeat("7,", 1<<20), ",")
	table = mustCSV(t, many+"\n"+many+"\n")
	if n := len(table.Columns()); n != 1<<20 || table.Rows() != 2 {
		t.Errorf("%d columns, %d rows", n, table.Rows())
	}
}
