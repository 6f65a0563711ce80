package rundir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/dnngen/dnngen/runtime/data"
	"github.com/dnngen/dnngen/runtime/engine"
	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/fsys/faultfs"
	"github.com/dnngen/dnngen/runtime/internal/testnet"
	"github.com/dnngen/dnngen/runtime/loop"
)

var netOptions = testnet.Options{Inputs: 2, Hidden: 3, Outputs: 1, Batch: 4, Momentum: 0.9}

// onDisk returns a directory on a file system in memory, without its lock.
func onDisk(t testing.TB, fs fsys.FS, spec string) *Dir {
	t.Helper()
	if err := fs.MkdirAll("run"); err != nil {
		t.Fatal(err)
	}
	d := &Dir{fs: fs, path: "run"}
	if err := d.open(spec); err != nil {
		t.Fatal(err)
	}
	return d
}

// trained returns an engine whose values depend on seed, parameters and states.
func trained(n *engine.Network, seed uint64) engine.Engine {
	e := testnet.Engine(netOptions)
	loop.Init(n, e, seed)
	for i, p := range n.Params {
		v := make([]float32, p.Size())
		for k := range v {
			v[k] = float32(seed) + float32(i) + float32(k)/8
		}
		e.Write(1, i, 0, v)
	}
	return e
}

func values(n *engine.Network, e engine.Engine) [][]float32 {
	var all [][]float32
	for slot := range 1 + len(n.States) {
		for i, p := range n.Params {
			v := make([]float32, p.Size())
			e.Read(slot, i, 0, v)
			all = append(all, v)
		}
	}
	return all
}

func meta(n *engine.Network, step int64) Meta {
	return Meta{
		Network: n.Name, SpecSum: SpecSum(n.Spec), Device: "cpu:go", Epoch: 2, Position: 1,
		State:   loop.State{Step: step, LossSum: 1.0 / 3, LossRows: 4},
		Options: loop.Defaults(n), LogEvery: 7,
		Train: Source{"a.csv", 10, "abc"}, Best: &EpochLoss{1, 0.1 + 0.2},
		Prep: &data.Prep{Version: 1, Inputs: 1, Outputs: 1, Columns: 1, Features: []data.Feature{{Divisor: 2}},
			Target: data.Target{Column: -1, Kind: "values"}},
	}
}

// decodeBytes takes a checkpoint in memory apart.
func decodeBytes(t testing.TB, b []byte) (*Checkpoint, *Corrupt) {
	t.Helper()
	c, err := decode(fsys.RandomBytes(b))
	var bad *Corrupt
	if err != nil && !errors.As(err, &bad) {
		t.Fatal(err)
	}
	return c, bad
}

// bytesOf returns a checkpoint file.
func bytesOf(t testing.TB, step int64) []byte {
	t.Helper()
	n := testnet.New(netOptions)
	d := onDisk(t, faultfs.NewDisk(), n.Spec)
	if err := d.Checkpoint(NewSaver(n, trained(n, uint64(step))), meta(n, step)); err != nil {
		t.Fatal(err)
	}
	b, err := readFile(d.fs, d.file(CheckpointFile))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCheckpointRoundTrip(t *testing.T) {
	n := testnet.New(netOptions)
	d := onDisk(t, faultfs.NewDisk(), n.Spec)
	e := trained(n, 3)
	want := meta(n, 9)
	if err := d.Checkpoint(NewSaver(n, e), want); err != nil {
		t.Fatal(err)
	}
	c, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Fits(n); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Meta, want) {
		t.Errorf("got  %+v\nwant %+v", c.Meta, want)
	}
	back := testnet.Engine(netOptions)
	if err := c.Restore(n, back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(values(n, back), values(n, e)) {
		t.Error("other values came back")
	}
	if !d.Trained() {
		t.Error("a directory with a checkpoint does not count as trained")
	}
}

// The bits of a number survive, whatever it is: the sign of zero, a subnormal
// number.
func TestCheckpointKeepsBits(t *testing.T) {
	n := testnet.New(testnet.Options{Inputs: 4, Outputs: 1})
	e := testnet.Engine(testnet.Options{Inputs: 4, Outputs: 1})
	want := []float32{float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, math.MaxFloat32, 1.0 / 3}
	e.Write(0, 0, 0, want)
	d := onDisk(t, faultfs.NewDisk(), n.Spec)
	if err := d.Checkpoint(NewSaver(n, e), Meta{SpecSum: SpecSum(n.Spec)}); err != nil {
		t.Fatal(err)
	}
	c, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	err = c.Pieces(0, func(first int, values []float32) error {
		for i, v := range values {
			if math.Float32bits(v) != math.Float32bits(want[first+i]) {
				t.Errorf("%v became %v", want[first+i], v)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryPrefixIsRefused(t *testing.T) {
	b := bytesOf(t, 1)
	for i := range b {
		c, bad := decodeBytes(t, b[:i])
		if bad == nil {
			t.Fatalf("%d of %d bytes load as %+v", i, len(b), c)
		}
		if bad.Offset < 0 || bad.Offset > int64(i) || bad.Reason == "" {
			t.Fatalf("%d bytes: %v", i, bad)
		}
	}
	if _, bad := decodeBytes(t, append(bytes.Clone(b), 0)); bad == nil || bad.Offset != int64(len(b)) {
		t.Errorf("one byte more: %v", bad)
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	b := bytesOf(t, 1)
	header := int(binary.LittleEndian.Uint32(b[12:]))
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			_, bad := decodeBytes(t, b)
			if bad == nil {
				t.Fatalf("bit %d of byte %d flipped: it loads", bit, i)
			}
			// The message names the place: in a tensor, the tensor.
			inTensor := i >= headerAt+header && i < len(b)-sumSize
			if inTensor != strings.Contains(bad.Reason, "of tensor") || inTensor && (bad.Offset > int64(i) || !strings.Contains(bad.Reason, "damaged")) {
				t.Fatalf("byte %d: %v", i, bad)
			}
			b[i] ^= 1 << bit
		}
	}
}

func TestSplicesAreRefused(t *testing.T) {
	a, b := bytesOf(t, 1), bytesOf(t, 2)
	for i := 1; i < len(a); i++ {
		spliced := append(bytes.Clone(a[:i]), b[min(i, len(b)):]...)
		if _, bad := decodeBytes(t, spliced); bad == nil && !bytes.Equal(spliced, a) && !bytes.Equal(spliced, b) {
			t.Fatalf("the first %d bytes of one checkpoint and the rest of another load", i)
		}
	}
}

// seal makes a checkpoint file of any header and body, with right sums.
func seal(header string, body []byte) []byte {
	b := []byte(magic)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	b = binary.LittleEndian.AppendUint64(b, uint64(headerAt+len(header)+len(body)+sumSize))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum([]byte(header), castagnoli))
	b = append(append(b, header...), body...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// A file with right sums can still be made by hand: sizes are checked before
// they are believed.
func TestHostileHeaders(t *testing.T) {
	for _, h := range []string{
		"", "x", "[]", `{"tensors":7}`, `{"meta":{"prep":{"version":9}}}`,
		`{"tensors":[{"name":"a","size":2}]}`,
		`{"tensors":[{"name":"a","size":-1}]}`,
		`{"tensors":[{"name":"a","size":4611686018427387904}]}`,
		`{"tensors":[{"name":"a","size":1},{"name":"b","size":9223372036854775807}]}`,
		`{"tensors":[]}`,
	} {
		if c, bad := decodeBytes(t, seal(h, make([]byte, 4))); bad == nil {
			t.Errorf("%s loads: %+v", h, c)
		}
	}
	if _, bad := decodeBytes(t, seal(`{"tensors":[{"name":"a","size":1}]}`, make([]byte, 4))); bad != nil {
		t.Errorf("a good one: %v", bad)
	}
	unknown := seal("{}", nil)
	binary.LittleEndian.PutUint32(unknown[8:], 2)
	if _, bad := decodeBytes(t, unknown); bad == nil || !strings.Contains(bad.Reason, "version 2 is not known") {
		t.Errorf("version 2: %v", bad)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(bytesOf(f, 1), "", []byte(nil))
	f.Add([]byte(nil), `{"tensors":[{"name":"a","size":1}]}`, make([]byte, 4))
	f.Add([]byte(magic), `{"meta":{"options":{}},"tensors":[{"size":-1}]}`, make([]byte, 8))
	n := testnet.New(netOptions)
	f.Fuzz(func(t *testing.T, raw []byte, header string, body []byte) {
		for _, b := range [][]byte{raw, seal(header, body)} {
			c, bad := decodeBytes(t, b)
			if bad != nil {
				if bad.Offset < 0 || bad.Offset > int64(len(b)) || bad.Error() == "" {
					t.Fatalf("%+v", bad)
				}
				continue
			}
			if c.Fits(n) == nil {
				// A file made by hand may have a wrong CRC.
				_ = c.Restore(n, testnet.Engine(netOptions))
			}
		}
	})
}

func TestFits(t *testing.T) {
	n := testnet.New(netOptions)
	b := bytesOf(t, 1)
	for name, o := range map[string]testnet.Options{
		"spec":       {Name: "other", Inputs: 2, Hidden: 3, Outputs: 1, Batch: 4, Momentum: 0.9},
		"states":     {Inputs: 2, Hidden: 3, Outputs: 1, Batch: 4},
		"parameters": {Inputs: 2, Outputs: 1, Batch: 4, Momentum: 0.9},
		"shape":      {Inputs: 2, Hidden: 4, Outputs: 1, Batch: 4, Momentum: 0.9},
	} {
		other := testnet.New(o)
		if name != "spec" {
			other.Spec = n.Spec // a program of another version might make this of it
		}
		c, bad := decodeBytes(t, b)
		if bad != nil {
			t.Fatal(bad)
		}
		var refused *Refused
		if err := c.Fits(other); !errors.As(err, &refused) {
			t.Errorf("another %s: got %v", name, err)
		}
	}
}

func TestBadNumbersAreNeverWritten(t *testing.T) {
	n := testnet.New(netOptions)
	for slot := range 2 {
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			d := onDisk(t, faultfs.NewDisk(), n.Spec)
			if err := d.Checkpoint(NewSaver(n, trained(n, 1)), meta(n, 1)); err != nil {
				t.Fatal(err)
			}
			before, err := readFile(d.fs, d.file(CheckpointFile))
			if err != nil {
				t.Fatal(err)
			}
			e := trained(n, 2)
			e.Write(slot, 2, 0, []float32{1, float32(v), 3})
			s := NewSaver(n, e)
			err = d.Checkpoint(s, meta(n, 2))
			var bad *BadParameter
			if !errors.As(err, &bad) || bad.Param != "2.weight" || bad.Index != 1 || (bad.State != "") != (slot == 1) {
				t.Errorf("slot %d, %v: got %v", slot, v, err)
			}
			after, err := readFile(d.fs, d.file(CheckpointFile))
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("slot %d, %v: the checkpoint changed, %v", slot, v, err)
			}
			err = d.Model(n, &Model{Params: s.Params()})
			if bad = nil; errors.As(err, &bad) != (slot == 0) || bad != nil && bad.Index != 1 {
				t.Errorf("slot %d, %v: a model of it: %v", slot, v, err)
			}
			if _, err := d.fs.Open(d.file(ModelFile)); (err != nil) != (slot == 0) {
				t.Errorf("slot %d, %v: its file: %v", slot, v, err)
			}
		}
	}
}

// save is what a training does between two steps: metrics first, then the
// checkpoint that notes their length.
func save(d *Dir, m *Metrics, n *engine.Network, step int64) error {
	if err := m.Append(fmt.Appendf(nil, "{\"event\":\"step\",\"step\":%d}\n", step)); err != nil {
		return err
	}
	size, err := m.Sync()
	if err != nil {
		return err
	}
	mt := meta(n, step)
	mt.Metrics = size
	return d.Checkpoint(NewSaver(n, trained(n, uint64(step))), mt)
}

// whole checks that a disk holds one of the checkpoints of steps lo to hi, bit
// for bit, with the metrics that it notes.
func whole(fs fsys.FS, n *engine.Network, lo, hi int64) error {
	c, err := ReadCheckpoint(fs, "run/"+CheckpointFile)
	if err != nil {
		return err
	}
	step := c.Meta.State.Step
	if step < lo || step > hi {
		return fmt.Errorf("step %d, want %d to %d", step, lo, hi)
	}
	e := testnet.Engine(netOptions)
	if err := errors.Join(c.Restore(n, e), c.Close()); err != nil {
		return err
	}
	if !reflect.DeepEqual(values(n, e), values(n, trained(n, uint64(step)))) {
		return fmt.Errorf("the values of step %d are not those that were saved", step)
	}
	text, err := readFile(fs, "run/"+MetricsFile)
	if err != nil {
		return err
	}
	if int64(len(text)) < c.Meta.Metrics {
		return fmt.Errorf("%d bytes of metrics, the checkpoint notes %d", len(text), c.Meta.Metrics)
	}
	if want := int64(strings.Count(string(text[:c.Meta.Metrics]), "\n")); want != step {
		return fmt.Errorf("%d lines of metrics at step %d", want, step)
	}
	return nil
}

// Whatever call a kill or a loss of power meets, the last checkpoint or the one
// being written is there, whole, with its metrics.
func TestCrashesDuringSaves(t *testing.T) {
	n := testnet.New(netOptions)
	start := faultfs.NewDisk()
	d := onDisk(t, start, n.Spec)
	m, _, err := d.Metrics(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := save(d, m, n, 1); err != nil {
		t.Fatal(err)
	}
	size, err := m.Sync()
	if err != nil {
		t.Fatal(err)
	}
	checked, err := faultfs.Crashes(start, 20, func(fs fsys.FS) error {
		d := &Dir{fs: fs, path: "run"}
		if err := d.open(n.Spec); err != nil {
			return err
		}
		m, _, err := d.Metrics(size)
		if err != nil {
			return err
		}
		for step := int64(2); step <= 4; step++ {
			if err := save(d, m, n, step); err != nil {
				return err
			}
		}
		return m.Close()
	}, func(d *faultfs.Disk, ended bool) error {
		if !ended {
			return whole(d, n, 4, 4)
		}
		if err := whole(d, n, 1, 4); err != nil {
			return err
		}
		// The next start finds its way, and leaves no temporary file.
		next := &Dir{fs: d, path: "run"}
		if err := next.open(n.Spec); err != nil {
			return err
		}
		for name := range next.has {
			if strings.Contains(name, ".tmp-") && exists(d, "run/"+name) {
				return fmt.Errorf("%s is left over", name)
			}
		}
		c, err := next.Load()
		if err != nil {
			return err
		}
		m, have, err := next.Metrics(c.Meta.Metrics)
		if err != nil || have != c.Meta.Metrics {
			return fmt.Errorf("%d bytes of metrics, want %d: %w", have, c.Meta.Metrics, err)
		}
		if err := save(next, m, n, c.Meta.State.Step+1); err != nil {
			return err
		}
		return whole(d, n, c.Meta.State.Step+1, c.Meta.State.Step+1)
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 500 {
		t.Errorf("only %d crashes checked", checked)
	}
}

func exists(fs fsys.FS, name string) bool {
	r, err := fs.Open(name)
	if err != nil {
		return false
	}
	_ = r.Close()
	return true
}

// Each call of a save fails once, in each way: the error comes out, the old or
// the new checkpoint is there, whole, and the next save works.
func TestFailingCallsOfASave(t *testing.T) {
	n := testnet.New(netOptions)
	start := faultfs.NewDisk()
	d := onDisk(t, start, n.Spec)
	m, _, err := d.Metrics(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := save(d, m, n, 1); err != nil {
		t.Fatal(err)
	}
	size, err := m.Sync()
	if err != nil {
		t.Fatal(err)
	}
	for _, torn := range []bool{false, true} {
		for at := 1; ; at++ {
			disk := start.Clone()
			f := faultfs.Wrap(disk, faultfs.Fault{At: at, Err: errors.New("no space"), Torn: torn})
			err := func() error {
				d := &Dir{fs: f, path: "run"}
				if err := d.open(n.Spec); err != nil {
					return err
				}
				m, _, err := d.Metrics(size)
				if err != nil {
					return err
				}
				return save(d, m, n, 2)
			}()
			if err := whole(disk, n, 1, 2); err != nil {
				t.Fatalf("call %d: %v", at, err)
			}
			text, readErr := readFile(disk, "run/"+MetricsFile)
			if readErr != nil || len(text) > 0 && text[len(text)-1] != '\n' {
				t.Fatalf("call %d: torn metrics %q, %v", at, text, readErr)
			}
			if len(f.Calls()) < at {
				if err != nil {
					t.Fatalf("without a fault: %v", err)
				}
				if at < 12 {
					t.Errorf("a save is only %d calls", at-1)
				}
				break
			}
			call := f.Calls()[at-1]
			if err == nil && call.Op != "remove" && call.Op != "close" {
				t.Errorf("call %d (%+v) failed, and nobody says so", at, call)
			}
		}
	}
}
