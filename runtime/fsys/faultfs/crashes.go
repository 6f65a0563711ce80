package faultfs

import (
	"fmt"

	"github.com/dnngen/dnngen/runtime/fsys"
)

// Crashes runs a piece of code on copies of a disk, and ends each run at
// another call: before it, and, where the call writes, with half of the bytes
// written. It gives check every disk that may be found afterwards: the one that
// a killed process leaves, and a number of those that a loss of power leaves.
// The run that nothing ends is among them; ended is false for it.
//
// It returns how many disks it checked, and the first error of check, with the
// call and the loss that led there.
func Crashes(start *Disk, losses int, run func(fsys.FS) error, check func(d *Disk, ended bool) error) (int, error) {
	checked := 0
	checkAll := func(d *Disk, ended bool, how string) error {
		checked++
		if err := check(d.Clone(), ended); err != nil {
			return fmt.Errorf("%s: %w", how, err)
		}
		for loss := range uint64(losses) {
			checked++
			if err := check(d.PowerLoss(loss), ended); err != nil {
				return fmt.Errorf("%s, then loss of power %d: %w", how, loss, err)
			}
		}
		return nil
	}

	whole := start.Clone()
	record := Wrap(whole)
	if err := run(record); err != nil {
		return 0, fmt.Errorf("without any fault: %w", err)
	}
	if err := checkAll(whole, false, "after the end"); err != nil {
		return checked, err
	}
	for i, call := range record.Calls() {
		for _, torn := range []bool{false, true} {
			if torn && call.Op != "write" {
				continue
			}
			fault := Stop(i + 1)
			fault.Torn = torn
			d := start.Clone()
			// The error is the stop itself; what matters is what is left.
			_ = run(Wrap(d, fault))
			how := fmt.Sprintf("stopped at call %d (%s %s, torn %v)", i+1, call.Op, call.Name, torn)
			if err := checkAll(d, true, how); err != nil {
				return checked, err
			}
		}
	}
	return checked, nil
}
