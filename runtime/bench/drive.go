package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Another program can let a trainer's devices take part in its own rounds: it
// starts the trainer and sends a request a line, and gets an answer a line.

// request is one line to the trainer.
type request struct {
	Do      string `json:"do"` // "describe", "open", "losses", "time" or "export"
	Device  string `json:"device,omitempty"`
	Threads int    `json:"threads,omitempty"`
	ID      int    `json:"id,omitempty"`
	Steps   int    `json:"steps,omitempty"`
	Rows    int    `json:"rows,omitempty"`
	Fresh   bool   `json:"fresh,omitempty"`
	Dir     string `json:"dir,omitempty"`
}

// answer is one line from the trainer.
type answer struct {
	Error       string       `json:"error,omitempty"`
	Description *Description `json:"description,omitempty"`
	ID          int          `json:"id,omitempty"`
	Losses      []float64    `json:"losses,omitempty"`
	Seconds     float64      `json:"seconds,omitempty"`
	Alone       int64        `json:"runs_alone,omitempty"` // of those that took these seconds
	Runs        int64        `json:"runs,omitempty"`
}

// Description is what a trainer tells of itself.
type Description struct {
	Network string   `json:"network"`
	Batch   int      `json:"batch"`
	FLOPs   float64  `json:"flops_per_row"`
	Here    []string `json:"devices"` // that can be used
	Missing []string `json:"missing"` // why the others cannot
	Data    string   `json:"data"`    // where the rows come from
}

// Server is the trainer's side.
type Server struct {
	Describe func() Description
	Open     func(device string, threads int) (Contender, error)
	Export   func(dir string) error
	opened   []Contender
}

// Bounds of a request.
const (
	maxLine  = 1 << 20
	maxSteps = 1 << 30
	// maxLosses bounds an answer.
	maxLosses = 1 << 16
)

// Serve answers requests until there are no more.
func (s *Server) Serve(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	encode := json.NewEncoder(out)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("a request is not JSON: %w", err)
		}
		a, err := s.answer(r)
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := encode.Encode(a); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (s *Server) answer(r request) (a answer, err error) {
	switch r.Do {
	case "describe":
		d := s.Describe()
		a.Description = &d
		return a, nil
	case "open":
		c, err := s.Open(r.Device, r.Threads)
		if err != nil {
			return a, err
		}
		s.opened = append(s.opened, c)
		a.ID = len(s.opened) - 1
		return a, nil
	case "export":
		return a, s.Export(r.Dir)
	}
	if r.ID < 0 || r.ID >= len(s.opened) || r.Steps < 1 || r.Steps > maxSteps || r.Rows < 1 || r.Rows > s.Describe().Batch {
		return a, fmt.Errorf("a request %q with contender %d, %d steps and %d rows cannot be served", r.Do, r.ID, r.Steps, r.Rows)
	}
	switch c := s.opened[r.ID]; r.Do {
	case "losses":
		if r.Steps > maxLosses {
			return a, fmt.Errorf("%d losses are more than the %d that one answer holds", r.Steps, maxLosses)
		}
		a.Losses, err = c.Losses(r.Steps, r.Rows)
	case "time":
		alone, all := runsOf(c)
		a.Seconds, err = c.Time(r.Steps, r.Rows, r.Fresh)
		a.Alone, a.Runs = runsOf(c)
		a.Alone, a.Runs = a.Alone-alone, a.Runs-all
	default:
		err = fmt.Errorf("there is no request %q", r.Do)
	}
	return a, err
}

// Remote is the other side: it drives a trainer, or a peer that answers the same
// requests, through its standard input and output.
type Remote struct {
	mu  sync.Mutex
	in  *json.Encoder
	out *json.Decoder
}

// NewRemote returns a Remote that writes requests to in and reads answers from
// out.
func NewRemote(in io.Writer, out io.Reader) *Remote {
	return &Remote{in: json.NewEncoder(in), out: json.NewDecoder(out)}
}

func (r *Remote) call(q request) (a answer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.in.Encode(q); err != nil {
		return a, fmt.Errorf("the program has ended: %w", err)
	}
	if err := r.out.Decode(&a); err != nil {
		return a, fmt.Errorf("the program has ended: %w", err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// Describe asks what the trainer can do.
func (r *Remote) Describe() (Description, error) {
	a, err := r.call(request{Do: "describe"})
	if err == nil && a.Description == nil {
		err = errors.New("the program does not describe itself")
	}
	if err != nil {
		return Description{}, err
	}
	return *a.Description, nil
}

// Open makes a contender of a device.
func (r *Remote) Open(device string, threads int) (Contender, error) {
	a, err := r.call(request{Do: "open", Device: device, Threads: threads})
	return &remoteContender{remote: r, id: a.ID}, err
}

// Export lets the trainer write the problem to a directory.
func (r *Remote) Export(dir string) error {
	_, err := r.call(request{Do: "export", Dir: dir})
	return err
}

type remoteContender struct {
	remote     *Remote
	id         int
	alone, all int64
}

// Runs implements engine.Sharing: of the runs that were timed.
func (c *remoteContender) Runs() (alone, all int64) { return c.alone, c.all }

func (c *remoteContender) Losses(steps, rows int) ([]float64, error) {
	a, err := c.remote.call(request{Do: "losses", ID: c.id, Steps: steps, Rows: rows})
	if err == nil && len(a.Losses) != steps {
		err = fmt.Errorf("the program sent %d losses of %d", len(a.Losses), steps)
	}
	return a.Losses, err
}

func (c *remoteContender) Time(steps, rows int, fresh bool) (float64, error) {
	a, err := c.remote.call(request{Do: "time", ID: c.id, Steps: steps, Rows: rows, Fresh: fresh})
	c.alone, c.all = c.alone+a.Alone, c.all+a.Runs
	return a.Seconds, err
}
