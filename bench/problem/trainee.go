package problem

import "time"

// Stepper makes the steps of a peer.
type Stepper interface {
	// Begin sets the initial parameters and clears the optimizer's state.
	Begin() error
	// Step trains the rows lo to hi and returns the loss before the update.
	Step(lo, hi int, lr float32) (float64, error)
}

// Trainee is a bench.Contender made of a Stepper.
type Trainee struct {
	Problem *Problem
	Stepper Stepper
	at      int
}

// still is the factor of the learning rate while time is taken.
const still = 1e-6

func (t *Trainee) next(rows int, lr float32) (float64, error) {
	if t.at+rows > t.Problem.Rows {
		t.at = 0
	}
	lo := t.at
	t.at += rows
	return t.Stepper.Step(lo, lo+rows, lr)
}

// Losses trains anew; see bench.Contender.
func (t *Trainee) Losses(steps, rows int) (losses []float64, err error) {
	t.at = 0
	if err := t.Stepper.Begin(); err != nil {
		return nil, err
	}
	for range steps {
		loss, err := t.next(rows, t.Problem.LR)
		if err != nil {
			return nil, err
		}
		losses = append(losses, loss)
	}
	return losses, nil
}

// Time makes steps; see bench.Contender.
func (t *Trainee) Time(steps, rows int, fresh bool) (float64, error) {
	if fresh {
		t.at = 0
		if err := t.Stepper.Begin(); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	for range steps {
		if _, err := t.next(rows, t.Problem.LR*still); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds(), nil
}
