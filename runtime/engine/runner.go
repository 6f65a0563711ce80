package engine

// Planned is one step of those that Runner.Run makes.
type Planned struct {
	Lo, Hi int // the step trains rows Lo to Hi of the order
	Hyper  Hyper
}

// Runner is implemented by engines that fetch the rows of a step themselves and
// make many steps at a call: between two steps a GPU must not wait for the host.
type Runner interface {
	// Hold names the rows that Run trains, x [rows, inputs] and their targets. The
	// engine may read them until the next Hold, or until Close; they must not
	// change. It reports whether all of them are kept by the device from now on;
	// where they are not, each step's rows are copied to it.
	Hold(x []float32, y Target, rows int) (kept bool)

	// Order sets the order of the rows for the calls of Run to come; nil stands
	// for the rows as they lie. The slice must not change until the next call.
	Order(rows []int32)

	// Run makes steps in order, with the same results as so many calls of
	// Engine.Step, and writes the mean loss before each update to losses. It may
	// make fewer, and makes at least one, so that a call does not take long; it
	// returns how many it made. A step whose loss is not finite is the last one
	// of a call, and counts among those made: neither it nor any after it changes
	// the parameters or the optimizer's state. Run does not allocate, but for what
	// a number of steps needs that was never asked for before.
	Run(steps []Planned, losses []float64) int
}

// MostSteps is the number of steps above which a call of Runner.Run gains
// nothing.
const MostSteps = 512
