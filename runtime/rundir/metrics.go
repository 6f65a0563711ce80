package rundir

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/runtime/loop"
	"github.com/dnngen/dnngen/runtime/metric"
)

// EpochLine is the line that an epoch leaves in the metrics file. It holds no
// time, so that a resumed training leaves the same file as one that was never
// interrupted.
type EpochLine struct {
	Event     string         `json:"event"` // "epoch"
	Epoch     int            `json:"epoch"` // counted from 0
	Step      int64          `json:"step"`  // updates made
	TrainLoss float64        `json:"train_loss"`
	Test      *metric.Report `json:"test,omitempty"`
}

// AppendStep appends the line of a step to b, without allocating more than b
// needs to grow.
func AppendStep(b []byte, s loop.Step) []byte {
	b = append(b, `{"event":"step","step":`...)
	b = strconv.AppendInt(b, s.Step, 10)
	b = append(b, `,"epoch":`...)
	b = strconv.AppendInt(b, int64(s.Epoch), 10)
	b = append(b, `,"loss":`...)
	b = strconv.AppendFloat(b, s.Loss, 'g', -1, 64)
	b = append(b, `,"lr":`...)
	b = strconv.AppendFloat(b, s.LR, 'g', -1, 64)
	return append(b, "}\n"...)
}

// metricsBuffer is how much is gathered before it is written.
const metricsBuffer = 32 << 10

// Metrics is the metrics file, open for appending. Each write holds whole
// lines.
type Metrics struct {
	fs     fsys.FS
	name   string
	file   fsys.File
	size   int64 // of what the file is known to hold
	buffer []byte
	named  bool // the file's name survives a loss of power
}

// Metrics opens the metrics file and cuts it back to size bytes, the length
// that a checkpoint notes; 0 starts it anew. have, at most size, is the length
// that the file still has.
func (d *Dir) Metrics(size int64) (m *Metrics, have int64, err error) {
	name := d.file(MetricsFile)
	if have, err = d.wholeLines(size); err != nil {
		return nil, 0, err
	}
	f, err := d.fs.Append(name)
	if err != nil {
		return nil, 0, err
	}
	m = &Metrics{fs: d.fs, name: name, file: f, size: have, buffer: make([]byte, 0, metricsBuffer)}
	if err := d.fs.Truncate(name, have); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return m, have, nil
}

// wholeLines returns how many of the first size bytes of the metrics file are
// there and belong to whole lines.
func (d *Dir) wholeLines(size int64) (int64, error) {
	if size == 0 {
		return 0, nil
	}
	r, err := d.fs.Open(d.file(MetricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var whole, read int64
	lines := bufio.NewReaderSize(io.LimitReader(r, size), 64<<10)
	for err == nil {
		var piece []byte
		piece, err = lines.ReadSlice('\n')
		read += int64(len(piece))
		if err == nil {
			whole = read
		} else if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
	}
	if !errors.Is(err, io.EOF) {
		return 0, errors.Join(err, r.Close())
	}
	return whole, r.Close()
}

// Step appends the line of a step.
func (m *Metrics) Step(s loop.Step) error {
	m.buffer = AppendStep(m.buffer, s)
	return m.spill()
}

// Append appends a line, which ends with a newline.
func (m *Metrics) Append(line []byte) error {
	m.buffer = append(m.buffer, line...)
	return m.spill()
}

func (m *Metrics) spill() error {
	if len(m.buffer) < metricsBuffer-512 {
		return nil
	}
	return m.Flush()
}

// Flush writes what was gathered. Where that fails the file is cut back to the
// lines that are whole.
func (m *Metrics) Flush() error {
	if len(m.buffer) == 0 {
		return nil
	}
	n, err := m.file.Write(m.buffer)
	if err != nil {
		whole := int64(bytes.LastIndexByte(m.buffer[:n], '\n') + 1)
		m.buffer = m.buffer[:copy(m.buffer, m.buffer[whole:])]
		m.size += whole
		return errors.Join(fmt.Errorf("write %s: %w", m.name, err), m.fs.Truncate(m.name, m.size))
	}
	m.size += int64(n)
	m.buffer = m.buffer[:0]
	return nil
}

// Sync writes what was gathered so that it survives a loss of power, and
// returns the file's length: the one for Meta.Metrics.
func (m *Metrics) Sync() (int64, error) {
	if err := m.Flush(); err != nil {
		return 0, err
	}
	if err := m.file.Sync(); err != nil {
		return 0, fmt.Errorf("sync %s: %w", m.name, err)
	}
	if !m.named {
		if err := m.fs.SyncDir(filepath.Dir(m.name)); err != nil {
			return 0, fmt.Errorf("sync %s: %w", m.name, err)
		}
		m.named = true
	}
	return m.size, nil
}

// Close writes what was gathered and closes the file.
func (m *Metrics) Close() error {
	return errors.Join(m.Flush(), m.file.Close())
}

// Replay reads the metrics file and hands on its steps and epochs, in order.
// Lines that are neither are passed over.
func (d *Dir) Replay(step func(loop.Step), epoch func(EpochLine)) error {
	r, err := d.fs.Open(d.file(MetricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			EpochLine
			Loss, LR float64
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		switch line.Event {
		case "step":
			step(loop.Step{Step: line.Step, Epoch: line.Epoch, Loss: line.Loss, LR: line.LR})
		case "epoch":
			epoch(line.EpochLine)
		}
	}
	return errors.Join(lines.Err(), r.Close())
}
